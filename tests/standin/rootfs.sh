#!/bin/bash
# Makes the root file system of the stand-in of age $1 in the directory $2 and puts the packages of the
# first boot into the directory $3. Needs root, and CPU time: arm64 programs run under emulation.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/lib.sh"
age=$1 root=$2 debs=$3
# shellcheck source=ages/12/age.sh
. "$here/ages/$age/age.sh"

ensure_arm64
mapfile -t packages < <(entries "$here/packages.txt"; entries "$here/ages/$age/packages.txt")
mirror=$(debian_mirror)
sources=()
if [ -n "$mirror" ]; then
    sources=("deb $mirror $suite main" "deb $mirror $suite-updates main")
fi

# What no node of a cluster in an emulator looks at: half of the size, a third of the time.
exclude=(
    '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/locale/*' '/usr/share/i18n/locales/*'
)
# the kernel's package has them in /usr since Debian 13
for drivers in accel ata comedi gpu hwmon iio infiniband input/touchscreen isdn media \
    net/ethernet net/wireless nfc scsi staging; do
    exclude+=("/lib/modules/*/kernel/drivers/$drivers/*" "/usr/lib/modules/*/kernel/drivers/$drivers/*")
done
exclude+=('/lib/modules/*/kernel/sound/*' '/usr/lib/modules/*/kernel/sound/*')

# mmdebstrap 1.3 hands a file descriptor to a shell that knows numbers of one digit alone, so none
# may be taken by what the caller has open.
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-

mkdir -p "$debs"
PIBAKE_DEBS=$debs PIBAKE_FIRST_BOOT=$(entries "$here/first-boot-packages.txt" | tr '\n' ' ') \
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date +%s)} \
    mmdebstrap --mode=root --variant=minbase --arch=arm64 --components=main --format=directory \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --aptopt='Acquire::Retries "5"' --dpkgopt=force-unsafe-io --dpkgopt=force-confold \
    "${exclude[@]/#/--dpkgopt=path-exclude=}" \
    --include="$(IFS=,; printf %s "${packages[*]}")" \
    "${options[@]}" \
    --essential-hook="'$here/initramfs.sh' \"\$1\"" \
    --customize-hook="'$here/fetch-debs.sh' \"\$1\"" \
    --customize-hook="'$here/customize.sh' \"\$1\"" \
    "$suite" "$root" "${sources[@]}"
