# shellcheck shell=bash
# Repeats the health probes while the job serves, and ends the job if one keeps failing.

WATCH_TIMEOUT_S=0  # how long probes may fail before the job ends; 0 disables the watch
WATCH_INTERVAL_S=0 # time between two rounds of probes
NEXT_WATCH=0       # when the next round starts
FAILING_SINCE=""   # when a probe began to fail; empty while all succeed

# Starts the watch: watch::poll repeats the probes of the gate "health" at the interval of the gate "serving". The job ends
# when a probe has failed for the timeout of that gate; SRTPLAN_UNHEALTHY_AFTER_S overrides it. A probe that times out may
# fail five times as long as one that gets a bad answer, because a server under full load answers slowly.
watch::begin() {
  WATCH_TIMEOUT_S="${SRTPLAN_UNHEALTHY_AFTER_S:-${GATE_TIMEOUT_S[serving]}}"
  WATCH_INTERVAL_S="${GATE_INTERVAL_S[serving]}"
  if ((WATCH_TIMEOUT_S < 3 * WATCH_INTERVAL_S)); then
    WATCH_INTERVAL_S=$(((WATCH_TIMEOUT_S + 2) / 3))
  fi
  NEXT_WATCH=$((NOW + WATCH_INTERVAL_S))
  probes::load health
}

# Runs and evaluates the probes that are due. Called after every tick.
watch::poll() {
  local -r reload_s="${GATE_TIMEOUT_S[health]}"
  local pending n limit="${WATCH_TIMEOUT_S}"
  ((WATCH_TIMEOUT_S > 0)) || return 0
  if ((${#PROBE_PID[@]} > 0)); then
    probes::collect_answers
    ((${#PROBE_PID[@]} == 0)) || return 0
    probes::list_pending
    pending="${REPLY}"
    watch::_report_change "${pending}"
    watch::_has_failed_probe || limit=$((5 * WATCH_TIMEOUT_S))
    ((${#RESTART_COUNT[@]} == 0 || limit > reload_s)) || limit="${reload_s}" # a restarted worker loads its model again
    if [[ -n "${FAILING_SINCE}" ]] && ((NOW - FAILING_SINCE >= limit)); then
      for n in "${!PROBE_STEP[@]}"; do
        [[ "${PROBE_ANSWER[n]}" == ready* ]] || steps::print_log_tail "${PROBE_STEP[n]}"
      done
      job::end 76 unhealthy "not ready for $((NOW - FAILING_SINCE)) s while serving: ${pending}"
    fi
  elif ((NOW >= NEXT_WATCH)); then
    NEXT_WATCH=$((NOW + WATCH_INTERVAL_S))
    PROBE_ANSWER=()
    probes::run_all
  fi
}

# Whether a probe failed with a bad answer or an unreachable server, rather than a timeout.
watch::_has_failed_probe() {
  local n
  for n in "${!PROBE_STEP[@]}"; do
    [[ "${PROBE_ANSWER[n]}" == ready* || "${PROBE_ANSWER[n]}" == "${TIMED_OUT}" ]] || return 0
  done
  return 1
}

# Logs and publishes when probes begin to fail, and when all succeed again.
watch::_report_change() {
  local -r pending="$1"
  if [[ -n "${pending}" && -z "${FAILING_SINCE}" ]]; then
    FAILING_SINCE="${NOW}"
    log::warn "stopped being ready: ${pending}"
    probes::publish "${pending}"
  elif [[ -z "${pending}" && -n "${FAILING_SINCE}" ]]; then
    FAILING_SINCE=""
    log::info "ready again"
    probes::publish ""
  fi
}
