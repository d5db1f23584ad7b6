#!/bin/bash
# Downloads a model of the Hugging Face hub into the cache below HF_HOME: fetch_model.sh ORG/NAME
#
# Tries offline first, because a complete cache needs no network. Removes stale locks of the cache.
set -Eeuo pipefail

readonly STALE_MINUTES=30

main() {
  local -r model="$1"
  remove_stale_locks
  # shellcheck disable=SC2310 # only its last command can fail
  if HF_HUB_OFFLINE=1 download "${model}" >/dev/null 2>&1; then
    printf 'fetch_model: %s is already in %s\n' "${model}" "${HF_HOME}"
  else
    printf 'fetch_model: downloading %s to %s\n' "${model}" "${HF_HOME}"
    download "${model}"
  fi
}

# Removes the locks of killed downloads. huggingface_hub 2.4.0 creates an empty file per blob in the .locks directory of its
# cache (file_download.py) and holds it with flock during the download (utils/_fixes.py). A lock file with content stays: on
# file systems without flock the file itself is the lock. A rehearsal removes nothing, because the cache is the user's.
remove_stale_locks() {
  local REPLY lock
  [[ -z "${SRT_REHEARSAL:-}" ]] && command -v flock >/dev/null || return 0
  hub_cache
  [[ -d "${REPLY}/.locks" && ! -L "${REPLY}/.locks" ]] || return 0
  while IFS= read -r -d '' lock; do
    remove_if_free "${lock}"
  done < <(find "${REPLY}/.locks" -xdev -type f -name '*.lock' -size 0 -mmin "+${STALE_MINUTES}" -print0 2>/dev/null || :)
}

# Sets REPLY to the directory of the hub's cache, chosen as in huggingface_hub (constants.py of 2.4.0).
hub_cache() {
  REPLY="${HF_HUB_CACHE:-${HUGGINGFACE_HUB_CACHE:-${HF_HOME}/hub}}"
  [[ "${REPLY}" != [~]/* ]] || REPLY="${HOME}/${REPLY#*/}"
}

# Removes a lock file that this process can lock, unless another process has replaced the file in the meantime.
remove_if_free() {
  local -r lock="$1"
  local fd
  { exec {fd}<>"${lock}"; } 2>/dev/null || return 0 # NFS requires the file to be open for writing
  if flock -n "${fd}" && [[ "${lock}" -ef "/dev/fd/${fd}" && -n "$(find "${lock}" -mmin "+${STALE_MINUTES}" || :)" ]]; then
    rm -f -- "${lock}"
  fi
  exec {fd}>&-
}

# Runs the client of the hub, under its current or its former name.
download() {
  local -r model="$1"
  if command -v hf >/dev/null; then
    hf download "${model}"
  else
    huggingface-cli download "${model}"
  fi
}

main "$@"
