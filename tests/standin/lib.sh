# shellcheck shell=bash
# What the stand-in's scripts share. Sourced.

# shellcheck source=../support/kept.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/kept.sh"

# The entries of a list file: one a line, '#' begins a comment.
entries() {
    sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$1"
}

# Prints the Debian mirror that apt on this machine already uses. Prints nothing where it uses
# none, as on Ubuntu: mmdebstrap then takes its own default.
debian_mirror() {
    # shellcheck disable=SC2016  # apt's own notation, not the shell's
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
        'Label: Debian' | head -n 1
}

# Makes this kernel run arm64 programs through qemu-user, also inside a chroot (binfmt_misc's
# flag F). systemd does that at boot; in containers and small VMs nobody has.
ensure_arm64() {
    if arch-test arm64 >/dev/null 2>&1; then
        return
    fi
    local register=/proc/sys/fs/binfmt_misc/register rule=/usr/lib/binfmt.d/qemu-aarch64.conf
    [ -e "$register" ] || mount -t binfmt_misc binfmt_misc "${register%/*}" ||
        die "cannot mount binfmt_misc, so arm64 programs cannot be run here"
    [ -e "$rule" ] || die "$rule is missing: install the package qemu-user-static"
    cat "$rule" >"$register"
    arch-test arm64 >/dev/null || die "arm64 programs do not run here although $rule is registered"
}
