# shellcheck shell=bash
# The supervisor of one job: setup, the tick, signals, and the end. Sourced by job.sh.
#
# Signal handlers only record the signal; job::tick acts on it, never in the middle of a start.
# job::end ends the job; the trap on EXIT stops the steps and writes the summary.

source "${BUNDLE_DIR}/lib/clock.sh"
source "${BUNDLE_DIR}/lib/json.sh"
source "${BUNDLE_DIR}/lib/log.sh"
source "${BUNDLE_DIR}/lib/event.sh"
source "${BUNDLE_DIR}/lib/status.sh"
source "${BUNDLE_DIR}/lib/run.sh"
source "${BUNDLE_DIR}/lib/environ.sh"
source "${BUNDLE_DIR}/lib/nodes.sh"
source "${BUNDLE_DIR}/lib/steps.sh"
source "${BUNDLE_DIR}/lib/restart.sh"
source "${BUNDLE_DIR}/lib/probes.sh"
source "${BUNDLE_DIR}/lib/watch.sh"
source "${BUNDLE_DIR}/lib/results.sh"
source "${BUNDLE_DIR}/lib/report.sh"
source "${BUNDLE_DIR}/lib/stop.sh"

JOB_ID="${SLURM_JOB_ID:-0}"
RUN_DIR="" LOG_DIR="" SCRATCH="" # set by run::make_directory; SCRATCH is node-local
STAGE=""                         # the current stage
URL=""                           # the public URL, once addresses are known
READY="{}"                       # the state of the probes, as JSON

CODE="" # exit code, class and cause of the end; the first failure sets them
CLASS=""
CAUSE=""

SHUTDOWN=""  # empty while the job runs; "step" or "signal" while the cause is determined, then "stop"
SHUTDOWN_AT= # when the shutdown began; STOP_TIMEOUT_S counts from here
SIGNALS=()   # signals received so far
CALL_PID=0   # process that job::call waits for
readonly CALL_GRACE_S=3

# shellcheck disable=SC2312 # ":" does not fail
exec {TICK_FD}<> <(:) # a pipe that carries nothing but the wake-ups of job::_note_signal
# bash before 5.2 implements read -t with an alarm. An alarm just before the read blocks, or while a handler runs, is lost, and
# the read never returns. On those versions a tick runs `sleep` instead.
readonly READ_KEEPS_TIME=$((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 502))

# Prepares the run: traps, environment, tables, run directory, copy of the bundle.
job::begin() {
  trap 'job::_note_signal TERM' TERM
  trap 'job::_note_signal INT' INT
  trap 'job::_note_signal USR1' USR1
  trap 'job::_note_signal HUP' HUP # the terminal of an salloc was closed
  trap 'job::_note_signal QUIT' QUIT
  trap ':' PIPE
  trap job::_exit EXIT
  environ::drop_foreign
  environ::restrict
  export SLURM_EXPORT_ENV=ALL
  unset SLURM_NTASKS_PER_NODE # it describes the job; each step sets its own number of tasks
  steps::load
  run::make_directory
  run::copy_bundle
  environ::take_secrets
  log::info "job ${JOB_ID} ${JOB_NAME}: run directory ${RUN_DIR}"
  environ::warn_dropped
}

# Signal handler: records the signal and wakes up a tick that waits in `read`. A tick that sleeps runs to its end.
job::_note_signal() {
  SIGNALS+=("$1")
  printf '\n' >&"${TICK_FD}"
}

job::enter_stage() {
  STAGE="$1"
  event::write stage "stage=${STAGE}"
  status::write
  report::stage "${STAGE}"
}

