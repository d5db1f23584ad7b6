# shellcheck shell=bash
# The supervisor of one job: its clock tick, its end, and what every stage shares. Sourced by job.sh.
#
# Signal handlers only note the signal; what follows from it happens in job::tick, never in the middle of a start.
# Whoever finds a reason to end calls job::end once; stopping and the report are done by the trap on EXIT.

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
RUN_DIR="" LOG_DIR="" SCRATCH="" # made by run::make_directory; SCRATCH is node-local
STAGE=""                         # what the job is doing now
URL=""                           # where it serves, once addresses are known
READY="{}"                       # what probes say, as JSON

CODE="" # exit code and class of the end, and the first reason for it
CLASS=""
CAUSE=""

ENDING=""  # once there is a reason to end: "step" or "signal" while it is looked into, then "stop"
ENDING_AT= # when that was: the time to stop counts from there
SIGNALS=() # signals received so far
CALL_PID=0 # the command that job::call waits for
readonly CALL_GRACE_S=3

# shellcheck disable=SC2312 # ":" does not fail
exec {TICK_FD}<> <(:) # a pipe into which nobody writes
# bash before 5.2 times read -t by an alarm: one that comes in the moment before the read blocks is lost, as is one that comes
# while a handler runs. Then the read never ends. There a tick is a process that sleeps.
readonly READ_KEEPS_TIME=$((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 502))

# Prepares the run: traps, run directory, tables.
job::begin() {
  trap 'job::_hear TERM' TERM
  trap 'job::_hear INT' INT
  trap 'job::_hear USR1' USR1
  trap 'job::_hear HUP' HUP # the terminal of an salloc is gone
  trap 'job::_hear QUIT' QUIT
  trap ':' PIPE
  trap job::_exit EXIT
  environ::drop_foreign
  environ::restrict
  export SLURM_EXPORT_ENV=ALL
  unset SLURM_NTASKS_PER_NODE # of the job; a step has its own number of tasks
  steps::load
  run::make_directory
  run::copy_bundle
  environ::take_secrets
  log::info "job ${JOB_ID} ${JOB_NAME}: run directory ${RUN_DIR}"
  environ::tell_foreign
}

# A handler. A line ends a tick that reads; one that sleeps goes on to its end.
job::_hear() {
  SIGNALS+=("$1")
  printf '\n' >&"${TICK_FD}"
}

job::stage() {
  STAGE="$1"
  event::write stage "stage=${STAGE}"
  status::write
  report::stage "${STAGE}"
}

