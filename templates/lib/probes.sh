# shellcheck shell=bash
# Readiness: ask every probe of a stage until all are ready, watching the steps meanwhile.
#
# A question runs in the background and leaves one line in SCRATCH: "ready", or what is still missing.

PROBE_STEP=() PROBE_TYPE=() PROBE_NODE=() PROBE_PORT=() PROBE_WANT=() PROBE_PATH=() # of the stage that is awaited
PROBE_PID=()                                                                        # questions that are on their way
PROBE_SAYS=()                                                                       # the last answer
declare -gA GATE_INTERVAL_S=() GATE_TIMEOUT_S=()                                    # by gate, from the table
readonly SILENCE="no answer in 5 s"                                                 # one of them

# Reads the table GATES of job.sh.
probes::load_gates() {
  local row gate
  for row in "${GATES[@]}"; do
    read -r gate _ <<<"${row}"
    read -r _ "GATE_INTERVAL_S[${gate}]" "GATE_TIMEOUT_S[${gate}]" <<<"${row}"
  done
}

# Waits until every probe of a gate is ready.
probes::await() {
  local -r gate="$1"
  local -r interval_s="${GATE_INTERVAL_S[${gate}]}" timeout_s="${GATE_TIMEOUT_S[${gate}]}"
  local end next=0 beat=0 heard="" open
  probes::load "${gate}"
  ((${#PROBE_STEP[@]} > 0)) || return 0
  [[ "${gate}" != health ]] || job::stage health
  clock::read
  end=$((NOW + timeout_s))
  while true; do
    if ((NOW >= next)); then
      probes::ask_all
      next=$((NOW + interval_s))
    fi
    job::tick
    probes::hear
    probes::list_open
    open="${REPLY}"
    [[ -n "${open}" ]] || break
    ((NOW < end)) || probes::_give_up "${gate}" "${timeout_s}" "${open}"
    if ((${#PROBE_PID[@]} == 0)) && { [[ "${open}" != "${heard}" ]] || ((NOW - beat >= 60)); }; then
      log::info "${gate}: waiting for ${open}; $((end - NOW)) s left"
      probes::tell "${open}"
      heard="${open}"
      beat="${NOW}"
    fi
  done
  log::info "${gate}: ready after $((timeout_s - end + NOW)) s"
  probes::tell ""
}

# Reads the rows of a gate from the table PROBES of job.sh.
probes::load() {
  local -r gate="$1"
  local row of n=0
  PROBE_STEP=() PROBE_PID=() PROBE_SAYS=()
  for row in "${PROBES[@]}"; do
    read -r of "PROBE_STEP[n]" "PROBE_TYPE[n]" "PROBE_NODE[n]" "PROBE_PORT[n]" "PROBE_WANT[n]" "PROBE_PATH[n]" <<<"${row}"
    [[ "${of}" != "${gate}" ]] || n=$((n + 1))
  done
  PROBE_STEP=("${PROBE_STEP[@]:0:n}")
}

probes::ask_all() {
  local n
  for n in "${!PROBE_STEP[@]}"; do
    if [[ "${PROBE_SAYS[n]:-}" != ready* && -z "${PROBE_PID[n]:-}" ]]; then
      probes::_ask "${n}" >"${SCRATCH}/probe.${n}" 2>/dev/null &
      PROBE_PID[n]="$!"
    fi
  done
}

# Takes the answers that have arrived.
probes::hear() {
  local n step started
  for n in "${!PROBE_PID[@]}"; do
    ! job::is_running "${PROBE_PID[n]}" || continue
    unset "PROBE_PID[n]"
    PROBE_SAYS[n]="no answer"
    { read -r "PROBE_SAYS[n]" <"${SCRATCH}/probe.${n}"; } 2>/dev/null
    if [[ "${PROBE_SAYS[n]}" == ready* && -z "${STEP_READY[${PROBE_STEP[n]}]:-}" ]]; then
      step="${PROBE_STEP[n]}"
      started="${STEP_STARTED[${step}]}"
      STEP_READY["${step}"]=$((NOW - started))
      event::write step "step=${step}" state=ready
    fi
  done
}

# Sets REPLY to what is not ready, and what it says.
probes::list_open() {
  local n
  REPLY=""
  for n in "${!PROBE_STEP[@]}"; do
    [[ "${PROBE_SAYS[n]:-}" == ready* ]] || REPLY+="${REPLY:+; }${PROBE_STEP[n]} (${PROBE_SAYS[n]:-not asked yet})"
  done
}

# For programs: how many probes are ready, how many workers are counted, and what is missing.
probes::tell() {
  local -r open="$1"
  local REPLY n ready=0 workers
  for n in "${!PROBE_STEP[@]}"; do
    [[ "${PROBE_SAYS[n]:-}" != ready* ]] || ready=$((ready + 1))
  done
  probes::_workers
  workers="${REPLY}"
  json::string "${open}"
  READY="{\"probes\":${#PROBE_STEP[@]},\"ready\":${ready},\"workers\":${workers},\"waiting\":${REPLY}}"
  event::write probes "ready:=${ready}" "of:=${#PROBE_STEP[@]}" "workers:=${workers}" "waiting=${open}"
  status::write
}

# Sets REPLY to the counts of workers as JSON, null where no probe counts. Of several frontends the one that knows the
# fewest counts: only what all of them know is served.
probes::_workers() {
  local n least_prefill="" least_decode="" prefill decode want=""
  for n in "${!PROBE_STEP[@]}"; do
    [[ "${PROBE_TYPE[n]}" == dynamo_health || "${PROBE_TYPE[n]}" == sglang_workers ]] || continue
    prefill=0 decode=0
    if [[ "${PROBE_SAYS[n]:-}" =~ prefill\ ([0-9]+)/[0-9]+\ decode\ ([0-9]+)/ ]]; then
      prefill="${BASH_REMATCH[1]}" decode="${BASH_REMATCH[2]}"
    fi
    ((prefill >= ${least_prefill:-prefill + 1})) || least_prefill="${prefill}"
    ((decode >= ${least_decode:-decode + 1})) || least_decode="${decode}"
    want="${PROBE_WANT[n]}"
  done
  REPLY=null
  [[ -z "${want}" ]] || printf -v REPLY '{"prefill":%d,"prefill_wanted":%d,"decode":%d,"decode_wanted":%d}' \
    "${least_prefill}" "${want%,*}" "${least_decode}" "${want#*,}"
}

probes::_give_up() {
  local -r gate="$1" timeout_s="$2" open="$3"
  local n
  for n in "${!PROBE_STEP[@]}"; do
    [[ "${PROBE_SAYS[n]:-}" == ready* ]] || steps::show_log "${PROBE_STEP[n]}"
  done
  [[ "${gate}" != infra ]] || job::end 73 infra "nobody listens after ${timeout_s} s: ${open}"
  job::end 76 unhealthy "not ready after ${timeout_s} s: ${open}"
}

# Asks once and prints the answer in a line; runs in the background.
probes::_ask() {
  local -r n="$1"
  local -r host="${IP[${PROBE_NODE[n]}]}" port="${PROBE_PORT[n]}" body="${SCRATCH}/answer.${n}"
  local status
  case "${PROBE_TYPE[n]}" in
    tcp | nats | etcd)
      "probes::_is_${PROBE_TYPE[n]}_there" "${host}" "${port}"
      return
      ;;
    *) ;;
  esac
  status="$(curl --silent --noproxy '*' --max-time 5 --output "${body}" --write-out '%{http_code}' \
    "http://${host}:${port}${PROBE_PATH[n]}")" || status+="-$?"
  if [[ "${status}" == 000-28 ]]; then # curl's code for a time-out
    printf '%s\n' "${SILENCE}"
  elif [[ "${status}" == 000* ]]; then
    printf 'no answer\n'
  elif [[ "${status}" != 200 ]]; then
    printf 'HTTP status %s\n' "${status}"
  elif [[ "${PROBE_TYPE[n]}" == http ]]; then
    printf 'ready\n'
  else
    probes::_count "${n}" "${body}"
  fi
}

probes::_is_tcp_there() {
  # shellcheck disable=SC2016 # expanded by the inner bash
  if timeout 3 bash -c ': <"/dev/tcp/$1/$2"' tcp "$1" "$2"; then
    printf 'ready\n'
  else
    printf 'nobody listens\n'
  fi
}

# NATS says who it is as soon as somebody connects. A server of another job is not ours, however ready it is.
probes::_is_nats_there() {
  local said
  # shellcheck disable=SC2016 # expanded by the inner bash
  said="$(timeout 3 bash -c 'exec 3<>"/dev/tcp/$1/$2" && IFS= read -r line <&3 && printf %s "${line}"' nats "$1" "$2")"
  probes::_compare_name "${said}" "\"server_name\":\"srtplan-${JOB_ID}\""
}

# etcd names its members.
probes::_is_etcd_there() {
  local said
  said="$(curl --silent --noproxy '*' --max-time 3 --data '{}' "http://$1:$2/v3/cluster/member/list")"
  probes::_compare_name "${said}" "\"name\":\"srtplan-${JOB_ID}\""
}

probes::_compare_name() {
  local -r said="$1" name="$2"
  if [[ "${said// /}" == *"${name}"* ]]; then
    printf 'ready\n'
  elif [[ -n "${said}" ]]; then
    printf 'somebody else answers there, not the one of this job\n'
  else
    printf 'nobody listens\n'
  fi
}

# Compares the instances in an answer with those wanted, "PREFILL,DECODE".
probes::_count() {
  local -r n="$1" body="$2"
  local -r wanted_prefill="${PROBE_WANT[n]%,*}" wanted_decode="${PROBE_WANT[n]#*,}"
  local counts prefill decode
  counts="$(LC_ALL=C awk -v probe="${PROBE_TYPE[n]}" \
    -f "${BUNDLE_DIR}/lib/json.awk" -f "${BUNDLE_DIR}/lib/readiness.awk" "${body}")"
  read -r prefill decode <<<"${counts}"
  if [[ -z "${decode}" ]]; then
    printf 'an answer that is not understood\n'
    return 0
  fi
  ((prefill < wanted_prefill || decode < wanted_decode)) || printf 'ready: '
  printf 'prefill %d/%d decode %d/%d\n' "${prefill}" "${wanted_prefill}" "${decode}" "${wanted_decode}"
}
