# shellcheck shell=bash
# What the tests make once and keep, in ${XDG_CACHE_HOME:-~/.cache}/pibake-test, under the hash of
# all that makes it. Sourced by the scripts that make such a thing; each prints the folder of it.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/pibake-test

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# hash_of FILE...: of their contents, wherever the checkout lies.
hash_of() {
    cat -- "$@" | sha256sum | cut -c 1-16
}

# offer NAME KEY TARGET [--if-cached]: prints the folder and ends where it is kept already. Where it
# is not, --if-cached fails at once and says which of make's targets makes it.
offer() {
    kept_name=$1
    final=$cache/$1-$2
    if [ -d "$final" ]; then
        echo "$final"
        exit
    fi
    case ${4:-} in
    --if-cached) die "$final is not there: \`make $3\` makes it" ;;
    '') ;;
    *) die "unknown argument $4" ;;
    esac
    mkdir -p "$cache"
}

# begin WHAT: from here on $part is being made, alone, and what is printed goes to a log. Whatever
# ends the script, nothing unfinished stays; a failure shows the end of the log.
begin() {
    # Two at once: the second waits and finds it made.
    exec 9>"$cache/$kept_name.lock"
    flock 9
    if [ -d "$final" ]; then
        echo "$final"
        exit
    fi
    find "$cache" -maxdepth 1 -name "$kept_name-*.part" -exec rm -rf --one-file-system {} + # of killed runs
    part=$final.part
    log=$cache/$kept_name.log
    rm -f "$log"
    mkdir "$part"
    echo "making $1; it is kept in $final" >&2
    exec 3>&1 4>&2 >"$log" 2>&1
    trap ended EXIT
}

ended() {
    local status=$?
    exec >&3 2>&4
    rm -rf --one-file-system "$part"
    [ $status = 0 ] && exit
    tail -n 40 "$log"
    die "making $kept_name failed; all it said is in $log"
} >&4

# keep: what is in $part is whole.
keep() {
    sync -f "$part"
    mv -T "$part" "$final"
    echo "$final" >&3
}
