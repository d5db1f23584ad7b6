# shellcheck shell=bash
# What a job tells: log lines for people, events.jsonl and status.json for programs.
#
# A full disk or a log directory that is gone must never stop the supervisor: every write here may fail.

# Opens the files of this run. Until then lines go to stdout only.
log::open() {
  local -r run_dir="$1"
  { exec {LOG_FD}>>"${run_dir}/logs/job.log"; } 2>/dev/null || LOG_FD=""
  { exec {EVENT_FD}>>"${run_dir}/events.jsonl"; } 2>/dev/null || EVENT_FD=""
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

# Sets NOW (whole seconds) and NOW_CS (hundredths) since the start of job.sh, by the kernel's clock that never jumps.
clock::read() {
  local up
  read -r up _ </proc/uptime
  NOW_CS=$((10#${up/./} - CLOCK_START))
  NOW=$((NOW_CS / 100))
}

# Sets REPLY to a text as a JSON string.
json::string() {
  local LC_ALL=C
  local text="$1" code octal hex
  text="${text//\\/\\\\}"
  text="${text//\"/\\\"}"
  if [[ "${text}" == *[$'\001'-$'\037']* ]]; then
    for code in {1..31}; do
      printf -v octal '\\%03o' "${code}"
      printf -v octal '%b' "${octal}"
      printf -v hex '\\u%04x' "${code}"
      text="${text//"${octal}"/"${hex}"}"
    done
  fi
  REPLY="\"${text}\""
}

# Appends a line to events.jsonl: event::write KIND KEY=TEXT KEY:=NUMBER...
event::write() {
  local -r kind="$1"
  shift
  local field line REPLY
  clock::read
  printf -v line '{"t":%d.%02d,"event":"%s"' "${NOW}" "$((NOW_CS % 100))" "${kind}"
  for field in "$@"; do
    if [[ "${field%%=*}" == *: ]]; then
      line+=",\"${field%%:=*}\":${field#*:=}"
    else
      json::string "${field#*=}"
      line+=",\"${field%%=*}\":${REPLY}"
    fi
  done
  [[ -z "${EVENT_FD}" ]] || { printf '%s}\n' "${line}" >&"${EVENT_FD}"; } 2>/dev/null
  return 0
}

# Replaces status.json, so that a reader never sees half of it.
status::write() {
  [[ -n "${RUN_DIR}" ]] || return 0
  local -r file="${RUN_DIR}/status.json"
  local REPLY name cause url line
  json::string "${JOB_NAME}"
  name="${REPLY}"
  json::string "${CAUSE}"
  cause="${REPLY}"
  json::string "${URL}"
  url="${REPLY}"
  clock::read
  printf -v line '{"job_id":"%s","name":%s,"stage":"%s","t":%d,"url":%s,"ready":%s,"class":"%s","code":%s,"cause":%s}' \
    "${JOB_ID}" "${name}" "${STAGE}" "${NOW}" "${url}" "${READY}" "${CLASS}" "${CODE:-null}" "${cause}"
  {
    { printf '%s\n' "${line}" >"${file}.new" && mv -f -- "${file}.new" "${file}"; } || status::_overwrite "${file}" "${line}"
  } 2>/dev/null
  return 0
}

# On a full disk the old text makes room for the new one: written over it, with spaces to its end.
status::_overwrite() {
  local -r file="$1" line="$2"
  local LC_ALL=C
  local old=""
  rm -f -- "${file}.new"
  read -r old <"${file}"
  printf '%-*s\n' "${#old}" "${line}" 1<>"${file}"
}

LOG_FD=""
EVENT_FD=""
CAP_NEXT=60
CLOCK_START=0
clock::read
CLOCK_START="${NOW_CS}"
NOW=0
