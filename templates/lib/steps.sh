# shellcheck shell=bash
# The steps of the job: start them, watch them, and find the step that failed first.

# By step name, from the table STEPS.
declare -gA STEP_STAGE=() STEP_TIER=() STEP_SIGNAL=() STEP_ROLE=() STEP_NODES=() STEP_SECRETS=()
# By step name, at run time: pid of srun, Slurm step id, start time, seconds until ready, exit code.
declare -gA STEP_PID=() STEP_ID=() STEP_STARTED=() STEP_READY=() STEP_EXIT=()

ORDER=()        # step names in start order
FIRST_FAILED="" # the critical step that ended first
POLL_COUNT=0    # calls of steps::poll
STARTING=0      # started steps whose Slurm step id is not known yet

# Reads the table STEPS of job.sh.
steps::load() {
  local row name
  for row in "${STEPS[@]}"; do
    read -r name _ <<<"${row}"
    ORDER+=("${name}")
    read -r _ "STEP_STAGE[${name}]" "STEP_TIER[${name}]" "STEP_SIGNAL[${name}]" \
      "STEP_ROLE[${name}]" "STEP_NODES[${name}]" "STEP_SECRETS[${name}]" <<<"${row}"
  done
  restart::load
  probes::load_gates
}

# Starts the steps of a stage that have not started yet, PARALLEL_STARTS per second: steps::start STAGE [STEP]...
# With STEP arguments only those steps.
steps::start() {
  local -r stage="$1"
  shift
  local name count=0
  job::enter_stage "${stage}"
  for name in "${ORDER[@]}"; do
    [[ "${STEP_STAGE[${name}]}" == "${stage}" && -z "${STEP_PID[${name}]:-}" ]] || continue
    (($# == 0)) || [[ " $* " == *" ${name} "* ]] || continue
    job::handle_signals
    steps::_start_one "${name}"
    count=$((count + 1))
    ((count % PARALLEL_STARTS != 0)) || steps::settle 100
  done
  ((count == 0)) || log::info "${stage}: steps started: ${count}"
}

steps::_start_one() {
  local -r name="$1"
  environ::launch "${name}" </dev/null >>"${LOG_DIR}/${name}.out" 2>&1 &
  STEP_PID["${name}"]="$!"
  clock::read
  STEP_STARTED["${name}"]="${NOW}"
  STARTING=$((STARTING + 1))
  event::write step "step=${name}" "state=started" "pid:=${STEP_PID[${name}]}"
}

# Starts a step again that has ended. Its log is appended to, unless the caller has moved it away.
steps::restart() {
  local -r name="$1"
  rm -f -- "${RUN_DIR}/run/steps/${name}.id"
  unset "STEP_ID[${name}]" "STEP_EXIT[${name}]" "STEP_READY[${name}]"
  steps::_start_one "${name}"
}

# Reads step ids and detects steps that have ended. A critical step that ends, with any code, ends the job.
# With hundreds of steps this dominates the cost of the supervisor. bash reaps its dead children, so on most polls it is
# enough that the pid exists.
steps::poll() {
  local name pid
  ((STARTING == 0)) || steps::read_ids
  POLL_COUNT=$((POLL_COUNT + 1))
  for name in "${ORDER[@]}"; do
    pid="${STEP_PID[${name}]:-}"
    [[ -n "${pid}" && -z "${STEP_EXIT[${name}]:-}" ]] || continue
    if [[ ! -e "/proc/${pid}" ]] || { ((POLL_COUNT % 10 == 0)) && ! job::is_running "${pid}"; }; then
      steps::_record_end "${name}"
    fi
  done
  restart::poll
  if [[ -n "${FIRST_FAILED}" && -z "${SHUTDOWN}" ]]; then
    job::begin_shutdown step
    steps::settle 50 # a signal to the whole job may reach the steps a moment before job.sh
    steps::_fail "${FIRST_FAILED}"
  fi
}

# Whether a step has started and is not known to have ended.
steps::is_live() {
  local -r name="$1"
  [[ -n "${STEP_PID[${name}]:-}" && -z "${STEP_EXIT[${name}]:-}" ]]
}

# Whether a step has ended and no retry is scheduled.
steps::is_over() {
  local -r name="$1"
  [[ -n "${STEP_EXIT[${name}]:-}" && -z "${RETRY_AT[${name}]:-}" ]]
}

# Reads the step ids that the steps have written. Listing the directory makes NFS revalidate its cache.
steps::read_ids() {
  local name file
  for file in "${RUN_DIR}"/run/steps/*.id; do
    name="${file##*/}"
    name="${name%.id}"
    if steps::is_live "${name}" && [[ -z "${STEP_ID[${name}]:-}" ]] && { read -r "STEP_ID[${name}]" <"${file}"; } 2>/dev/null; then
      STARTING=$((STARTING - 1))
      event::write step "step=${name}" "state=running" "id=${STEP_ID[${name}]}"
    fi
  done
}

# Records the exit code of a step and decides whether it matters: restart, failure of the job, or a warning.
steps::_record_end() {
  local -r name="$1"
  local REPLY
  job::reap "${STEP_PID[${name}]}"
  STEP_EXIT["${name}"]="${REPLY}"
  [[ -n "${STEP_ID[${name}]:-}" ]] || STARTING=$((STARTING - 1))
  event::write step "step=${name}" "state=ended" "exit:=${REPLY}"
  [[ "${SHUTDOWN}" != stop ]] || return 0
  ! restart::schedule "${name}" "${REPLY}" || return 0
  case "${STEP_ROLE[${name}]}:${REPLY}" in
    setup:0 | attempt:0) ;;
    critical:* | setup:*) FIRST_FAILED="${FIRST_FAILED:-${name}}" ;;
    optional:* | attempt:*) log::warn "${name} ended with ${REPLY}; the job continues without it" ;;
  esac
}

