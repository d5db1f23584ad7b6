# shellcheck shell=bash
# While a job serves: what was ready must stay so.

WATCH_AFTER=180 # seconds after which something that is not ready any more ends the job; 0 is never
WATCH_EVERY=30  # how often to ask
WATCH_NEXT=0    # when to ask again
WATCH_BAD=""    # since when something is not ready

# From now on watch::look asks again what was ready. The job ends when the answers have said for WATCH_AFTER seconds that
# something is not; SRTPLAN_UNHEALTHY_AFTER_S changes that. A server under full load may be slow to answer: silence counts
# for a fifth.
watch::begin() {
  WATCH_AFTER="${SRTPLAN_UNHEALTHY_AFTER_S:-${WATCH_AFTER}}"
  WATCH_EVERY=$((WATCH_AFTER < 90 ? (WATCH_AFTER + 2) / 3 : 30))
  WATCH_NEXT=$((NOW + WATCH_EVERY))
  probes::load health
}

# Called after every tick.
watch::look() {
  local open n patience="${WATCH_AFTER}"
  ((WATCH_AFTER > 0)) || return 0
  if ((${#PROBE_PID[@]} > 0)); then
    probes::hear
    ((${#PROBE_PID[@]} == 0)) || return 0
    probes::list_open
    open="${REPLY}"
    watch::_note "${open}"
    watch::_has_bad_news || patience=$((5 * WATCH_AFTER))
    ((${#RESTART_N[@]} == 0 || patience > HEALTH_BUDGET)) || patience="${HEALTH_BUDGET}" # a worker that loads again
    if [[ -n "${WATCH_BAD}" ]] && ((NOW - WATCH_BAD >= patience)); then
      for n in "${!PROBE_STEP[@]}"; do
        [[ "${PROBE_SAYS[n]}" == ready* ]] || steps::show_log "${PROBE_STEP[n]}"
      done
      job::end 76 unhealthy "not ready any more for $((NOW - WATCH_BAD)) s: ${open}"
    fi
  elif ((NOW >= WATCH_NEXT)); then
    WATCH_NEXT=$((NOW + WATCH_EVERY))
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
