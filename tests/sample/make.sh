#!/bin/bash
# Makes the base image `sample`: Ubuntu 20.04's layout and file names on real file systems, small
# enough to lie in the binary. It does not boot. Needs no root; the same tools give the same bytes.
#
#     tests/sample/make.sh [OUT]        OUT: src/base/sample.img.xz
#
# Needs dosfstools, mtools, e2fsprogs, fdisk and xz-utils.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
out=$(realpath -m "${1:-$here/../../src/base/sample.img.xz}")
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C TZ=UTC
umask 022

# 2022-08-31, when 20.04.5 was made; every time in the image is this one.
export SOURCE_DATE_EPOCH=1661904000 E2FSPROGS_FAKE_TIME=1661904000
export MTOOLSRC=/dev/null

# Ubuntu 20.04's layout in sectors of 512 bytes; the root file system grows on a card anyway.
boot_start=2048 boot_sectors=524288
root_start=526336 root_sectors=$((128 * 2048))

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -a "$here/boot" "$here/root" "$work/"

# --- p1: what lies on Ubuntu's boot partition, by name
boot=$work/boot
mkdir "$boot/overlays"
placeholders=(
    bcm2710-rpi-2-b.dtb bcm2710-rpi-3-b.dtb bcm2710-rpi-3-b-plus.dtb bcm2710-rpi-cm3.dtb
    bcm2711-rpi-4-b.dtb bcm2711-rpi-400.dtb bcm2711-rpi-cm4.dtb bcm2837-rpi-3-b.dtb
    bcm2837-rpi-3-b-plus.dtb bcm2837-rpi-cm3-io3.dtb bcm2838-rpi-4-b.dtb
    boot.scr bootcode.bin fixup.dat fixup4.dat fixup4cd.dat fixup4db.dat fixup4x.dat
    fixup_cd.dat fixup_db.dat fixup_x.dat start.elf start4.elf start4cd.elf start4db.elf start4x.elf
    start_cd.elf start_db.elf start_x.elf uboot_rpi_2.bin uboot_rpi_3.bin uboot_rpi_4.bin
    initrd.img overlays/README overlays/disable-bt.dtbo overlays/disable-wifi.dtbo
    overlays/dwc2.dtbo overlays/overlay_map.dtb
)
for name in "${placeholders[@]}"; do
    echo "pibake's sample image: a placeholder for $name, which is not in it." >"$boot/$name"
done
echo "pibake's sample image: no kernel." | gzip -9n >"$boot/vmlinuz"
find "$boot" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

truncate -s $((boot_sectors * 512)) "$work/p1"
mkfs.vfat --invariant -F 32 -h "$boot_start" -i 9d5c0f20 -n system-boot "$work/p1" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
(cd "$boot" && mcopy -s -m -i "$work/p1" -- * ::)

# --- p2: a skeleton of a root file system
root=$work/root
while read -r mode dir; do
    install -d -m "$mode" "$root/$dir"
done <"$here/directories.txt"
while read -r link target; do
    ln -s "$target" "$root/$link"
done <"$here/symlinks.txt"
: >"$root/etc/machine-id"
find "$root" -type f -exec chmod 0644 {} +
chmod 0640 "$root/etc/shadow" "$root/etc/gshadow"
chmod 0444 "$root/etc/machine-id"
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

# All that matters is said on the command line, whatever this machine's mke2fs.conf says.
printf '[fs_types]\n\text4 = {\n\t\tinode_size = 256\n\t}\n' >"$work/mke2fs.conf"
export MKE2FS_CONFIG=$work/mke2fs.conf
features=none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg
features+=,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum
truncate -s $((root_sectors * 512)) "$work/p2"
mkfs.ext4 -q -F -L writable -b 4096 -I 256 -i 16384 -m 5 -T ext4 -O "$features" -J size=4 \
    -U 7f1a9c52-6a0e-4c43-9f0b-0d2f5b1e2004 \
    -E hash_seed=3c5d7b18-94f2-4a9e-8a61-5e0f6c7d2004,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 \
    -d "$root" "$work/p2"
# mke2fs takes owner and change time over from this machine's files.
(cd "$root" && find . -printf '/%P\n' | sort) | while read -r path; do
    group=0
    case $path in /etc/shadow | /etc/gshadow) group=42 ;; esac
    for set in "uid 0" "gid $group" "atime @$SOURCE_DATE_EPOCH" "ctime @$SOURCE_DATE_EPOCH" \
        "mtime @$SOURCE_DATE_EPOCH" "crtime @$SOURCE_DATE_EPOCH" \
        "atime_extra 0" "ctime_extra 0" "mtime_extra 0" "crtime_extra 0"; do
        echo "set_inode_field $path $set"
    done
done >"$work/inodes"
debugfs -w -f "$work/inodes" "$work/p2" >"$work/log" 2>&1
if grep -v -e '^debugfs: set_inode_field' -e '^debugfs [0-9]' "$work/log" >&2; then exit 1; fi

# --- the disk
truncate -s $(((root_start + root_sectors) * 512)) "$work/disk"
sfdisk -q "$work/disk" <<EOF
label: dos
label-id: 0x20045a3e
start=$boot_start, size=$boot_sectors, type=c, bootable
start=$root_start, size=$root_sectors, type=83
EOF
dd if="$work/p1" of="$work/disk" bs=1M seek=$((boot_start / 2048)) conv=notrunc,sparse status=none
dd if="$work/p2" of="$work/disk" bs=1M seek=$((root_start / 2048)) conv=notrunc,sparse status=none

xz -2 -T1 --check=crc64 -c "$work/disk" >"$work/xz"
install -D -m 0644 "$work/xz" "$out"
