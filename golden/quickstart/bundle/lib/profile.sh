# shellcheck shell=bash
# Profiling of the workers: calls at their HTTP interface, around the runs of a benchmark.
#
# Behind Dynamo a worker is called at its system port, /engine/start_profile (in later versions /engine/control/...); a
# worker with an HTTP server of its own at /start_profile.

PROFILED=() # kind and URLs of the workers that record now

# Makes the folder of the traces: profile::directory FOLDER (for the preamble).
profile::directory() {
  mkdir -p -- "$1"
}

# Starts the recording of workers: profile::start KIND BODY URL...; KIND is dynamo or http.
profile::start() {
  local -r kind="$1" body="$2"
  shift 2
  local url
  for url in "$@"; do
    # shellcheck disable=SC2310 # it answers by its code; nothing in it counts on set -e
    if ! profile::_call "${kind}" start_profile "${body}" "${url}"; then
      printf 'profiling did not start at %s: %s\n' "${url}" "${REPLY}" >&2
      return 1
    fi
    PROFILED+=("${kind} ${url}")
    printf 'profiling started at %s\n' "${url}"
  done
}

# Stops it: profile::stop KIND URL... A worker whose window has passed has stopped by itself and may say so.
profile::stop() {
  local -r kind="$1"
  shift
  local url
  for url in "$@"; do
    # shellcheck disable=SC2310 # it answers by its code; nothing in it counts on set -e
    if profile::_call "${kind}" stop_profile '{}' "${url}"; then
      printf 'profiling stopped at %s\n' "${url}"
    else
      printf 'profiling at %s had ended: %s\n' "${url}" "${REPLY}"
    fi
  done
  PROFILED=()
}

# Waits until the traces are written, for workers write them after they have answered:
# profile::await_traces FOLDER [WHO COUNT RANKS PATTERN]... with how many files of a pattern below FOLDER each worker or mode
# owes, and how many ranks may write one. They are done when all that are owed are there and no size has changed for 10 s; it is
# an error that names who has left too few. Whether each rank writes is the engine's affair: fewer is only said.
profile::await_traces() {
  local -r folder="$1" patience="${SRT_PROFILE_WAIT_S:-300}" quiet="${SRT_PROFILE_QUIET_S:-10}"
  shift
  local size="" before="" since="${SECONDS}"
  local -r began="${SECONDS}"
  while ((SECONDS - began < patience)); do
    size="$(find "${folder}" -type f -size +0 -exec wc -c {} + 2>/dev/null)" || size=""
    profile::_missing "${folder}" "$@"
    if [[ -n "${REPLY}" || "${size}" != "${before}" ]]; then
      before="${size}"
      since="${SECONDS}"
    elif ((SECONDS - since >= quiet)); then
      printf 'traces:\n%s\n' "${size}"
      profile::_say_ranks "${folder}" "$@"
      return 0
    fi
    sleep 1
  done
  if [[ -z "${REPLY}" ]]; then
    printf 'traces in %s still grow after %d s:\n%s\n' "${folder}" "${patience}" "${size}" >&2
    return 0
  fi
  printf 'traces are missing in %s after %d s: %s\n' "${folder}" "${patience}" "${REPLY}" >&2
  return 1
}

# Sets REPLY to who has left too few traces, "" if nobody: profile::_missing FOLDER [WHO COUNT RANKS PATTERN]...
profile::_missing() {
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

# Says of which ranks a trace is missing, by number: profile::_say_ranks FOLDER [WHO COUNT RANKS PATTERN]...
profile::_say_ranks() {
  local -r folder="$1"
  shift
  while (($# > 0)); do
    profile::_count "${folder}" "$4"
    ((REPLY >= $3)) || printf 'warning: %s has %d traces of %d ranks (%s)\n' "$1" "${REPLY}" "$3" "$4" >&2
    shift 4
  done
}

# Sets REPLY to the number of files with something in them: profile::_count FOLDER PATTERN
profile::_count() {
  REPLY="$(cd -- "$1" && find . -type f -size +0 -path "./$2" | wc -l)" 2>/dev/null || REPLY=0
  REPLY="$((REPLY))" # wc may indent
}

# A run failed: workers must not go on recording.
profile::abandon() {
  local item
  for item in ${PROFILED[@]+"${PROFILED[@]}"}; do
    # shellcheck disable=SC2310 # it answers by its code; nothing in it counts on set -e
    profile::_call "${item%% *}" stop_profile '{}' "${item#* }" || :
  done
}

# Posts a call; sets REPLY to what went wrong. A status 200 may still carry {"status": "error"}.
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
