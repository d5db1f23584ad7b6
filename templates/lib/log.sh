# shellcheck shell=bash
# The log of a job, for people. A full disk or a missing log directory never stops the supervisor: every write may fail.

LOG_FD=""
CAP_NEXT=60

# Opens the log of this run. Until then lines go to stdout only.
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

# Lines of a table or of somebody else's log, as they are.
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

# Once a minute: a log larger than SRTPLAN_LOG_CAP_MB (1024; 0 for no bound) goes on from its beginning, what it held is kept as
# <log>.old. Whoever writes it appends, so nothing but a few lines that come while it is copied can be lost. In the background.
log::cap() {
  local -r cap="${SRTPLAN_LOG_CAP_MB:-1024}"
  ((NOW >= CAP_NEXT)) || return 0
  CAP_NEXT=$((NOW + 60))
  [[ "${cap}" != 0 && -n "${LOG_DIR}" ]] || return 0
  find "${LOG_DIR}" -maxdepth 1 -type f ! -name '*.old' -size "+${cap}M" \
    -exec sh -c 'for log; do cp -- "${log}" "${log}.old" && : >"${log}"; done' sh {} + </dev/null >/dev/null 2>&1 &
}
