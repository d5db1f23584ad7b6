# shellcheck shell=bash
# Reports the progress of the job to status services, with srtctl's API: PUT <service>/api/jobs/<job id>.
#
# Best effort: one background process per service sends the reports in order, with a timeout of 5 s each. The job waits for
# them only at its end. SRTPLAN_REPORTS=off disables reports.

REPORT_FD=()    # pipes to the senders
REPORT_PID=()   # the senders
REPORT_STAGE="" # the last stage that was reported
REPORT_START_TIME=""
TZ=UTC printf -v REPORT_START_TIME '%(%FT%TZ)T' -1

# Reports a stage of the job under srtctl's name for it.
report::stage() {
  local -r stage="$1"
  ((${#REPORT_TO[@]} > 0)) || return 0
  [[ "${SRTPLAN_REPORTS:-}" != off && "${stage}" != "${REPORT_STAGE}" ]] || return 0
  REPORT_STAGE="${stage}"
  ((${#REPORT_PID[@]} > 0)) || report::_start_senders
  case "${stage}" in
    infra) report::_put starting head_infrastructure "Starting head infrastructure" ;;
    worker) report::_put workers workers "Starting workers" ;;
    frontend) report::_put frontend frontend "Starting frontend" ;;
    benchmark) report::_put benchmark benchmark "Running benchmark" ;;
    serving) report::_put benchmark benchmark "Serving at ${URL}" ;;
    stop) [[ "${CLASS}" != unhealthy ]] || report::_put failed benchmark "Workers failed health check: ${CAUSE}" ;;
    end) report::_put_end ;;
    *) ;;
  esac
}

# Starts the senders and reports the start of the job. SCRATCH is empty only if there is no run directory.
report::_start_senders() {
  local n fd host="${SLURMD_NODENAME:-${HOSTNAME}}" facts=""
  [[ -n "${SCRATCH}" ]] || return 0
  for n in "${!REPORT_TO[@]}"; do
    mkfifo -- "${SCRATCH}/report.${n}" || continue
    exec {fd}<>"${SCRATCH}/report.${n}"
    report::_send "${REPORT_TO[n]}" <&"${fd}" &
    REPORT_PID+=("$!")
    REPORT_FD+=("${fd}")
  done
  { read -r facts <"${BUNDLE_DIR}/files/report.json"; } 2>/dev/null
  facts="${facts:+,\"metadata\":${facts%"}"},\"head_node\":\"${host}\"}}"
  report::_put starting starting "Job started on ${host}" "\"started_at\":\"${REPORT_START_TIME}\"${facts}"
}

# Reports how the job ended. All steps have ended by now.
report::_put_end() {
  local status=failed message="${CAUSE}" now
  case "${CLASS}" in
    success) status=completed message="Job completed" ;;
    time_limit) status=timeout ;;
    *) ;;
  esac
  TZ=UTC printf -v now '%(%FT%TZ)T' -1
  report::_put "${status}" cleanup "${message}" "\"exit_code\":${CODE},\"completed_at\":\"${now}\""
}

# Passes a report to the senders: report::_put STATUS STAGE MESSAGE [MORE_MEMBERS].
report::_put() {
  local -r status="$1" stage="$2" message="$3" more="${4:-}"
  local REPLY now fd
  json::string "${message}"
  TZ=UTC printf -v now '%(%FT%TZ)T' -1
  for fd in "${REPORT_FD[@]}"; do
    printf '{"status":"%s","stage":"%s","message":%s,"updated_at":"%s"%s}\n' \
      "${status}" "${stage}" "${REPLY}" "${now}" "${more:+,${more}}" >&"${fd}"
  done 2>/dev/null
}

# Sends the reports from stdin, until an empty line or the end of job.sh. A service that is slow or does not answer gets only
# the newest report, so that the last one is not delayed.
report::_send() {
  local -r service="$1"
  local body next answer slow="" last="" warned="" began
  trap '' TERM INT USR1 HUP
  while [[ -z "${last}" ]] && job::is_running "${BASHPID}"; do # while job.sh is the parent of this process
    IFS= read -r -t 10 body || continue
    [[ -n "${body}" ]] || return 0
    while [[ -n "${slow}" && -z "${last}" ]] && IFS= read -r -t 0.1 next; do
      [[ -n "${next}" ]] || last=1
      body="${next:-${body}}"
    done
    began="${SECONDS}"
    answer="$(curl --silent --output /dev/null --max-time 5 --write-out '%{http_code}' --request PUT \
      --header 'Content-Type: application/json' --data-raw "${body}" "${service}/api/jobs/${JOB_ID}")"
    slow=""
    [[ "${answer}" != 000 ]] && ((SECONDS - began < 2)) || slow=1
    if [[ "${answer}" != 2?? && -z "${warned}" ]]; then
      log::warn "status service ${service} rejected a report (HTTP status ${answer})"
      warned=1
    fi
  done
}

# Waits up to 11 s until the last report is sent.
report::finish() {
  local deadline fd pid
  ((${#REPORT_PID[@]} > 0)) || return 0
  for fd in "${REPORT_FD[@]}"; do
    printf '\n' >&"${fd}"
  done 2>/dev/null
  clock::read
  deadline=$((NOW + 11))
  for pid in "${REPORT_PID[@]}"; do
    while job::is_running "${pid}" && ((NOW < deadline)) && ! stop::is_forced; do
      job::tick
    done
  done
}
