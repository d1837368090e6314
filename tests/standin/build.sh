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

key=$(cd "$here" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pibake-test
final=$cache/standin-$key
if [ -d "$final" ]; then
    echo "$final"
    exit
fi
case ${1:-} in
--if-cached) die "$final is not there: \`make standin\` makes it" ;;
'') ;;
*) die "unknown argument $1" ;;
esac
mkdir -p "$cache"
if [ "$(id -u)" != 0 ]; then
    echo "making the stand-in image needs root: an arm64 system's own programs are run in a chroot" >&2
    exec sudo XDG_CACHE_HOME="$(readlink -f "$cache/..")" PIBAKE_OWNER="$(id -u):$(id -g)" "$0"
fi
owner=${PIBAKE_OWNER:-$(id -u):$(id -g)}

# Two at once: the second waits and finds it made.
exec 9>"$cache/standin.lock"
chown "$owner" "$cache/standin.lock"
flock 9
if [ -d "$final" ]; then
    echo "$final"
    exit
fi
find "$cache" -maxdepth 1 -name 'standin-*.part' -exec rm -rf --one-file-system {} + # of killed runs
part=$final.part
log=$cache/standin.log
rm -f "$log"
mkdir "$part"
echo "making the stand-in image, 10 to 20 minutes; it is kept in $final" >&2
exec 3>&1 4>&2 >"$log" 2>&1
ended() {
    local status=$?
    exec >&3 2>&4
    rm -rf --one-file-system "$part"
    [ $status = 0 ] && exit
    tail -n 40 "$log"
    die "making the stand-in failed; all it said is in $log"
} >&4
trap ended EXIT

# In namespaces of its own: whatever kills this, no process and no mount stays behind.
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc \
    "$here/rootfs.sh" "$part/root" "$part/debs"
# shellcheck disable=SC2016  # dpkg's own notation, not the shell's
dpkg-query --admindir="$part/root/var/lib/dpkg" -W -f '${Package} ${Version}\n' >"$part/packages"
"$here/image.sh" "$part/root" "$part/standin.img"
rm -rf --one-file-system "$part/root"
xz -0 -T4 "$part/standin.img" # as Ubuntu's build does
chown -R "$owner" "$part" "$log"
sync -f "$part"
mv -T "$part" "$final"
echo "$final" >&3
