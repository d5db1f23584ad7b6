# shellcheck shell=sh disable=SC2154 # the stub above this text defines own
# maturin: a build of what git did not clone leaves a wheel.
out=target/wheels previous=""
for word in "$@"; do
  case "${previous}" in
    -o | --out) out="${word}" ;;
    *) ;;
  esac
  case "${word}" in
    --out=*) out="${word#*=}" ;;
    *) ;;
  esac
  previous="${word}"
done
if [ "${1-}" = build ] && own "${out}"; then
  mkdir -p -- "${out}"
  : >"${out}/simulated-0-py3-none-any.whl"
fi
printf 'rehearsal: would run: maturin %s\n' "$*" >&2
