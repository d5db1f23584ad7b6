#!/bin/bash
# Copies a model to this node's own disk: stage_model.sh SOURCE TARGET
#
# Files whose name and size are already there are left. Each file is copied beside its place and then renamed, so a copy that was
# interrupted is never taken for a whole one. Ends with 1 if the copy is not the original afterwards.
#
# Workers load what is here, and the copy is compared by name and size only, so the target must be this user's own directory.
set -Eeuo pipefail
umask 022 # nobody else may write in the copy

source "${BASH_SOURCE[0]%/*}/private.sh"

readonly COPIES=16

main() {
  local -r source="$1" target="$2"
  local lock
  local -a missing
  if [[ -n "${SRT_REHEARSAL:-}" ]]; then
    say "a rehearsal copies nothing to ${target}" # it has no model
    return 0
  fi
  mkdir -p -- "${target}"
  # shellcheck disable=SC2310 # it answers by its code; nothing in it counts on set -e
  private::check "${target}" || fail "other users could change the model in ${target}; set model.stage_dir to a directory of your own"
  exec {lock}>>"${target}/.staging.lock"
  flock "${lock}" # another job on this node may want the same model
  list "${source}" | LC_ALL=C sort >"${TMP}/wanted"
  list "${target}" | LC_ALL=C sort >"${TMP}/present"
  LC_ALL=C comm -23 "${TMP}/wanted" "${TMP}/present" >"${TMP}/missing"
  if [[ ! -s "${TMP}/wanted" ]]; then
    fail "${source} holds no files"
  elif [[ ! -s "${TMP}/missing" ]]; then
    say "${target} is complete"
    return 0
  fi
  check_space "${target}"
  mapfile -t missing <"${TMP}/missing"
  say "copying ${#missing[@]} files to ${target}"
  cut -d / -f 2- "${TMP}/missing" | tr '\n' '\0' |
    xargs -0 -P "${COPIES}" -n 1 bash "${BASH_SOURCE[0]}" --one "${source}" "${target}"
  list "${target}" | LC_ALL=C sort >"${TMP}/present"
  LC_ALL=C comm -23 "${TMP}/wanted" "${TMP}/present" >"${TMP}/missing"
  if [[ -s "${TMP}/missing" ]]; then
    fail "${target} is not what ${source} is"
  fi
  say "${target} is complete"
}

# Lines of "SIZE/PATH" of all files below a folder; links are followed.
list() {
  local -r folder="$1"
  find -L "${folder}" -type f ! -name '.staging.*' -printf '%s/%P\n'
}

check_space() {
  local -r target="$1"
  local needed free
  needed="$(awk -F / '{ sum += $1 } END { printf "%d", sum / 1024 + 1 }' "${TMP}/missing")"
  free="$(df -Pk -- "${target}" | awk 'NR == 2 { print $4 }')"
  ((free > needed)) || fail "${target} has room for ${free} KiB, the model needs ${needed} KiB more"
}

# One file, through a name beside its place.
copy_one() {
  local -r source="$1" target="$2" path="$3"
  local folder name
  folder="${target}/${path}"
  folder="${folder%/*}"
  name="${path##*/}"
  mkdir -p -- "${folder}"
  cp -L -- "${source}/${path}" "${folder}/.staging.${name}"
  mv -f -- "${folder}/.staging.${name}" "${folder}/${name}"
}

say() {
  printf 'stage_model %s: %s\n' "${SLURMD_NODENAME:-here}" "$1"
}

fail() {
  say "$1" >&2
  exit 1
}

if [[ "$1" == --one ]]; then
  copy_one "${@:2}"
else
  TMP="$(mktemp -d "${TMPDIR:-/tmp}/srtplan-${SLURM_JOB_ID:-0}-stage.XXXXXX")"
  trap 'rm -rf -- "${TMP}"' EXIT
  main "$@"
fi
