# shellcheck shell=bash
# Readiness: ask every probe of a stage until all are ready, watching the steps meanwhile.
#
# A question runs in the background and leaves one line in SCRATCH: "ready", or what is still missing.

declare -gA PROBE_STEP=() PROBE_TYPE=() PROBE_NODE=() PROBE_PORT=() PROBE_WANT=() PROBE_PATH=()
declare -gA PROBE_PID=() PROBE_SAYS=() PROBE_READY=()

# Waits for all probes of a stage: probes::await STAGE BUDGET_S INTERVAL_S.
probes::await() {
  local -r stage="$1" budget="$2" interval="$3"
  local started next=0 heard="" beat said
  probes::_load "${stage}"
  ((${#PROBE_STEP[@]} > 0)) || return 0
  [[ "${stage}" != health ]] || job::stage health
  clock::read
  started="${NOW}"
  beat="${NOW}"
  until ((${#PROBE_READY[@]} == ${#PROBE_STEP[@]})); do
    ((NOW - started < budget)) || probes::_give_up "${stage}" "${budget}"
    if ((NOW >= next)); then
      probes::_ask_all
      next=$((NOW + interval))
    fi
    job::tick
    probes::_hear
    said="${PROBE_SAYS[*]}"
    if [[ "${said}" != "${heard}" ]] || ((NOW - beat >= 60)); then
      probes::_report "${stage}" "$((budget - NOW + started))"
      heard="${said}"
      beat="${NOW}"
    fi
  done
  log::info "${stage}: ready after $((NOW - started)) s"
}

# Reads the table PROBES of job.sh: stage, step, type, node, port, counts that are wanted, path.
probes::_load() {
  local -r stage="$1"
  local row of n=0
  PROBE_STEP=() PROBE_PID=() PROBE_SAYS=() PROBE_READY=()
  for row in ${PROBES[@]+"${PROBES[@]}"}; do
    read -r of _ <<<"${row}"
    [[ "${of}" == "${stage}" ]] || continue
    read -r _ "PROBE_STEP[${n}]" "PROBE_TYPE[${n}]" "PROBE_NODE[${n}]" "PROBE_PORT[${n}]" "PROBE_WANT[${n}]" \
      "PROBE_PATH[${n}]" <<<"${row}"
    PROBE_SAYS["${n}"]="not asked yet"
    n=$((n + 1))
  done
}

probes::_ask_all() {
  local n
  for n in "${!PROBE_STEP[@]}"; do
    if [[ -z "${PROBE_READY[${n}]:-}" ]] && ! job::is_running "${PROBE_PID[${n}]:-0}"; then
      probes::_ask "${n}" >"${SCRATCH}/probe.${n}" 2>/dev/null &
      PROBE_PID["${n}"]="$!"
    fi
  done
}

# Takes the answers that have arrived.
probes::_hear() {
  local n line step
  for n in "${!PROBE_PID[@]}"; do
    ! job::is_running "${PROBE_PID[${n}]}" || continue
    unset "PROBE_PID[${n}]"
    line="no answer"
    { read -r line <"${SCRATCH}/probe.${n}"; } 2>/dev/null
    PROBE_SAYS["${n}"]="${line}"
    if [[ "${line}" == ready* ]]; then
      step="${PROBE_STEP[${n}]}"
      PROBE_READY["${n}"]=1
      STEP_READY["${step}"]=$((NOW - STEP_STARTED["${step}"]))
      event::write step "step=${step}" state=ready
    fi
  done
}

# One line: what is missing, by step, and the time left.
probes::_report() {
  local -r stage="$1" left="$2"
  local n missing=""
  for n in "${!PROBE_STEP[@]}"; do
    [[ -n "${PROBE_READY[${n}]:-}" ]] || missing+="; ${PROBE_STEP[${n}]}: ${PROBE_SAYS[${n}]}"
  done
  [[ -z "${missing}" ]] || log::info "${stage}: waiting${missing}; ${left} s left"
  READY_COUNTS="{\"probes\":${#PROBE_STEP[@]},\"ready\":${#PROBE_READY[@]}}"
  status::write
}

probes::_give_up() {
  local -r stage="$1" budget="$2"
  local n missing=""
  for n in "${!PROBE_STEP[@]}"; do
    if [[ -z "${PROBE_READY[${n}]:-}" ]]; then
      missing+="${missing:+; }${PROBE_STEP[${n}]} on ${NODE[${PROBE_NODE[${n}]}]}:${PROBE_PORT[${n}]}: ${PROBE_SAYS[${n}]}"
      steps::show_log "${PROBE_STEP[${n}]}"
    fi
  done
  [[ "${stage}" != infra ]] || job::end 73 infra "not listening within ${budget} s: ${missing}"
  job::end 76 unhealthy "not ready within ${budget} s: ${missing}"
}

# Asks once; runs in the background.
probes::_ask() {
  local -r n="$1"
  local -r host="${IP[${PROBE_NODE[${n}]}]}" port="${PROBE_PORT[${n}]}" body="${SCRATCH}/answer.${n}"
  local status
  if [[ "${PROBE_TYPE[${n}]}" == tcp ]]; then
    # shellcheck disable=SC2016 # expanded by the inner bash
    if timeout 3 bash -c ': <"/dev/tcp/$1/$2"' tcp "${host}" "${port}"; then
      printf 'ready\n'
    else
      printf 'nobody listens\n'
    fi
    return 0
  fi
  status="$(curl --silent --noproxy '*' --max-time 5 --output "${body}" --write-out '%{http_code}' \
    "http://${host}:${port}${PROBE_PATH[${n}]}")"
  if [[ "${status}" == 000 ]]; then
    printf 'no answer\n'
  elif [[ "${status}" != 200 ]]; then
    printf 'HTTP status %s\n' "${status}"
  elif [[ "${PROBE_TYPE[${n}]}" == http ]]; then
    printf 'ready\n'
  else
    probes::_count "${n}" "${body}"
  fi
}

# Compares the instances in an answer with those wanted ("PREFILL,DECODE").
probes::_count() {
  local -r n="$1" body="$2"
  local counts prefill decode
  local -r want_prefill="${PROBE_WANT[${n}]%,*}" want_decode="${PROBE_WANT[${n}]#*,}"
  counts="$(LC_ALL=C awk -v probe="${PROBE_TYPE[${n}]}" -f "${BUNDLE_DIR}/lib/json.awk" -f "${BUNDLE_DIR}/lib/readiness.awk" "${body}")"
  read -r prefill decode <<<"${counts}"
  if [[ -z "${decode}" ]]; then
    printf 'an answer that is not understood\n'
  elif ((prefill >= want_prefill && decode >= want_decode)); then
    printf 'ready prefill %d/%d decode %d/%d\n' "${prefill}" "${want_prefill}" "${decode}" "${want_decode}"
  else
    printf 'prefill %d/%d decode %d/%d\n' "${prefill}" "${want_prefill}" "${decode}" "${want_decode}"
  fi
}
