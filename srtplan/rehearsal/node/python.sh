# shellcheck shell=sh disable=SC2154 # the stub above this text sets STATE, REAL and STUBS
# python: modules of the Plan are simulated, all else is the real Python.
#
# `-c CODE MODULE`, which asks for a module's source, is answered, and a copy of such a source is the module.
if [ "${1-}" = -u ]; then
  shift
fi
case "${1-}" in
  -m) module="${2-}" ;;
  -c) module="${3-}" ;;
  */*)
    module="${1##*/}"
    module="${module%.py}"
    ;;
  *) module="" ;;
esac
if [ -z "${module}" ] || ! { [ -f "${STATE}/stand-ins/${module}" ] || [ "${module}" = pip ]; }; then
  exec "${REAL}" "$@"
elif [ "$1" = -c ]; then
  printf '%s\n' "${STATE}/sources/${module}.py"
  exit
elif [ "$1" = -m ]; then
  shift
fi
shift
exec "${STUBS}/${module}" "$@"
