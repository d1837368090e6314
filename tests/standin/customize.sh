#!/bin/bash
# Runs in mmdebstrap at the end: gives Debian's root file system the shape of Ubuntu's Pi server
# image wherever pibake, cloud-init or the first boot look.
set -euo pipefail
root=$1

echo ubuntu >"$root/etc/hostname"
cat >"$root/etc/hosts" <<'EOF'
127.0.0.1 localhost

# The following lines are desirable for IPv6 capable hosts
::1 ip6-localhost ip6-loopback
fe00::0 ip6-localnet
ff00::0 ip6-mcastprefix
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
ff02::3 ip6-allhosts
EOF
mkdir -p "$root/boot/firmware"
cat >"$root/etc/fstab" <<'EOF'
LABEL=writable	/	 ext4	defaults	0 0
LABEL=system-boot       /boot/firmware  vfat    defaults        0       1
EOF

# cloud-init finds its seed on the boot partition, as in Ubuntu's images.
cat >"$root/etc/cloud/cloud.cfg.d/99-fake_cloud.cfg" <<'EOF'
# configure cloud-init for NoCloud
datasource_list: [ NoCloud, None ]
datasource:
  NoCloud:
    fs_label: system-boot
EOF
# In cloud-init's own file, where Ubuntu has them too: what lies beside it in cloud.cfg.d is somebody's
# settings, and no part of an image. The default user's name; the package sources, which Debian's
# cloud-init leaves alone and Ubuntu's writes, with the mirror that the user-data names.
config=$root/etc/cloud/cloud.cfg
sed -i \
    -e 's/^\( *name\): debian$/\1: ubuntu/' \
    -e 's/^\( *gecos\): Debian$/\1: Ubuntu/' \
    -e 's/^\( *groups\): \[adm,.*/\1: [adm, sudo]/' \
    -e 's/^\( *preserve_sources_list\): true$/\1: false/' \
    -e '/^apt_preserve_sources_list: true$/d' "$config" # older ones have no other
# Differences that only make emulated boots work or shorter: locales are stripped, so setting one
# fails; one kind of host key costs seconds, three cost a minute.
cat >>"$config" <<'EOF'

locale: "false"
ssh_genkeytypes: [ed25519]
EOF
for line in 'name: ubuntu' 'gecos: Ubuntu' 'groups: [adm, sudo]'; do
    grep -qF " $line" "$config" || {
        echo "cloud.cfg is not as it was: there is no place for $line" >&2
        exit 1
    }
done
if grep -n 'preserve_sources_list: true' "$config"; then
    echo 'cloud.cfg is not as it was: it leaves the package sources alone' >&2
    exit 1
fi
# Where every link is optional or missing, wait-online sits out its two minutes.
mkdir -p "$root/etc/systemd/system/systemd-networkd-wait-online.service.d"
cat >"$root/etc/systemd/system/systemd-networkd-wait-online.service.d/standin.conf" <<'EOF'
[Service]
ExecStart=
ExecStart=/lib/systemd/systemd-networkd-wait-online --timeout=10
EOF

# What a machine makes for itself when it first boots.
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id"
rm -f "$root/etc/resolv.conf"
ln -s ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
chroot "$root" systemctl -q enable systemd-networkd systemd-resolved systemd-timesyncd ssh
chroot "$root" systemctl -q mask e2scrub_reap.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer

# The tests offer their own package sources; this machine's mirror is no business of the image's.
: >"$root/etc/apt/sources.list"
rm -f "$root"/etc/apt/sources.list.d/*
# What sped up the making is not for the image: with a dpkg that does not sync, power cuts would do
# what they never do to the real one.
rm "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap" "$root/etc/apt/apt.conf.d/99mmdebstrap"
sed -i 's/^update_initramfs=no/update_initramfs=yes/' "$root/etc/initramfs-tools/update-initramfs.conf"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*.log

printf 'pibake-standin\n' >"$root/etc/pibake-standin"
