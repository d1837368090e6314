#!/bin/bash
# Prints the directory that holds the stand-in for Ubuntu's image, and makes it first where it is
# not there: Debian for arm64 with Ubuntu's partitions, labels, boot files and seed.
#
#     standin.img.xz    compressed as Ubuntu compresses
#     debs/             what a first boot installs, and what that depends on
#     packages          what is in the image: package and version
#
# Making it needs root (asked for with sudo), a Debian mirror and, without an arm64 machine, 10 to
# 20 minutes. It is kept in ${XDG_CACHE_HOME:-~/.cache}/pibake-test, under the hash of all that makes
# it, and belongs to whoever asked.
#
#     tests/standin/build.sh [--if-cached]     --if-cached: fail at once where it is not there
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/lib.sh"

mapfile -t scripts < <(find "$here" -type f | LC_ALL=C sort)
key=$(hash_of "${scripts[@]}")
offer standin "$key" standin "$@"
if [ "$(id -u)" != 0 ]; then
    echo "making the stand-in image needs root: an arm64 system's own programs are run in a chroot" >&2
    exec sudo XDG_CACHE_HOME="$(readlink -f "$cache/..")" PIBAKE_OWNER="$(id -u):$(id -g)" "$0"
fi
owner=${PIBAKE_OWNER:-$(id -u):$(id -g)}
begin "the stand-in image, 10 to 20 minutes"
chown "$owner" "$cache/standin.lock" "$log"

# In namespaces of its own: whatever kills this, no process and no mount stays behind.
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc \
    "$here/rootfs.sh" "$part/root" "$part/debs"
# shellcheck disable=SC2016  # dpkg's own notation, not the shell's
dpkg-query --admindir="$part/root/var/lib/dpkg" -W -f '${Package} ${Version}\n' >"$part/packages"
"$here/image.sh" "$part/root" "$part/standin.img"
rm -rf --one-file-system "$part/root"
xz -0 -T4 "$part/standin.img" # as Ubuntu's build does
chown -R "$owner" "$part"
keep
