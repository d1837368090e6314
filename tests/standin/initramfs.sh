#!/bin/bash
# Runs in mmdebstrap before the kernel is installed: an initrd with the modules of the machines
# that the boot tests use, and no more. It is made once, when the kernel is configured: under
# emulation that takes a minute, and every package with a hook would have it made again.
set -euo pipefail
root=$1
mkdir -p "$root/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nCOMPRESS=zstd\n' >"$root/etc/initramfs-tools/conf.d/standin"
# customize.sh takes this back.
printf 'update_initramfs=no\nbackup_initramfs=no\n' >"$root/etc/initramfs-tools/update-initramfs.conf"
# raspi4b: the SD controllers, USB and its network adapter; virt: virtio.
printf '%s\n' sdhci_iproc bcm2835 mmc_block ext4 vfat nls_ascii dwc2 cdc_ether bcm2835_dma \
    i2c_bcm2835 raspberrypi_hwmon virtio_pci virtio_mmio virtio_blk virtio_net \
    >"$root/etc/initramfs-tools/modules"
