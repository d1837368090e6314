#!/bin/bash
# Runs in mmdebstrap before the kernel is installed: an initrd with the modules of the machines
# that the boot tests use, and no more.
set -euo pipefail
root=$1
mkdir -p "$root/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nCOMPRESS=zstd\n' >"$root/etc/initramfs-tools/conf.d/standin"
# raspi4b: the SD controllers, USB and its network adapter; virt: virtio.
printf '%s\n' sdhci_iproc bcm2835 mmc_block ext4 vfat nls_ascii dwc2 cdc_ether bcm2835_dma \
    i2c_bcm2835 raspberrypi_hwmon virtio_pci virtio_mmio virtio_blk virtio_net \
    >"$root/etc/initramfs-tools/modules"