# Waits until every step of a stage has ended.
steps::await_end() {
  local -r stage="$1"
  local name begin
  clock::read
  begin="${NOW}"
  for name in "${ORDER[@]}"; do
    [[ "${STEP_STAGE[${name}]}" == "${stage}" ]] || continue
    while ! steps::is_over "${name}"; do
      job::tick
    done
  done
  log::info "${stage}: finished after $((NOW - begin)) s"
}

# Handles further events, such as other steps that end, for a number of hundredths of a second.
steps::settle() {
  local deadline
  clock::read
  deadline=$((NOW_CS + $1))
  while ((NOW_CS < deadline)); do
    job::tick
  done
}

# Ends the job because of a critical step.
steps::_fail() {
  local -r name="$1"
  local -r code="${STEP_EXIT[${name}]}"
  local where
  steps::list_nodes "${name}"
  where="${REPLY}"
  steps::print_log_tail "${name}"
  if steps::find_lost_node "${name}"; then
    job::end 77 node "Slurm lost a node: ${REPLY} (${name} on ${where})"
  fi
  case "${STEP_STAGE[${name}]}" in
    prepare) job::end 72 preflight "${name} on ${where} ended with ${code}" ;;
    infra) job::end 73 infra "${name} on ${where} ended with ${code}" ;;
    worker) job::end 74 worker "${name} on ${where} ended with ${code}" ;;
    frontend) job::end 75 frontend "${name} on ${where} ended with ${code}" ;;
    *) job::end 1 benchmark "${name} on ${where} ended with ${code}" ;;
  esac
}

# Sets REPLY to the host names of a step, separated by commas.
steps::list_nodes() {
  local -r name="$1"
  local index
  REPLY=""
  for index in ${STEP_NODES[${name}]//,/ }; do
    REPLY+="${REPLY:+,}${NODE[index]}"
  done
}

# Logs the end of a step's log. Progress bars and very long lines are cut to a readable amount.
steps::print_log_tail() {
  local -r name="$1"
  local lines
  lines="$(tail -c 65536 -- "${LOG_DIR}/${name}.out" 2>/dev/null | tr '\r' '\n' | tail -n 30 | cut -c 1-2000)"
  log::text "--- last lines of ${LOG_DIR}/${name}.out" "${lines}" "---"
}

# Whether Slurm lost a node, according to the errors of srun or the state of the job: steps::find_lost_node [STEP]
# Sets REPLY to the evidence. With STEP only the log of that step is searched.
steps::find_lost_node() {
  local -r pattern='^(srun|slurmstepd): error: .*(Node failure on|DUE TO NODE FAILURE|failed on node .* connection failure)'
  local -a logs=("${LOG_DIR}"/*.out)
  (($# == 0)) || logs=("${LOG_DIR}/$1.out")
  REPLY="$(tail -q -c 16384 -- "${logs[@]}" 2>/dev/null | LC_ALL=C grep -a -m 1 -E "${pattern}" | cut -c 1-500)"
  [[ -z "${REPLY}" ]] || return 0
  job::call 5 "${SCRATCH}/state" squeue --noheader --jobs="${JOB_ID}" --format=%T,%r
  # one line per component; the state is COMPLETING while Slurm ends the job
  REPLY="$(grep -m 1 -E 'NODE_FAIL|,NodeDown$' -- "${SCRATCH}/state")" || return 1
  REPLY="squeue reports ${REPLY}"
}
