#!/bin/bash
# Makes the disk image $3 of the stand-in of age $1, whose root file system is in the directory $2:
# partitions, labels, boot files and seed as the age's layout has them. Mounts nothing.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/lib.sh"
age=$1 root=$2 image=$(realpath -m "$3")
# shellcheck source=ages/12/age.sh
. "$here/ages/$age/age.sh"
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C TZ=UTC MTOOLSRC=/dev/null

work=$(mktemp -d "$image.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Where on the boot partition the kernel and what belongs to it lies, and the size of that partition in
# sectors of 512 bytes: it is twice as large since October 2022.
case $layout in
20.04) slot=. boot_sectors=524288 ;;
26.04) slot=current boot_sectors=1048576 ;;
*) die "there is no layout $layout" ;;
esac
boot_start=2048
root_start=$((boot_start + boot_sectors))
# About half of the root file system stays free: a first boot has room for its packages even where the
# card is not grown.
used=$(du -sm --apparent-size "$root" | cut -f 1)
root_mib=$(((used * 2 + 511) / 256 * 256))

# --- the root partition; boot files go to the boot partition, as Ubuntu's flash-kernel does
fs=$work/root.ext4
truncate -s "${root_mib}M" "$fs"
# What Ubuntu's `-O -metadata_csum … -O uninit_bg` comes to: of two -O the last alone counts, and
# uninit_bg yields to metadata_csum.
features=none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg
features+=,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum
mkfs.ext4 -q -F -L writable -O "$features" -b 4096 -I 256 -m 5 \
    -E lazy_itable_init=0,lazy_journal_init=0 -d "$root" "$fs"
e2fsck -fn "$fs" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "the new root file system is not clean"; }

# --- the boot partition
kernels=("$root"/boot/vmlinuz-*)
if [ ${#kernels[@]} != 1 ] || [ ! -e "${kernels[0]}" ]; then
    die "want one kernel in $root/boot, found: ${kernels[*]}"
fi
release=${kernels[0]##*/vmlinuz-}
boot=$work/boot
cp -r "$here/layouts/$layout" "$boot"
mkdir "$boot/$slot/overlays"
[ -z "$arguments" ] || sed -i "s/\$/ $arguments/" "$boot/$slot/cmdline.txt"
gzip -9n <"${kernels[0]}" >"$boot/$slot/vmlinuz"
cp "$root/boot/initrd.img-$release" "$boot/$slot/initrd.img"
cp "$root/usr/lib/linux-image-$release"/broadcom/bcm2[78]*-rpi-*.dtb "$boot/$slot/"
# The firmware is not free software and no emulator runs it: its names alone.
placeholders=(bootcode.bin fixup4.dat start4.elf "$slot/overlays/README")
[ "$layout" != 20.04 ] || placeholders+=(boot.scr uboot_rpi_3.bin uboot_rpi_4.bin)
for name in "${placeholders[@]}"; do
    echo "a placeholder for ${name##*/}" >"$boot/$name"
done
fat=$work/boot.fat
truncate -s $((boot_sectors * 512)) "$fat"
mkfs.vfat -F 32 -n system-boot "$fat" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
(cd "$boot" && mcopy -s -i "$fat" -- * ::)

# --- the disk
disk=$work/disk
truncate -s $((root_start * 512 + root_mib * 1048576)) "$disk"
sfdisk -q "$disk" <<EOF
label: dos
start=$boot_start, size=$boot_sectors, type=c, bootable
start=$root_start, type=83
EOF
dd if="$fat" of="$disk" bs=1M seek=$((boot_start / 2048)) conv=notrunc,sparse status=none
dd if="$fs" of="$disk" bs=1M seek=$((root_start / 2048)) conv=notrunc,sparse status=none
mv "$disk" "$image"
