# shellcheck shell=sh disable=SC2154 # the stub above this text sets STATE and REAL
# getent: addresses of the simulated nodes; the real getent answers everything else.
case "${1-}" in
  hosts) between="" ;;
  ahosts | ahostsv4) between="STREAM " ;;
  *) exec "${REAL}" "$@" ;;
esac
while read -r name address _; do
  if [ "${name}" = "${2-}" ]; then
    printf '%s  %s%s\n' "${address}" "${between}" "${name}"
    exit
  fi
done <"${STATE}/hosts"
exec "${REAL}" "$@"
