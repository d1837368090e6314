# shellcheck shell=bash
# Debian 12, which pibake knows by its own name, with the boot partition of Ubuntu 20.04. Sourced.
# shellcheck disable=SC2034  # used by the scripts that source this
{
    suite=bookworm
    layout=20.04
    arguments=
    options=()
}
