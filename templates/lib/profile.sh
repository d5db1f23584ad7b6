# shellcheck shell=bash
# Profiling of the workers through their HTTP interface, around the runs of a benchmark.
#
# A worker of Dynamo is called on its system port at /engine/start_profile (/engine/control/start_profile in later versions),
# a worker with its own HTTP server at /start_profile.

PROFILING_WORKERS=() # kind and URL of each worker that is recording

# Creates the directory of the traces: profile::directory DIRECTORY (for the preamble).
profile::directory() {
  mkdir -p -- "$1"
}

# Starts profiling on workers: profile::start KIND BODY URL...; KIND is dynamo or http.
profile::start() {
  local -r kind="$1" body="$2"
  shift 2
  local url
  for url in "$@"; do
    # shellcheck disable=SC2310 # it returns its status; it does not rely on set -e
    if ! profile::_call "${kind}" start_profile "${body}" "${url}"; then
      printf 'profiling did not start at %s: %s\n' "${url}" "${REPLY}" >&2
      return 1
    fi
    PROFILING_WORKERS+=("${kind} ${url}")
    printf 'profiling started at %s\n' "${url}"
  done
}

# Stops profiling: profile::stop KIND URL... A worker that has recorded its last step has already stopped and may report an error.
profile::stop() {
  local -r kind="$1"
  shift
  local url
  for url in "$@"; do
    # shellcheck disable=SC2310 # it returns its status; it does not rely on set -e
    if profile::_call "${kind}" stop_profile '{}' "${url}"; then
      printf 'profiling stopped at %s\n' "${url}"
    else
      printf 'profiling had already stopped at %s: %s\n' "${url}" "${REPLY}"
    fi
  done
  PROFILING_WORKERS=()
}

# Waits until the traces are complete: profile::await_traces DIRECTORY [WORKER COUNT RANKS PATTERN]...
# Workers write their traces after they have answered. For each worker or mode, COUNT is the required number of files that match
# PATTERN below DIRECTORY, and RANKS the number of ranks that may write one. The traces are complete when the required files
# exist and no size has changed for 10 s. Fewer than COUNT is an error; fewer than RANKS is a warning, because not every engine
# writes one file per rank.
profile::await_traces() {
  local -r folder="$1" timeout="${SRT_PROFILE_WAIT_S:-300}" quiet="${SRT_PROFILE_QUIET_S:-10}"
  shift
  local size="" before="" since="${SECONDS}"
  local -r began="${SECONDS}"
  while ((SECONDS - began < timeout)); do
    size="$(find "${folder}" -type f -size +0 -exec wc -c {} + 2>/dev/null)" || size=""
    profile::_list_missing "${folder}" "$@"
    if [[ -n "${REPLY}" || "${size}" != "${before}" ]]; then
      before="${size}"
      since="${SECONDS}"
    elif ((SECONDS - since >= quiet)); then
      printf 'traces:\n%s\n' "${size}"
      profile::_warn_missing_ranks "${folder}" "$@"
      return 0
    fi
    sleep 1
  done
  if [[ -z "${REPLY}" ]]; then
    printf 'traces in %s still growing after %d s:\n%s\n' "${folder}" "${timeout}" "${size}" >&2
    return 0
  fi
  printf 'traces missing in %s after %d s: %s\n' "${folder}" "${timeout}" "${REPLY}" >&2
  return 1
}

# Sets REPLY to the workers with too few traces: profile::_list_missing DIRECTORY [WORKER COUNT RANKS PATTERN]...
profile::_list_missing() {
  local -r folder="$1"
  shift
  local missing=""
  while (($# > 0)); do
    profile::_count "${folder}" "$4"
    ((REPLY >= $2)) || missing+="${missing:+; }$1 has ${REPLY} of $2 ($4)"
    shift 4
  done
  REPLY="${missing}"
}

# Warns about workers with fewer traces than ranks: profile::_warn_missing_ranks DIRECTORY [WORKER COUNT RANKS PATTERN]...
profile::_warn_missing_ranks() {
  local -r folder="$1"
  shift
  while (($# > 0)); do
    profile::_count "${folder}" "$4"
    ((REPLY >= $3)) || printf 'warning: %s: %d of %d ranks wrote a trace (%s)\n' "$1" "${REPLY}" "$3" "$4" >&2
    shift 4
  done
}

# Sets REPLY to the number of non-empty files: profile::_count DIRECTORY PATTERN
profile::_count() {
  REPLY="$(cd -- "$1" && find . -type f -size +0 -path "./$2" | wc -l)" 2>/dev/null || REPLY=0
  REPLY="$((REPLY))" # wc may indent
}

# Stops profiling after a failed run.
profile::abandon() {
  local item
  for item in ${PROFILING_WORKERS[@]+"${PROFILING_WORKERS[@]}"}; do
    # shellcheck disable=SC2310 # it returns its status; it does not rely on set -e
    profile::_call "${item%% *}" stop_profile '{}' "${item#* }" || :
  done
}

# Posts a request; sets REPLY to the error. An answer with status 200 may still contain {"status": "error"}.
profile::_call() {
  local -r kind="$1" verb="$2" body="$3" url="$4"
  local path answer status
  local -a paths=("/${verb}")
  [[ "${kind}" != dynamo ]] || paths=("/engine/${verb}" "/engine/control/${verb}")
  for path in "${paths[@]}"; do
    answer="$(curl --silent --show-error --noproxy '*' --max-time 120 --write-out '\n%{http_code}' \
      --header 'Content-Type: application/json' --data "${body}" "${url}${path}" 2>&1)" || :
    status="${answer##*$'\n'}"
    REPLY="HTTP status ${status}: ${answer%$'\n'*}"
    [[ "${status}" == 404 ]] || break
  done
  [[ "${status}" == 200 && ! "${answer}" =~ \"status\"[[:space:]]*:[[:space:]]*\"error\" ]]
}
