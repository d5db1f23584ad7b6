# shellcheck shell=sh
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
if [ "${1-}" = build ]; then
  mkdir -p -- "${out}"
  : >"${out}/simulated-0-py3-none-any.whl"
fi
printf 'rehearsal: would run: maturin %s\n' "$*" >&2
