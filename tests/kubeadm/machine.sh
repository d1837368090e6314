#!/bin/sh
# Runs a command on a machine whose file system is the folder ROOT, with this machine's /usr below
# it. Of this machine's /etc, /var and /run it sees nothing.
#
#     machine.sh ROOT COMMAND...
#
# To be started by `unshare` with namespaces of its own for mounts and the host name, inside of one
# for the network. In ROOT are etc/hostname, and programs, the only folder in PATH.
set -eu
root=$1
shift

echo 1 >/proc/sys/net/ipv4/ip_forward # as the baked file for sysctl has it
hostname "$(cat "$root/etc/hostname")"

for dir in /usr /bin /sbin /lib /lib32 /lib64 /libx32; do
	if [ -L "$dir" ]; then
		ln -sfn "$(readlink "$dir")" "$root$dir"
	elif [ -d "$dir" ]; then
		mkdir -p "$root$dir"
		mount --bind -o ro "$dir" "$root$dir"
	fi
done
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/root"
mount --rbind /proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
exec chroot "$root" /usr/bin/env -i PATH=/programs HOME=/root "$@"
