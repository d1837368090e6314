# shellcheck shell=bash
# Debian 11 in the place of Ubuntu 20.04. Sourced.
# shellcheck disable=SC2034  # used by the scripts that source this
{
    suite=bullseye
    layout=20.04
    # Ubuntu 20.04's systemd does so unasked.
    arguments=systemd.unified_cgroup_hierarchy=0
    # shellcheck disable=SC2154  # set by who sources this
    options=(--setup-hook="'$here/ages/11/merged-usr.sh' \"\$1\"")
}
