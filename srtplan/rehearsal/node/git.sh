# shellcheck shell=sh disable=SC2154 # the stub above this text sets REAL
# git: what needs the network is not done; a clone has the folders that a build of Dynamo looks for.
verb=""
for word in "$@"; do
  case "${word}" in
    clone | fetch | pull | ls-remote | checkout | submodule) verb="${verb:-${word}}" ;;
    *) ;;
  esac
done
[ -n "${verb}" ] || exec "${REAL}" "$@"
printf 'rehearsal: would run: git %s\n' "$*" >&2
if [ "${verb}" = clone ]; then
  for target in "$@"; do :; done # the last word: the folder, or the repository
  case "${target}" in
    *://* | *@*:*)
      target="${target%/}"
      target="${target##*/}"
      target="${target%.git}"
      ;;
    *) ;;
  esac
  if own "${target}"; then
    mkdir -p -- "${target}/lib/bindings/python"
    : >"${target}/lib/bindings/python/Cargo.toml"
  fi
fi
