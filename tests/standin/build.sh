#!/bin/bash
# Prints the directory that holds a stand-in for Ubuntu's image, and makes it first where it is
# not there: Debian for arm64 with Ubuntu's partitions, labels, boot files and seed. There are three, by
# the release of Debian that they are made of (ages/): 12, which is meant where none is named, 11 and 13.
#
#     standin.img.xz    compressed as Ubuntu compresses
#     debs/             what a first boot installs, and what that depends on
#     packages          what is in the image: package and version
#
# Making it needs root (asked for with sudo), a Debian mirror and, without an arm64 machine, 10 to
# 20 minutes. It is kept in ${XDG_CACHE_HOME:-~/.cache}/pibake-test, under the hash of all that makes
# it, and belongs to whoever asked. What makes one age alone is in no other's hash.
#
#     tests/standin/build.sh [11|12|13] [--if-cached]     --if-cached: fail at once where it is not there
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/lib.sh"

age=12
case ${1:-} in
[0-9]*)
    age=$1
    shift
    ;;
esac
[ -d "$here/ages/$age" ] || die "there is no stand-in $age: $(cd "$here/ages" && echo *)"
# shellcheck source=ages/12/age.sh
. "$here/ages/$age/age.sh"
mapfile -t scripts < <(find "$here" -maxdepth 1 \( -name '*.sh' -o -name '*.txt' \) | LC_ALL=C sort
    find "$here/ages/$age" "$here/layouts/$layout" -type f | LC_ALL=C sort)
offer "standin$age" "$(hash_of "${scripts[@]}")" "standin STANDIN=$age" "$@"
if [ "$(id -u)" != 0 ]; then
    echo "making the stand-in image needs root: an arm64 system's own programs are run in a chroot" >&2
    exec sudo XDG_CACHE_HOME="$(readlink -f "$cache/..")" PIBAKE_OWNER="$(id -u):$(id -g)" "$0" "$age"
fi
owner=${PIBAKE_OWNER:-$(id -u):$(id -g)}
begin "the stand-in image of Debian $age, 10 to 20 minutes"
chown "$owner" "$cache/$kept_name.lock" "$log"

# In namespaces of its own: whatever kills this, no process and no mount stays behind.
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc \
    "$here/rootfs.sh" "$age" "$part/root" "$part/debs"
# shellcheck disable=SC2016  # dpkg's own notation, not the shell's
dpkg-query --admindir="$part/root/var/lib/dpkg" -W -f '${Package} ${Version}\n' >"$part/packages"
"$here/image.sh" "$age" "$part/root" "$part/standin.img"
rm -rf --one-file-system "$part/root"
xz -0 -T4 "$part/standin.img" # as Ubuntu's build does
chown -R "$owner" "$part"
keep
