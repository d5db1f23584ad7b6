#!/bin/bash
# Copies a model to the local disk of this node: stage_model.sh SOURCE TARGET
#
# Skips files that exist with the same name and size. Each file is copied under a temporary name and then renamed, so an
# interrupted copy is never mistaken for a complete one. Exits with 1 if the copy differs from the original.
#
# Workers load the copy, which is compared by name and size only, so TARGET must be a private directory.
set -Eeuo pipefail
umask 022 # other users must not write to the copy

source "${BASH_SOURCE[0]%/*}/private.sh"

readonly COPIES=16

main() {
  local -r source="$1" target="$2"
  local lock
  local -a missing
  if [[ -n "${SRT_REHEARSAL:-}" ]]; then
    log "skipped in a rehearsal, which has no model: ${target}"
    return 0
  fi
  mkdir -p -- "${target}"
  # shellcheck disable=SC2310 # it returns its status; it does not rely on set -e
  private::check "${target}" ||
    fail "other users can change the model in ${target}; set model.stage_dir to a directory that only you can write to"
  exec {lock}>>"${target}/.staging.lock"
  flock "${lock}" # another job on this node may stage the same model
  list_files "${source}" | LC_ALL=C sort >"${TMP}/wanted"
  list_files "${target}" | LC_ALL=C sort >"${TMP}/present"
  LC_ALL=C comm -23 "${TMP}/wanted" "${TMP}/present" >"${TMP}/missing"
  if [[ ! -s "${TMP}/wanted" ]]; then
    fail "${source} contains no files"
  elif [[ ! -s "${TMP}/missing" ]]; then
    log "${target} is complete"
    return 0
  fi
  check_space "${target}"
  mapfile -t missing <"${TMP}/missing"
  log "copying ${#missing[@]} files to ${target}"
  cut -d / -f 2- "${TMP}/missing" | tr '\n' '\0' |
    xargs -0 -P "${COPIES}" -n 1 bash "${BASH_SOURCE[0]}" --one "${source}" "${target}"
  list_files "${target}" | LC_ALL=C sort >"${TMP}/present"
  LC_ALL=C comm -23 "${TMP}/wanted" "${TMP}/present" >"${TMP}/missing"
  if [[ -s "${TMP}/missing" ]]; then
    fail "${target} differs from ${source} after copying"
  fi
  log "${target} is complete"
}

# Prints "SIZE/PATH" of every file below a directory, following links.
list_files() {
  local -r folder="$1"
  find -L "${folder}" -type f ! -name '.staging.*' -printf '%s/%P\n'
}

check_space() {
  local -r target="$1"
  local needed free
  needed="$(awk -F / '{ sum += $1 } END { printf "%d", sum / 1024 + 1 }' "${TMP}/missing")"
  free="$(df -Pk -- "${target}" | awk 'NR == 2 { print $4 }')"
  ((free > needed)) || fail "not enough space in ${target}: ${needed} KiB required, ${free} KiB free"
}

# Copies one file under a temporary name and renames it.
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

log() {
  printf 'stage_model %s: %s\n' "${SLURMD_NODENAME:-here}" "$1"
}

fail() {
  log "$1" >&2
  exit 1
}

if [[ "$1" == --one ]]; then
  copy_one "${@:2}"
else
  TMP="$(mktemp -d "${TMPDIR:-/tmp}/srtplan-${SLURM_JOB_ID:-0}-stage.XXXXXX")"
  trap 'rm -rf -- "${TMP}"' EXIT
  main "$@"
fi
