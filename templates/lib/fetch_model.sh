#!/bin/bash
# Brings a model of the Hugging Face hub into the cache of HF_HOME: fetch_model.sh ORG/NAME
#
# Looks offline first: a complete cache needs no network. Old locks of the hub's cache that nobody holds are removed.
set -Eeuo pipefail

readonly STALE_MINUTES=30

main() {
  local -r model="$1"
  remove_stale_locks
  # shellcheck disable=SC2310 # its last command is all that can fail
  if HF_HUB_OFFLINE=1 client "${model}" >/dev/null 2>&1; then
    printf 'fetch_model: %s is in %s\n' "${model}" "${HF_HOME}"
  else
    printf 'fetch_model: downloading %s to %s\n' "${model}" "${HF_HOME}"
    client "${model}"
  fi
}

# Removes the locks that killed downloads left. huggingface_hub 2.4.0 keeps an empty file per blob below .locks of its cache
# (file_download.py) and holds it by flock while it downloads (utils/_fixes.py). A lock with content is one of a file system
# without flock, where the file itself is the lock; it stays. A rehearsal removes nothing: the folder is the user's.
remove_stale_locks() {
  local REPLY lock
  [[ -z "${SRT_REHEARSAL:-}" ]] && command -v flock >/dev/null || return 0
  hub_cache
  [[ -d "${REPLY}/.locks" && ! -L "${REPLY}/.locks" ]] || return 0
  while IFS= read -r -d '' lock; do
    remove_if_free "${lock}"
  done < <(find "${REPLY}/.locks" -xdev -type f -name '*.lock' -size 0 -mmin "+${STALE_MINUTES}" -print0 2>/dev/null || :)
}

# Sets REPLY to the folder of the hub's cache, as huggingface_hub chooses it (constants.py of 2.4.0).
hub_cache() {
  REPLY="${HF_HUB_CACHE:-${HUGGINGFACE_HUB_CACHE:-${HF_HOME}/hub}}"
  [[ "${REPLY}" != [~]/* ]] || REPLY="${HOME}/${REPLY#*/}"
}

# Removes a lock that this process can take. Another process may have replaced the file since it was found: then it is new.
remove_if_free() {
  local -r lock="$1"
  local fd
  { exec {fd}<>"${lock}"; } 2>/dev/null || return 0 # NFS locks only what is open for writing
  if flock -n "${fd}" && [[ "${lock}" -ef "/dev/fd/${fd}" && -n "$(find "${lock}" -mmin "+${STALE_MINUTES}" || :)" ]]; then
    rm -f -- "${lock}"
  fi
  exec {fd}>&-
}

# The client's program has had two names.
client() {
  local -r model="$1"
  if command -v hf >/dev/null; then
    hf download "${model}"
  else
    huggingface-cli download "${model}"
  fi
}

main "$@"
