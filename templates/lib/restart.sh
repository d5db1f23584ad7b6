# shellcheck shell=bash
# Restarts: steps that Slurm temporarily refused to start, and workers with `restart` in the recipe.

declare -gA RESTART_POLICY=() # by step: worker, policy, maximum restarts, first and maximum delay in seconds
declare -gA RESTART_COUNT=()  # by worker: restarts so far
declare -gA RESTART_AT=()     # by worker: when it restarts, while it is down
declare -gA REFUSAL_COUNT=()  # by step: how often Slurm refused to start it
declare -gA RETRY_AT=()       # by step: when the next attempt is due
readonly MAX_REFUSALS=5       # delays of 2, 4, 8, 16 and 32 seconds
readonly RESTART_GRACE_S=30   # time for the other processes of a worker to end

# Reads the table RESTARTS of job.sh, if there is one.
restart::load() {
  local row name
  # shellcheck disable=SC2153 # set by job.sh if a worker may restart
  declare -p RESTARTS >/dev/null 2>&1 || return 0
  for row in "${RESTARTS[@]}"; do
    read -r name row <<<"${row}"
    RESTART_POLICY["${name}"]="${row}"
  done
}

# Schedules a restart of a step that has ended: restart::schedule STEP CODE
# Fails if the step is not restarted; then its end counts.
restart::schedule() {
  local -r name="$1" code="$2"
  [[ -z "${SHUTDOWN}" ]] || return 1
  if restart::_was_refused "${name}" "${code}"; then
    restart::_schedule_retry "${name}"
  else
    restart::_schedule_worker "${name}" "${code}"
  fi
}

# Whether a step never ran because of a temporary error of Slurm, such as a restart of its controller. A request that can
# never be satisfied does not count.
restart::_was_refused() {
  local -r name="$1" code="$2"
  local -r reasons="Unable to (create step|confirm allocation|contact slurm controller|connect to slurm)|Socket timed out"
  local errors
  ((code != 0 && ${REFUSAL_COUNT[${name}]:-0} < MAX_REFUSALS)) || return 1
  [[ -z "${STEP_ID[${name}]:-}" && ! -e "${RUN_DIR}/run/steps/${name}.id" ]] || return 1
  errors="$(tail -c 4096 -- "${LOG_DIR}/${name}.out" 2>/dev/null |
    grep -E "^srun: error: .*(${reasons})")"
  [[ -n "${errors}" ]] || return 1
  [[ ! "${errors##*$'\n'}" =~ (More processors|configuration is not available|Invalid|already completing|exceed) ]]
}

restart::_schedule_retry() {
  local -r name="$1"
  local delay
  REFUSAL_COUNT["${name}"]=$((${REFUSAL_COUNT[${name}]:-0} + 1))
  delay=$((2 ** REFUSAL_COUNT[${name}]))
  RETRY_AT["${name}"]=$((NOW + delay))
  log::warn "Slurm did not start ${name}; retrying in ${delay} s (${REFUSAL_COUNT[${name}]} of ${MAX_REFUSALS})"
}

# Schedules a restart of the worker that a step belongs to, and stops its other processes.
restart::_schedule_worker() {
  local -r name="$1" code="$2"
  local unit policy max_restarts delay max_delay count
  [[ -n "${RESTART_POLICY[${name}]:-}" ]] || return 1
  read -r unit policy max_restarts delay max_delay <<<"${RESTART_POLICY[${name}]}"
  [[ -z "${RESTART_AT[${unit}]:-}" ]] || return 0
  count="${RESTART_COUNT[${unit}]:-0}"
  ((count < max_restarts)) && [[ "${policy}" == always || "${code}" != 0 ]] || return 1
  ! steps::find_lost_node "${name}" || return 1
  while ((count > 0 && delay < max_delay)); do
    delay=$((2 * delay))
    count=$((count - 1))
  done
  ((delay <= max_delay)) || delay="${max_delay}"
  RESTART_COUNT["${unit}"]=$((${RESTART_COUNT[${unit}]:-0} + 1))
  RESTART_AT["${unit}"]=$((NOW + delay))
  log::warn "${name} ended with ${code}; restarting ${unit} in ${delay} s (${RESTART_COUNT[${unit}]} of ${max_restarts})"
  restart::_signal "${unit}" TERM
}

# Signals the processes of a worker that still run, in the background.
restart::_signal() {
  local -r unit="$1" signal="$2"
  local name ids=""
  for name in "${!RESTART_POLICY[@]}"; do
    if [[ "${RESTART_POLICY[${name}]}" == "${unit} "* ]] && steps::is_live "${name}" && [[ -n "${STEP_ID[${name}]:-}" ]]; then
      ids+=" ${STEP_ID[${name}]}"
    fi
  done
  # shellcheck disable=SC2086 # a list of step ids
  [[ -z "${ids}" ]] || scancel --signal="${signal}" ${ids} </dev/null >>"${SCRATCH}/scancel" 2>&1 &
}

# Starts the retries and restarts that are due. Called after every tick.
restart::poll() {
  local name unit
  [[ -z "${SHUTDOWN}" ]] || return 0
  for name in "${!RETRY_AT[@]}"; do
    if ((NOW >= RETRY_AT[${name}])); then
      unset "RETRY_AT[${name}]"
      steps::restart "${name}"
    fi
  done
  for unit in "${!RESTART_AT[@]}"; do
    if restart::_is_down "${unit}"; then
      ((NOW < RESTART_AT[${unit}])) || restart::_start "${unit}"
    elif ((NOW >= RESTART_AT[${unit}] + RESTART_GRACE_S)); then
      RESTART_AT["${unit}"]="${NOW}"
      restart::_signal "${unit}" KILL
    fi
  done
}

# Whether no process of a worker runs.
restart::_is_down() {
  local -r unit="$1"
  local name
  for name in "${!RESTART_POLICY[@]}"; do
    [[ "${RESTART_POLICY[${name}]}" != "${unit} "* ]] || ! steps::is_live "${name}" || return 1
  done
}

# Starts all steps of a worker again. Their old logs are kept with the number of the restart as a suffix.
restart::_start() {
  local -r unit="$1"
  local name
  unset "RESTART_AT[${unit}]"
  for name in "${ORDER[@]}"; do
    if [[ "${RESTART_POLICY[${name}]:-}" == "${unit} "* ]]; then
      mv -f -- "${LOG_DIR}/${name}.out" "${LOG_DIR}/${name}.out.${RESTART_COUNT[${unit}]}" 2>/dev/null
      steps::restart "${name}"
    fi
  done
  log::info "${unit}: restarted"
}
