# shellcheck shell=bash
# The steps of the job: start them in waves, watch them, say which one failed first.

# By step name, from the table.
declare -gA STEP_STAGE=() STEP_TIER=() STEP_SIGNAL=() STEP_ROLE=() STEP_NODES=() STEP_SECRETS=()
# By step name, from the run: pid of its srun, Slurm step id, seconds, exit code.
declare -gA STEP_PID=() STEP_ID=() STEP_STARTED=() STEP_READY=() STEP_EXIT=()

ORDER=()        # names in start order
FIRST_FAILED="" # the critical step that ended first
LOOKS=0         # how often the steps were looked at
STARTING=0      # steps whose Slurm step id is not known yet

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

# Starts the steps of a stage, or of these only those that are named, PARALLEL_STARTS of them a second; the others are watched
# meanwhile. What runs already is left.
steps::start() {
  local -r stage="$1"
  shift
  local name count=0
  job::stage "${stage}"
  for name in "${ORDER[@]}"; do
    [[ "${STEP_STAGE[${name}]}" == "${stage}" && -z "${STEP_PID[${name}]:-}" ]] || continue
    (($# == 0)) || [[ " $* " == *" ${name} "* ]] || continue
    job::obey_signals
    steps::_start_one "${name}"
    count=$((count + 1))
    ((count % PARALLEL_STARTS != 0)) || steps::settle 100
  done
  ((count == 0)) || log::info "${stage}: started ${count} steps"
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

# Starts a step that has ended once more; its log goes on, if it was left where it was.
steps::start_again() {
  local -r name="$1"
  rm -f -- "${RUN_DIR}/run/steps/${name}.id"
  unset "STEP_ID[${name}]" "STEP_EXIT[${name}]" "STEP_READY[${name}]"
  steps::_start_one "${name}"
}

# Notices ids and ends. A critical step that ends, with any code, ends the job. With hundreds of steps this is what the
# supervisor costs: bash has collected what is dead, so mostly it is enough that the number is there.
steps::look() {
  local name pid
  ((STARTING == 0)) || steps::_learn_ids
  LOOKS=$((LOOKS + 1))
  for name in "${ORDER[@]}"; do
    pid="${STEP_PID[${name}]:-}"
    [[ -n "${pid}" && -z "${STEP_EXIT[${name}]:-}" ]] || continue
    if [[ ! -e "/proc/${pid}" ]] || { ((LOOKS % 10 == 0)) && ! job::is_running "${pid}"; }; then
      steps::_note_end "${name}"
    fi
  done
  restart::look
  if [[ -n "${FIRST_FAILED}" && -z "${ENDING}" ]]; then
    job::note_ending step
    steps::settle 50 # a signal to the whole job may reach the steps a moment before it reaches us
    steps::_fail "${FIRST_FAILED}"
  fi
}

# Started, and not seen to end.
steps::is_live() {
  local -r name="$1"
  [[ -n "${STEP_PID[${name}]:-}" && -z "${STEP_EXIT[${name}]:-}" ]]
}

# Ended, and not to be started again.
steps::is_over() {
  local -r name="$1"
  [[ -n "${STEP_EXIT[${name}]:-}" && -z "${REFUSED_AT[${name}]:-}" ]]
}

# Step ids are written by the steps themselves. Listing the directory makes NFS look again.
steps::_learn_ids() {
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

steps::_note_end() {
  local -r name="$1"
  local REPLY
  job::reap "${STEP_PID[${name}]}"
  STEP_EXIT["${name}"]="${REPLY}"
  [[ -n "${STEP_ID[${name}]:-}" ]] || STARTING=$((STARTING - 1))
  event::write step "step=${name}" "state=ended" "exit:=${REPLY}"
  [[ "${ENDING}" != stop ]] || return 0
  ! restart::takes "${name}" "${REPLY}" || return 0
  case "${STEP_ROLE[${name}]}:${REPLY}" in
    setup:0 | attempt:0) ;;
    critical:* | setup:*) FIRST_FAILED="${FIRST_FAILED:-${name}}" ;;
    optional:* | attempt:*) log::warn "${name} ended with ${REPLY}; the job goes on without it" ;;
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
  log::info "${stage}: done after $((NOW - begin)) s"
}

# Waits so many hundredths of a second for whatever else may come to light: another end, a signal.
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
  steps::where "${name}"
  where="${REPLY}"
  steps::show_log "${name}"
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

# Sets REPLY to the names of a step's nodes.
steps::where() {
  local -r name="$1"
  local index
  REPLY=""
  for index in ${STEP_NODES[${name}]//,/ }; do
    REPLY+="${REPLY:+,}${NODE[index]}"
  done
}

# The last lines of a step's log: of a log with progress bars or without line breaks no more than can be read.
steps::show_log() {
  local -r name="$1"
  local lines
  lines="$(tail -c 65536 -- "${LOG_DIR}/${name}.out" 2>/dev/null | tr '\r' '\n' | tail -n 30 | cut -c 1-2000)"
  log::text "--- the last lines of ${LOG_DIR}/${name}.out" "${lines}" "---"
}

# Whether Slurm lost a node, by what srun said about it (of one step, or of any). Sets REPLY to that.
steps::find_lost_node() {
  local -r said='^(srun|slurmstepd): error: .*(Node failure on|DUE TO NODE FAILURE|failed on node .* connection failure)'
  local -a logs=("${LOG_DIR}"/*.out)
  (($# == 0)) || logs=("${LOG_DIR}/$1.out")
  REPLY="$(tail -q -c 16384 -- "${logs[@]}" 2>/dev/null | LC_ALL=C grep -a -m 1 -E "${said}" | cut -c 1-500)"
  [[ -z "${REPLY}" ]] || return 0
  job::call 5 "${SCRATCH}/state" squeue --noheader --jobs="${JOB_ID}" --format=%T,%r
  # a line per component; while Slurm ends the job it is COMPLETING
  REPLY="$(grep -m 1 -E 'NODE_FAIL|,NodeDown$' -- "${SCRATCH}/state")" || return 1
  REPLY="squeue says ${REPLY}"
}
