# shellcheck shell=bash
# The log of a job, for people. A failed write is ignored, so a full disk or a missing directory does not stop the supervisor.

LOG_FD=""
NEXT_CAP=60

# Opens logs/job.log of this run. Before that, lines go to stdout only.
log::open() {
  local -r run_dir="$1"
  { exec {LOG_FD}>>"${run_dir}/logs/job.log"; } 2>/dev/null || LOG_FD=""
}

log::info() {
  log::_line INFO "$*"
}

log::warn() {
  log::_line WARN "$*"
}

log::error() {
  log::_line ERROR "$*"
}

# Prints lines as they are, such as a table or the log of a step.
log::text() {
  {
    printf '%s\n' "$@"
    [[ -z "${LOG_FD}" ]] || printf '%s\n' "$@" >&"${LOG_FD}"
  } 2>/dev/null
  return 0
}

log::_line() {
  local -r level="$1" message="$2"
  local line
  printf -v line '%(%FT%T)T %-5s %s' -1 "${level}" "${message}"
  log::text "${line}"
}

# Once a minute, in the background: truncates logs larger than SRTPLAN_LOG_CAP_MB (default 1024, 0 disables it) and keeps the
# old content as <log>.old. All writers append, so only lines written during the copy can be lost.
log::cap() {
  local -r cap="${SRTPLAN_LOG_CAP_MB:-1024}"
  ((NOW >= NEXT_CAP)) || return 0
  NEXT_CAP=$((NOW + 60))
  [[ "${cap}" != 0 && -n "${LOG_DIR}" ]] || return 0
  find "${LOG_DIR}" -maxdepth 1 -type f ! -name '*.old' -size "+${cap}M" \
    -exec sh -c 'for log; do cp -- "${log}" "${log}.old" && : >"${log}"; done' sh {} + </dev/null >/dev/null 2>&1 &
}
