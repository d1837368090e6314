# shellcheck shell=bash
# Debian 13 in the place of Ubuntu 26.04. Sourced.
# shellcheck disable=SC2034  # used by the scripts that source this
{
    suite=trixie
    layout=26.04
    arguments=
    options=()
}
