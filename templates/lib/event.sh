# shellcheck shell=bash
# events.jsonl: one line per transition, for programs. As in log.sh, a failed write is ignored.

EVENT_FD=""

# Opens events.jsonl of this run.
event::open() {
  local -r run_dir="$1"
  { exec {EVENT_FD}>>"${run_dir}/events.jsonl"; } 2>/dev/null || EVENT_FD=""
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
