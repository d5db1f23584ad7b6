#!/bin/bash
# Brings a model of the Hugging Face hub into the cache of HF_HOME: fetch_model.sh ORG/NAME
#
# Looks offline first: a complete cache needs no network. Locks that a killed download left are removed when they are old.
set -Eeuo pipefail

readonly STALE_MINUTES=30

main() {
  local -r model="$1"
  if [[ -d "${HF_HOME}" ]]; then
    find "${HF_HOME}" -name '*.lock' -type f -mmin "+${STALE_MINUTES}" -delete
  fi
  # shellcheck disable=SC2310 # its last command is all that can fail
  if HF_HUB_OFFLINE=1 client "${model}" >/dev/null 2>&1; then
    printf 'fetch_model: %s is in %s\n' "${model}" "${HF_HOME}"
  else
    printf 'fetch_model: downloading %s to %s\n' "${model}" "${HF_HOME}"
    client "${model}"
  fi
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