# Waits a moment, then acts on signals and on steps that have ended. It does not use `wait -n`: a signal makes bash leave
# `wait -n`, the exit code of a child that ends at that moment is lost, and a later `wait PID` for it never returns.
job::tick() {
  local seconds=0.5 nothing
  if [[ -n "${SHUTDOWN}" ]] || ((CALL_PID != 0 || ${#PROBE_PID[@]} > 0)); then
    seconds=0.1
  fi
  if ((READ_KEEPS_TIME)); then
    # shellcheck disable=SC2034 # the content does not matter
    read -r -t "${seconds}" -u "${TICK_FD}" nothing
  else
    { sleep "${seconds}"; } 2>/dev/null # a signal to the whole job also kills the sleep, which bash would report
  fi
  clock::read
  job::handle_signals
  steps::poll
  log::cap
}

# Whether a child of this shell still runs. The parent is compared, too, because the pid may have been reused.
job::is_running() {
  local -r pid="$1"
  local stat
  { IFS= read -r stat <"/proc/${pid}/stat"; } 2>/dev/null || return 1
  [[ "${stat##*) }" == [!ZX]" $$ "* ]]
}

# Runs a command that may take long without blocking signals: job::call SECONDS OUTPUT COMMAND...
# Returns the exit code of the command, or 124 after SECONDS. On timeout the command gets TERM first, because srun ends its
# tasks on TERM but leaves them running on KILL, and KILL after CALL_GRACE_S.
job::call() {
  local -r seconds="$1" output="$2"
  shift 2
  local -r outer="${CALL_PID}" # handling a signal during a call queries Slurm, which is a nested call
  local deadline is_late=""
  clock::read
  deadline=$((NOW + seconds))
  "$@" </dev/null >>"${output}" 2>&1 &
  CALL_PID="$!"
  while job::is_running "${CALL_PID}"; do
    if ((NOW >= deadline + CALL_GRACE_S)); then
      kill -KILL "${CALL_PID}" 2>/dev/null # without waiting: it may hang on a file system
      CALL_PID="${outer}"
      return 124
    elif ((NOW >= deadline)) && [[ -z "${is_late}" ]]; then
      is_late=1
      kill -TERM "${CALL_PID}" 2>/dev/null
    fi
    job::tick
  done
  job::reap "${CALL_PID}"
  CALL_PID="${outer}"
  [[ -z "${is_late}" ]] || return 124
  return "${REPLY}"
}

# Sets REPLY to the exit code of a child that has ended. Repeats a `wait` that a signal interrupted.
job::reap() {
  local -r pid="$1"
  local before
  while true; do
    before="${#SIGNALS[@]}"
    wait "${pid}" 2>/dev/null
    REPLY="$?"
    ((before != ${#SIGNALS[@]})) || return 0
  done
}

# Starts the stop timeout and sets the phase of the shutdown: step, signal or stop.
job::begin_shutdown() {
  SHUTDOWN="$1"
  SHUTDOWN_AT="${SHUTDOWN_AT:-${NOW}}"
}

# Ends the job: job::end CODE CLASS CAUSE. Only the first call sets the cause.
job::end() {
  if [[ -z "${CODE}" ]]; then
    CODE="$1"
    CLASS="$2"
    CAUSE="$3"
  fi
  exit "${CODE}"
}

# Ends the job if a signal was received. USR1 near the time limit is Slurm's warning; earlier it comes from `stop`.
job::handle_signals() {
  ((${#SIGNALS[@]} > 0)) || return 0
  [[ "${SHUTDOWN}" != signal && "${SHUTDOWN}" != stop ]] || return 0
  job::begin_shutdown signal
  local -r signal="${SIGNALS[0]}"
  event::write signal "signal=${signal}"
  if [[ "${signal}" == USR1 ]] && job::_is_near_time_limit; then
    job::end 78 time_limit "the time limit is near (USR1)"
  fi
  if steps::find_lost_node; then
    job::end 77 node "Slurm lost a node: ${REPLY}"
  fi
  job::end 79 cancelled "received ${signal}"
}

# Whether the job is so near its time limit that USR1 is Slurm's warning.
job::_is_near_time_limit() {
  local now left
  clock::read
  ((WARNING_S > 0)) || return 1
  [[ "${TIME_LIMIT_S}" != 0 || -n "${SLURM_JOB_END_TIME:-}" ]] || return 1
  left=$((TIME_LIMIT_S - NOW))
  if [[ "${SLURM_JOB_END_TIME:-}" =~ ^[0-9]+$ ]]; then
    printf -v now '%(%s)T' -1
    left=$((SLURM_JOB_END_TIME - now))
  fi
  ((left < WARNING_S + 90)) # Slurm may send its warning up to a minute early
}

# Waits for the terminal step, then ends the job with its result.
job::await_terminal() {
  local -r name="$1"
  job::enter_stage benchmark
  log::info "${name} runs; log: ${LOG_DIR}/${name}.out"
  watch::begin
  while ! steps::is_over "${name}"; do
    job::tick
    watch::poll
  done
  local -r code="${STEP_EXIT[${name}]}"
  if ((code == 0)); then
    job::end 0 success ""
  fi
  steps::settle 300 # if a worker died, the client fails first; the worker is the cause
  steps::print_log_tail "${name}"
  if steps::find_lost_node "${name}"; then
    job::end 77 node "Slurm lost a node: ${REPLY}"
  elif ((code == 80)); then
    job::_describe_failure "${name} left no usable result"
    job::end 80 no_result "${REPLY}"
  elif ((code >= 70 && code <= 79)); then
    job::end 1 benchmark "${name} failed with ${code}" # 70 to 79 are codes of job.sh itself
  fi
  job::_describe_failure "${name} failed with ${code}"
  job::end "${code}" benchmark "${REPLY}"
}

# Sets REPLY to a sentence, followed by the reason that the benchmark recorded.
job::_describe_failure() {
  local -r sentence="$1"
  local reason=""
  { read -r reason <"${RUN_DIR}/run/benchmark.reason"; } 2>/dev/null
  REPLY="${sentence}${reason:+; ${reason}}"
}

# Serves until a signal or a failure ends the job.
job::serve() {
  job::enter_stage serving
  log::info "serving ${MODEL_NAME} at ${URL}; to stop: ${BUNDLE_HOME}/stop ${JOB_ID}"
  watch::begin
  while true; do
    job::tick
    watch::poll
  done
}

# The trap on EXIT. Signals that arrive from now on are only counted; a second signal forces the stop.
job::_exit() {
  local -r code="$?"
  trap - EXIT
  clock::read
  job::begin_shutdown stop
  if [[ -z "${CODE}" ]]; then
    CODE=70 CLASS=internal CAUSE="job.sh exited unexpectedly with ${code}"
  fi
  if ((CODE == 0)); then
    log::info "job complete; stopping"
  else
    log::error "${CLASS}: ${CAUSE}"
  fi
  job::enter_stage stop
  stop::all
  [[ -z "${RUN_DIR:-}" ]] || results::summarize
  job::_print_summary
  job::enter_stage end
  event::write end "class=${CLASS}" "code:=${CODE}" "cause=${CAUSE}"
  report::finish
  run::remove_scratch
  log::info "end class=${CLASS} code=${CODE}"
  exit "${CODE}"
}

# Logs a table with one line per step.
job::_print_summary() {
  local name line REPLY
  local -a table=()
  ((${#STEP_PID[@]} > 0)) || return 0
  printf -v line '%-24s %-28s %9s %9s %6s' step nodes started ready exit
  table+=("${line}")
  for name in "${ORDER[@]}"; do
    [[ -n "${STEP_PID[${name}]:-}" ]] || continue
    steps::list_nodes "${name}"
    printf -v line '%-24s %-28s %7d s %9s %6s' "${name}" "${REPLY}" "${STEP_STARTED[${name}]}" \
      "${STEP_READY[${name}]:+${STEP_READY[${name}]} s}" "${STEP_EXIT[${name}]:-?}"
    table+=("${line}")
  done
  log::text "${table[@]}"
}
