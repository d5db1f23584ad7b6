# shellcheck shell=bash
# Readiness probes: run the probes of a gate until all succeed.
#
# A probe runs in the background and writes one line into SCRATCH: "ready", or what is still missing.

PROBE_STEP=() PROBE_TYPE=() PROBE_NODE=() PROBE_PORT=() PROBE_EXPECTED=() PROBE_PATH=() # of the current gate
PROBE_PID=()                                                                            # probes that are running
PROBE_ANSWER=()                                                                         # last answer of each probe
declare -gA GATE_INTERVAL_S=() GATE_TIMEOUT_S=()                                        # by gate, from the table GATES
readonly TIMED_OUT="no answer in 5 s"                                                   # an answer

# Reads the table GATES of job.sh.
probes::load_gates() {
  local row gate
  for row in "${GATES[@]}"; do
    read -r gate _ <<<"${row}"
    read -r _ "GATE_INTERVAL_S[${gate}]" "GATE_TIMEOUT_S[${gate}]" <<<"${row}"
  done
}

# Waits until every probe of a gate succeeds; ends the job after the timeout of the gate.
probes::await() {
  local -r gate="$1"
  local -r interval_s="${GATE_INTERVAL_S[${gate}]}" timeout_s="${GATE_TIMEOUT_S[${gate}]}"
  local end next=0 last_logged=0 last_pending="" pending
  probes::load "${gate}"
  ((${#PROBE_STEP[@]} > 0)) || return 0
  [[ "${gate}" != health ]] || job::enter_stage health
  clock::read
  end=$((NOW + timeout_s))
  while true; do
    if ((NOW >= next)); then
      probes::run_all
      next=$((NOW + interval_s))
    fi
    job::tick
    probes::collect_answers
    probes::list_pending
    pending="${REPLY}"
    [[ -n "${pending}" ]] || break
    ((NOW < end)) || probes::_fail "${gate}" "${timeout_s}" "${pending}"
    if ((${#PROBE_PID[@]} == 0)) && { [[ "${pending}" != "${last_pending}" ]] || ((NOW - last_logged >= 60)); }; then
      log::info "${gate}: waiting for ${pending}; $((end - NOW)) s left"
      probes::publish "${pending}"
      last_pending="${pending}"
      last_logged="${NOW}"
    fi
  done
  log::info "${gate}: ready after $((timeout_s - end + NOW)) s"
  probes::publish ""
}

# Reads the rows of a gate from the table PROBES of job.sh.
probes::load() {
  local -r gate="$1"
  local row of n=0
  PROBE_STEP=() PROBE_PID=() PROBE_ANSWER=()
  for row in "${PROBES[@]}"; do
    read -r of "PROBE_STEP[n]" "PROBE_TYPE[n]" "PROBE_NODE[n]" "PROBE_PORT[n]" "PROBE_EXPECTED[n]" "PROBE_PATH[n]" <<<"${row}"
    [[ "${of}" != "${gate}" ]] || n=$((n + 1))
  done
  PROBE_STEP=("${PROBE_STEP[@]:0:n}")
}

# Starts every probe that has not succeeded and is not running.
probes::run_all() {
  local n
  for n in "${!PROBE_STEP[@]}"; do
    if [[ "${PROBE_ANSWER[n]:-}" != ready* && -z "${PROBE_PID[n]:-}" ]]; then
      probes::_run "${n}" >"${SCRATCH}/probe.${n}" 2>/dev/null &
      PROBE_PID[n]="$!"
    fi
  done
}

# Reads the answers of the probes that have finished.
probes::collect_answers() {
  local n step started
  for n in "${!PROBE_PID[@]}"; do
    ! job::is_running "${PROBE_PID[n]}" || continue
    unset "PROBE_PID[n]"
    PROBE_ANSWER[n]="no answer"
    { read -r "PROBE_ANSWER[n]" <"${SCRATCH}/probe.${n}"; } 2>/dev/null
    if [[ "${PROBE_ANSWER[n]}" == ready* && -z "${STEP_READY[${PROBE_STEP[n]}]:-}" ]]; then
      step="${PROBE_STEP[n]}"
      started="${STEP_STARTED[${step}]}"
      STEP_READY["${step}"]=$((NOW - started))
      event::write step "step=${step}" state=ready
    fi
  done
}

# Sets REPLY to the steps that are not ready, each with its last answer.
probes::list_pending() {
  local n
  REPLY=""
  for n in "${!PROBE_STEP[@]}"; do
    [[ "${PROBE_ANSWER[n]:-}" == ready* ]] || REPLY+="${REPLY:+; }${PROBE_STEP[n]} (${PROBE_ANSWER[n]:-no answer yet})"
  done
}

# Publishes the state of the probes in events.jsonl and status.json: probes::publish PENDING
probes::publish() {
  local -r pending="$1"
  local REPLY n ready=0 workers
  for n in "${!PROBE_STEP[@]}"; do
    [[ "${PROBE_ANSWER[n]:-}" != ready* ]] || ready=$((ready + 1))
  done
  probes::_count_workers
  workers="${REPLY}"
  json::string "${pending}"
  READY="{\"probes\":${#PROBE_STEP[@]},\"ready\":${ready},\"workers\":${workers},\"waiting\":${REPLY}}"
  event::write probes "ready:=${ready}" "of:=${#PROBE_STEP[@]}" "workers:=${workers}" "waiting=${pending}"
  status::write
}

# Sets REPLY to the counts of workers as JSON, null if no probe counts workers. With several frontends it is the lowest
# count, because a worker must be known to all of them.
probes::_count_workers() {
  local n least_prefill="" least_decode="" prefill decode expected=""
  for n in "${!PROBE_STEP[@]}"; do
    [[ "${PROBE_TYPE[n]}" == dynamo_health || "${PROBE_TYPE[n]}" == sglang_workers ]] || continue
    prefill=0 decode=0
    if [[ "${PROBE_ANSWER[n]:-}" =~ prefill\ ([0-9]+)/[0-9]+\ decode\ ([0-9]+)/ ]]; then
      prefill="${BASH_REMATCH[1]}" decode="${BASH_REMATCH[2]}"
    fi
    ((prefill >= ${least_prefill:-prefill + 1})) || least_prefill="${prefill}"
    ((decode >= ${least_decode:-decode + 1})) || least_decode="${decode}"
    expected="${PROBE_EXPECTED[n]}"
  done
  REPLY=null
  [[ -z "${expected}" ]] || printf -v REPLY '{"prefill":%d,"prefill_wanted":%d,"decode":%d,"decode_wanted":%d}' \
    "${least_prefill}" "${expected%,*}" "${least_decode}" "${expected#*,}"
}

# Ends the job because of a gate that timed out.
probes::_fail() {
  local -r gate="$1" timeout_s="$2" pending="$3"
  local n
  for n in "${!PROBE_STEP[@]}"; do
    [[ "${PROBE_ANSWER[n]:-}" == ready* ]] || steps::print_log_tail "${PROBE_STEP[n]}"
  done
  [[ "${gate}" != infra ]] || job::end 73 infra "not ready after ${timeout_s} s: ${pending}"
  job::end 76 unhealthy "not ready after ${timeout_s} s: ${pending}"
}

# Runs a probe once and prints its answer as one line. Runs in the background.
probes::_run() {
  local -r n="$1"
  local -r host="${IP[${PROBE_NODE[n]}]}" port="${PROBE_PORT[n]}" body="${SCRATCH}/answer.${n}"
  local status
  case "${PROBE_TYPE[n]}" in
    tcp | nats | etcd)
      "probes::_run_${PROBE_TYPE[n]}" "${host}" "${port}"
      return
      ;;
    *) ;;
  esac
  status="$(curl --silent --noproxy '*' --max-time 5 --output "${body}" --write-out '%{http_code}' \
    "http://${host}:${port}${PROBE_PATH[n]}")" || status+="-$?"
  if [[ "${status}" == 000-28 ]]; then # curl exits with 28 on a timeout
    printf '%s\n' "${TIMED_OUT}"
  elif [[ "${status}" == 000* ]]; then
    printf 'no answer\n'
  elif [[ "${status}" != 200 ]]; then
    printf 'HTTP status %s\n' "${status}"
  elif [[ "${PROBE_TYPE[n]}" == http ]]; then
    printf 'ready\n'
  else
    probes::_compare_counts "${n}" "${body}"
  fi
}

probes::_run_tcp() {
  # shellcheck disable=SC2016 # expanded by the inner bash
  if timeout 3 bash -c ': <"/dev/tcp/$1/$2"' tcp "$1" "$2"; then
    printf 'ready\n'
  else
    printf 'cannot connect\n'
  fi
}

# NATS sends its name to every client that connects. The name tells our server from that of another job.
probes::_run_nats() {
  local answer
  # shellcheck disable=SC2016 # expanded by the inner bash
  answer="$(timeout 3 bash -c 'exec 3<>"/dev/tcp/$1/$2" && IFS= read -r line <&3 && printf %s "${line}"' nats "$1" "$2")"
  probes::_check_name "${answer}" "\"server_name\":\"srtplan-${JOB_ID}\""
}

# etcd reports the names of its members.
probes::_run_etcd() {
  local answer
  answer="$(curl --silent --noproxy '*' --max-time 3 --data '{}' "http://$1:$2/v3/cluster/member/list")"
  probes::_check_name "${answer}" "\"name\":\"srtplan-${JOB_ID}\""
}

probes::_check_name() {
  local -r answer="$1" name="$2"
  if [[ "${answer// /}" == *"${name}"* ]]; then
    printf 'ready\n'
  elif [[ -n "${answer}" ]]; then
    printf 'the server does not belong to this job\n'
  else
    printf 'cannot connect\n'
  fi
}

# Compares the number of instances in an answer with PROBE_EXPECTED, "PREFILL,DECODE".
probes::_compare_counts() {
  local -r n="$1" body="$2"
  local -r expected_prefill="${PROBE_EXPECTED[n]%,*}" expected_decode="${PROBE_EXPECTED[n]#*,}"
  local counts prefill decode
  counts="$(LC_ALL=C awk -v probe="${PROBE_TYPE[n]}" \
    -f "${BUNDLE_DIR}/lib/json.awk" -f "${BUNDLE_DIR}/lib/readiness.awk" "${body}")"
  read -r prefill decode <<<"${counts}"
  if [[ -z "${decode}" ]]; then
    printf 'invalid answer\n'
    return 0
  fi
  ((prefill < expected_prefill || decode < expected_decode)) || printf 'ready: '
  printf 'prefill %d/%d decode %d/%d\n' "${prefill}" "${expected_prefill}" "${decode}" "${expected_decode}"
}