# Waits a moment, then acts on signals and on steps that ended. Nothing comes from TICK_FD but a line with a signal. It is
# not `wait -n`, for a signal makes bash jump out of that, and the exit code of a child that ends at this very moment is lost:
# whoever waits for it later waits for ever.
job::tick() {
  local seconds=0.5 nothing
  if [[ -n "${ENDING}" ]] || ((CALL_PID != 0 || ${#PROBE_PID[@]} > 0)); then
    seconds=0.1
  fi
  if ((READ_KEEPS_TIME)); then
    # shellcheck disable=SC2034 # nothing comes
    read -r -t "${seconds}" -u "${TICK_FD}" nothing
  else
    { sleep "${seconds}"; } 2>/dev/null # a signal to the whole job ends it as well: bash would tell
  fi
  clock::read
  job::obey_signals
  steps::look
  log::cap
}

# A child of ours that still runs. The number alone says little: it may have been given to somebody else by now.
job::is_running() {
  local -r pid="$1"
  local stat
  { IFS= read -r stat <"/proc/${pid}/stat"; } 2>/dev/null || return 1
  [[ "${stat##*) }" == [!ZX]" $$ "* ]]
}

# Runs a command that may take long, so that signals act meanwhile: job::call SECONDS OUTPUT COMMAND...
# Returns the command's code, or 124 when the time is over: then it is told to end, for a TERM to srun ends its tasks and a KILL
# would leave them, and killed if it does not.
job::call() {
  local -r seconds="$1" output="$2"
  shift 2
  local -r outer="${CALL_PID}" # a signal in the middle of a call asks Slurm, which is a call, too
  local deadline is_late=""
  clock::read
  deadline=$((NOW + seconds))
  "$@" </dev/null >>"${output}" 2>&1 &
  CALL_PID="$!"
  while job::is_running "${CALL_PID}"; do
    if ((NOW >= deadline + CALL_GRACE_S)); then
      kill -KILL "${CALL_PID}" 2>/dev/null # and not waited for: it may hang on a file system
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

# Sets REPLY to the exit code of a child that has ended. A signal may interrupt wait: then it is asked again.
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

# Notes that there is a reason to end the job.
job::note_ending() {
  ENDING="$1"
  ENDING_AT="${ENDING_AT:-${NOW}}"
}

# Ends the job: job::end CODE CLASS CAUSE. The first call counts.
job::end() {
  if [[ -z "${CODE}" ]]; then
    CODE="$1"
    CLASS="$2"
    CAUSE="$3"
  fi
  exit "${CODE}"
}

# What a signal means: a time limit is USR1 near the end of the job's time, `stop` is USR1 before that.
job::obey_signals() {
  ((${#SIGNALS[@]} > 0)) || return 0
  [[ "${ENDING}" != signal && "${ENDING}" != stop ]] || return 0
  job::note_ending signal
  local -r signal="${SIGNALS[0]}"
  event::write signal "signal=${signal}"
  if [[ "${signal}" == USR1 ]] && job::_is_time_over; then
    job::end 78 time_limit "the time limit is near (USR1)"
  fi
  if steps::find_lost_node; then
    job::end 77 node "Slurm lost a node: ${REPLY}"
  fi
  job::end 79 cancelled "received ${signal}"
}

job::_is_time_over() {
  local now left
  clock::read
  ((WARNING_S > 0)) || return 1
  [[ "${TIME_LIMIT_S}" != 0 || -n "${SLURM_JOB_END_TIME:-}" ]] || return 1
  left=$((TIME_LIMIT_S - NOW))
  if [[ "${SLURM_JOB_END_TIME:-}" =~ ^[0-9]+$ ]]; then
    printf -v now '%(%s)T' -1
    left=$((SLURM_JOB_END_TIME - now))
  fi
  ((left < WARNING_S + 90)) # Slurm sends its warning up to a minute early
}

# Waits for the terminal step and ends the job with what came of it.
job::await_terminal() {
  local -r name="$1"
  job::stage benchmark
  log::info "${name} runs; log: ${LOG_DIR}/${name}.out"
  watch::begin
  while ! steps::is_over "${name}"; do
    job::tick
    watch::look
  done
  local -r code="${STEP_EXIT[${name}]}"
  if ((code == 0)); then
    job::end 0 success ""
  fi
  steps::settle 300 # a worker that died makes its client fail: the worker is the cause
  steps::show_log "${name}"
  if steps::find_lost_node "${name}"; then
    job::end 77 node "Slurm lost a node: ${REPLY}"
  elif ((code == 80)); then
    job::_why_it_failed "${name} left no usable result"
    job::end 80 no_result "${REPLY}"
  elif ((code >= 70 && code <= 79)); then
    job::end 1 benchmark "${name} failed with ${code}" # those codes are the job's own
  fi
  job::_why_it_failed "${name} failed with ${code}"
  job::end "${code}" benchmark "${REPLY}"
}

# Sets REPLY to a sentence and what the benchmark itself wrote about its end.
job::_why_it_failed() {
  local -r sentence="$1"
  local reason=""
  { read -r reason <"${RUN_DIR}/run/benchmark.reason"; } 2>/dev/null
  REPLY="${sentence}${reason:+; ${reason}}"
}

# Serves until a signal comes.
job::serve() {
  job::stage serving
  log::info "serving ${MODEL_NAME} at ${URL}; end it with: ${BUNDLE_HOME}/stop ${JOB_ID}"
  watch::begin
  while true; do
    job::tick
    watch::look
  done
}

# The trap on EXIT. Signals that arrive now are only counted; the second one forces.
job::_exit() {
  local -r code="$?"
  trap - EXIT
  clock::read
  job::note_ending stop
  if [[ -z "${CODE}" ]]; then
    CODE=70 CLASS=internal CAUSE="job.sh ended by itself with ${code}"
  fi
  if ((CODE == 0)); then
    log::info "the job is done; stopping"
  else
    log::error "${CLASS}: ${CAUSE}"
  fi
  job::stage stop
  stop::all
  [[ -z "${RUN_DIR:-}" ]] || results::summarize
  job::_summary
  job::stage end
  event::write end "class=${CLASS}" "code:=${CODE}" "cause=${CAUSE}"
  report::finish
  run::remove_scratch
  log::info "end class=${CLASS} code=${CODE}"
  exit "${CODE}"
}

# One line per step.
job::_summary() {
  local name line REPLY
  local -a table=()
  ((${#STEP_PID[@]} > 0)) || return 0
  printf -v line '%-24s %-28s %9s %9s %6s' step nodes started ready exit
  table+=("${line}")
  for name in "${ORDER[@]}"; do
    [[ -n "${STEP_PID[${name}]:-}" ]] || continue
    steps::where "${name}"
    printf -v line '%-24s %-28s %7d s %9s %6s' "${name}" "${REPLY}" "${STEP_STARTED[${name}]}" \
      "${STEP_READY[${name}]:+${STEP_READY[${name}]} s}" "${STEP_EXIT[${name}]:-?}"
    table+=("${line}")
  done
  log::text "${table[@]}"
}
