#!/bin/bash
# Runs in mmdebstrap once everything is installed: downloads what the first boot will install,
# with all that it depends on and the image lacks. The machine's own apt does it, as the
# emulated one would need minutes.
set -euo pipefail
root=$1
: "${PIBAKE_DEBS:?}" "${PIBAKE_FIRST_BOOT:?}"
read -ra wanted <<<"$PIBAKE_FIRST_BOOT"
rm -f "$root"/var/cache/apt/archives/*.deb # those of what is installed by now
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -q -y --no-install-recommends --download-only \
    install "${wanted[@]}"
mv "$root"/var/cache/apt/archives/*.deb "$PIBAKE_DEBS/"
for name in "${wanted[@]}"; do
    # some of it is in newer images already
    compgen -G "$PIBAKE_DEBS/${name}_*.deb" >/dev/null || dpkg-query --admindir="$root/var/lib/dpkg" -W "$name" >/dev/null || {
        echo "${0##*/}: $name was not downloaded" >&2
        exit 1
    }
done
