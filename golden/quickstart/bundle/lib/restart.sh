# shellcheck shell=bash
# Steps that are started again: those that Slurm refused for a moment, and workers whose recipe says so.

declare -gA RESTART_OF=()   # by step: worker, policy, how often, seconds before the first time, at most
declare -gA RESTART_N=()    # by worker: how often it was started again
declare -gA RESTART_AT=()   # by worker: when it is to be started, while it is down
declare -gA REFUSED_N=()    # by step: how often Slurm refused it
declare -gA REFUSED_AT=()   # by step: when it is asked again
readonly REFUSALS_MOST=5    # 2 + 4 + 8 + 16 + 32 seconds
readonly RESTART_GRACE_S=30 # for the other processes of a worker to end

# Reads the table RESTARTS of job.sh; most jobs have none.
restart::load() {
  local row name
  # shellcheck disable=SC2153 # job.sh has it, in a job where a worker is started again
  declare -p RESTARTS >/dev/null 2>&1 || return 0
  for row in "${RESTARTS[@]}"; do
    read -r name row <<<"${row}"
    RESTART_OF["${name}"]="${row}"
  done
}

# Whether a step that has ended will be started again. The job goes on as if it had not ended.
restart::takes() {
  local -r name="$1" code="$2"
  [[ -z "${ENDING}" ]] || return 1
  if restart::_was_refused "${name}" "${code}"; then
    restart::_ask_again "${name}"
  else
    restart::_takes_worker "${name}" "${code}"
  fi
}

# A step that never ran, because Slurm could not start it just then: while its controller is restarted, for instance. What
# it says of a request that will never fit is left as it is.
restart::_was_refused() {
  local -r name="$1" code="$2"
  local -r reasons="Unable to (create step|confirm allocation|contact slurm controller|connect to slurm)|Socket timed out"
  local said
  ((code != 0 && ${REFUSED_N[${name}]:-0} < REFUSALS_MOST)) || return 1
  [[ -z "${STEP_ID[${name}]:-}" && ! -e "${RUN_DIR}/run/steps/${name}.id" ]] || return 1
  said="$(tail -c 4096 -- "${LOG_DIR}/${name}.out" 2>/dev/null |
    grep -E "^srun: error: .*(${reasons})")"
  [[ -n "${said}" && ! "${said##*$'\n'}" =~ (More processors|configuration is not available|Invalid|already completing|exceed) ]]
}

restart::_ask_again() {
  local -r name="$1"
  local delay
  REFUSED_N["${name}"]=$((${REFUSED_N[${name}]:-0} + 1))
  delay=$((2 ** REFUSED_N[${name}]))
  REFUSED_AT["${name}"]=$((NOW + delay))
  log::warn "Slurm refused ${name} for now; asking again in ${delay} s (${REFUSED_N[${name}]} of ${REFUSALS_MOST})"
}

# The process of a worker: it is down as a whole, and the others are told to end.
restart::_takes_worker() {
  local -r name="$1" code="$2"
  local unit policy most delay longest count
  [[ -n "${RESTART_OF[${name}]:-}" ]] || return 1
  read -r unit policy most delay longest <<<"${RESTART_OF[${name}]}"
  [[ -z "${RESTART_AT[${unit}]:-}" ]] || return 0
  count="${RESTART_N[${unit}]:-0}"
  ((count < most)) && [[ "${policy}" == always || "${code}" != 0 ]] || return 1
  ! steps::find_lost_node "${name}" || return 1
  while ((count > 0 && delay < longest)); do
    delay=$((2 * delay))
    count=$((count - 1))
  done
  ((delay <= longest)) || delay="${longest}"
  RESTART_N["${unit}"]=$((${RESTART_N[${unit}]:-0} + 1))
  RESTART_AT["${unit}"]=$((NOW + delay))
  log::warn "${name} ended with ${code}; ${unit} is started again in ${delay} s (${RESTART_N[${unit}]} of ${most})"
  restart::_signal "${unit}" TERM
}

# Tells the processes of a worker that still run to end. It takes a moment; nobody waits for it here.
restart::_signal() {
  local -r unit="$1" signal="$2"
  local name ids=""
  for name in "${!RESTART_OF[@]}"; do
    if [[ "${RESTART_OF[${name}]}" == "${unit} "* ]] && steps::is_live "${name}" && [[ -n "${STEP_ID[${name}]:-}" ]]; then
      ids+=" ${STEP_ID[${name}]}"
    fi
  done
  # shellcheck disable=SC2086 # a list of step ids
  [[ -z "${ids}" ]] || scancel --signal="${signal}" ${ids} </dev/null >>"${SCRATCH}/scancel" 2>&1 &
}

# Called after every tick: starts what is due.
restart::look() {
  local name unit
  [[ -z "${ENDING}" ]] || return 0
  for name in "${!REFUSED_AT[@]}"; do
    if ((NOW >= REFUSED_AT[${name}])); then
      unset "REFUSED_AT[${name}]"
      steps::start_again "${name}"
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

restart::_is_down() {
  local -r unit="$1"
  local name
  for name in "${!RESTART_OF[@]}"; do
    [[ "${RESTART_OF[${name}]}" != "${unit} "* ]] || ! steps::is_live "${name}" || return 1
  done
}

restart::_start() {
  local -r unit="$1"
  local name
  unset "RESTART_AT[${unit}]"
  for name in "${ORDER[@]}"; do
    if [[ "${RESTART_OF[${name}]:-}" == "${unit} "* ]]; then
      mv -f -- "${LOG_DIR}/${name}.out" "${LOG_DIR}/${name}.out.${RESTART_N[${unit}]}" 2>/dev/null
      steps::start_again "${name}"
    fi
  done
  log::info "${unit}: started again"
}
