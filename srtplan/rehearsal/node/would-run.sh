# shellcheck shell=sh disable=SC2154 # the stub above this text sets NAME
# Installers, downloads and builds: they only say what they would do.
printf '%s (simulated): would run: %s\n' "${NAME}" "${NAME}${*:+ $*}"
