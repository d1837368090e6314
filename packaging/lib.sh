# shellcheck shell=sh
# shellcheck disable=SC2154 # $repo is of the script that sources this
# What the scripts of this folder share. Sourced, with $repo set.

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# need PROGRAM PACKAGE
need() {
	command -v "$1" >/dev/null 2>&1 || die "this needs $1: install the Debian package $2"
}

version() {
	sed -n 's/^version = "\(.*\)"$/\1/p' "$repo/Cargo.toml" | head -n 1
}

# machine_of PROGRAM: what it runs on, as rustc and as Debian say it.
machine_of() {
	need readelf binutils
	case $(LC_ALL=C readelf -h "$1" | sed -n 's/^ *Machine: *//p') in
	*X86-64) echo x86_64 amd64 ;;
	AArch64) echo aarch64 arm64 ;;
	*) die "$1 is a program for neither x86-64 nor arm64" ;;
	esac
}

is_static() {
	need readelf binutils
	! LC_ALL=C readelf -lW "$1" | grep -q ' INTERP ' && ! LC_ALL=C readelf -dW "$1" | grep -q '(NEEDED)'
}

# The time of everything that is packed: the same sources make the same bytes.
epoch() {
	if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
		echo "$SOURCE_DATE_EPOCH"
	else
		git -C "$repo" log -1 --format=%ct 2>/dev/null || date +%s
	fi
}
