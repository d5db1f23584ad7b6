# shellcheck shell=bash
# While a job serves: what was ready must stay so.

WATCH_TIMEOUT_S=0  # how long a probe may fail before the job ends; 0 is never
WATCH_INTERVAL_S=0 # how often to ask
WATCH_NEXT=0       # when to ask again
WATCH_BAD=""       # since when a probe fails

# From now on watch::look asks the probes of health again, at the interval of the gate "serving". The job ends when one has
# failed for the gate's timeout_s; SRTPLAN_UNHEALTHY_AFTER_S overrides that. A server under full load may be slow to answer:
# a probe that times out is given five times as long as one that gets a bad answer.
watch::begin() {
  WATCH_TIMEOUT_S="${SRTPLAN_UNHEALTHY_AFTER_S:-${GATE_TIMEOUT_S[serving]}}"
  WATCH_INTERVAL_S="${GATE_INTERVAL_S[serving]}"
  if ((WATCH_TIMEOUT_S < 3 * WATCH_INTERVAL_S)); then
    WATCH_INTERVAL_S=$(((WATCH_TIMEOUT_S + 2) / 3))
  fi
  WATCH_NEXT=$((NOW + WATCH_INTERVAL_S))
  probes::load health
}

# Called after every tick.
watch::look() {
  local -r reload_s="${GATE_TIMEOUT_S[health]}"
  local open n patience="${WATCH_TIMEOUT_S}"
  ((WATCH_TIMEOUT_S > 0)) || return 0
  if ((${#PROBE_PID[@]} > 0)); then
    probes::hear
    ((${#PROBE_PID[@]} == 0)) || return 0
    probes::list_open
    open="${REPLY}"
    watch::_note "${open}"
    watch::_has_bad_news || patience=$((5 * WATCH_TIMEOUT_S))
    ((${#RESTART_N[@]} == 0 || patience > reload_s)) || patience="${reload_s}" # a worker that loads again
    if [[ -n "${WATCH_BAD}" ]] && ((NOW - WATCH_BAD >= patience)); then
      for n in "${!PROBE_STEP[@]}"; do
        [[ "${PROBE_SAYS[n]}" == ready* ]] || steps::show_log "${PROBE_STEP[n]}"
      done
      job::end 76 unhealthy "not ready any more for $((NOW - WATCH_BAD)) s: ${open}"
    fi
  elif ((NOW >= WATCH_NEXT)); then
    WATCH_NEXT=$((NOW + WATCH_INTERVAL_S))
    PROBE_SAYS=()
    probes::ask_all
  fi
}

# Whether something that is not ready has said so, or cannot be reached at all.
watch::_has_bad_news() {
  local n
  for n in "${!PROBE_STEP[@]}"; do
    [[ "${PROBE_SAYS[n]}" == ready* || "${PROBE_SAYS[n]}" == "${SILENCE}" ]] || return 0
  done
  return 1
}

# Tells when what was ready is not, and when it is again.
watch::_note() {
  local -r open="$1"
  if [[ -n "${open}" && -z "${WATCH_BAD}" ]]; then
    WATCH_BAD="${NOW}"
    log::warn "not ready any more: ${open}"
    probes::tell "${open}"
  elif [[ -z "${open}" && -n "${WATCH_BAD}" ]]; then
    WATCH_BAD=""
    log::info "ready again"
    probes::tell ""
  fi
}
