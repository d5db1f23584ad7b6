# shellcheck shell=bash
# Sourced by every launcher, steps/<step>.sh:
#
#   launch RUN_DIR   on the batch host: exec srun
#   task RUN_DIR     in the step, inside its container: environment, preamble, command
#   show [RUN_DIR]   print the commands, ready to paste
#
# A launcher calls step::begin, sets the arrays below, and ends with step::main.

source "${BASH_SOURCE[0]%/*}/../lib/setup.sh"
source "${BASH_SOURCE[0]%/*}/../lib/bench.sh"

NODE=()
IP=()
SRUN=()           # options of srun
LAUNCH_ENV=()     # NAME=value, for srun and the container runtime
ENV_FROM=()       # names of secrets, exported by job.sh for this launcher only; srun passes them on
ENV=()            # NAME=value, set inside the step, where Slurm cannot overwrite them
ARGV=()           # the command, unless the launcher defines the function "runs"
SCRATCH=()        # directories of setup::scratch, removed at the end
STOP_REQUESTED="" # set by a signal: no new command starts

# Sets STEP, VERB, RUN_DIR, BUNDLE_DIR, LOG_DIR and JOB_ID, and reads the addresses of the run: step::begin STEP VERB [RUN_DIR].
step::begin() {
  STEP="$1"
  VERB="${2:-}"
  RUN_DIR="${3:-}"
  BUNDLE_DIR="$(cd -- "${BASH_SOURCE[0]%/*}/.." && pwd)"
  if [[ -n "${RUN_DIR}" ]]; then
    # shellcheck source=/dev/null # written by job.sh
    source "${RUN_DIR}/run/nodes.sh"
  elif [[ "${VERB}" == show ]]; then
    step::_use_placeholders
  else
    printf 'usage: bash %s launch|task|show RUN_DIR\n' "$0" >&2
    exit 2
  fi
  # shellcheck disable=SC2034 # used in launchers
  JOB_ID="${SLURM_JOB_ID:-JOB_ID}"
  LOG_DIR="${RUN_DIR}/logs"
}

step::main() {
  case "${VERB}" in
    launch) step::_launch ;;
    task) step::_task ;;
    show) step::_show ;;
    *) exit 2 ;;
  esac
}

step::_launch() {
  step::_export ${LAUNCH_ENV[@]+"${LAUNCH_ENV[@]}"}
  exec ${LATE_ENV[@]+env -- "${LATE_ENV[@]}"} srun "${SRUN[@]}" bash "${BUNDLE_DIR}/steps/${STEP}.sh" task "${RUN_DIR}" </dev/null
}

step::_task() {
  step::_write_id
  ((${#ENV_FROM[@]} == 0)) || set +x # the commands of the recipe may handle its secrets
  export SRT_STEP="${STEP}" SRT_RUN_DIR="${RUN_DIR}"
  step::_export ${ENV[@]+"${ENV[@]}"}
  trap step::_remove_scratch EXIT # during the preamble a signal ends this shell at once
  if declare -F preamble >/dev/null; then
    preamble
  fi
  step::_check_tmpdir # after the preamble, which may create it
  if ((${#SCRATCH[@]} > 0)); then
    step::_run_and_clean_up step::_run_command
  else
    step::_run_command
  fi
}

# Falls back to /tmp if TMPDIR of the job is not writable on this node or in this image.
step::_check_tmpdir() {
  if [[ -n "${TMPDIR:-}" && ! (-d "${TMPDIR}" && -w "${TMPDIR}") ]]; then
    printf 'TMPDIR is not writable here, using /tmp: %s\n' "${TMPDIR}" >&2
    unset TMPDIR
  fi
}

step::_run_command() {
  if declare -F runs >/dev/null; then
    runs
  else
    step::print_command "${ARGV[@]}"
    exec ${LATE_ENV[@]+env -- "${LATE_ENV[@]}"} "${ARGV[@]}"
  fi
}

# Calls a library function, or a program with the complete environment. Does nothing after a signal to stop.
step::call() {
  [[ -z "${STOP_REQUESTED}" ]] || return 143
  if declare -F -- "$1" >/dev/null; then
    "$@"
  else
    ${LATE_ENV[@]+env -- "${LATE_ENV[@]}"} "$@"
  fi
}

# Removes the directories of setup::scratch.
step::_remove_scratch() {
  ((${#SCRATCH[@]} == 0)) || rm -rf -- "${SCRATCH[@]}"
}

# Runs a function in a child process, so that this shell can clean up afterwards, and exits with the status of the function.
# Slurm (with proctrack/cgroup) signals only this shell, which forwards the signal to the process group of the child.
# In bash 5.1 a new child may lose a signal, so none is sent before the child has reported through a pipe that it runs.
step::_run_and_clean_up() {
  local code child="" started_in started_out
  trap 'STOP_REQUESTED=1; [[ -z "${child}" ]] || kill -TERM -- "-${child}" 2>/dev/null || true' TERM INT USR1 USR2
  # shellcheck disable=SC2312 # ":" does not fail
  exec {started_out}<> <(:)
  exec {started_in}<"/dev/fd/${started_out}" # the read end: it reports end of file if the child dies
  set -m
  step::_run_in_group "${started_out}" "${started_in}" "$@" &
  set +m
  exec {started_out}>&-
  read -r -u "${started_in}" || true
  exec {started_in}<&-
  child="$!"
  # forward a signal that arrived before
  [[ -z "${STOP_REQUESTED}" ]] || kill -TERM -- "-${child}" 2>/dev/null || true
  while true; do
    STOP_REQUESTED=""
    code=0
    wait "${child}" || code="$?"
    [[ -n "${STOP_REQUESTED}" ]] || break # a signal interrupted wait, so the status is not the child's
  done
  exit "${code}"
}

# Runs a function in the process group of the child. With several commands a signal ends the current one but not this shell,
# which then starts no other.
step::_run_in_group() {
  local -r started_out="$1" started_in="$2"
  shift 2
  if declare -F runs >/dev/null; then
    trap 'STOP_REQUESTED=1' TERM INT USR1 USR2
  fi
  printf '\n' >&"${started_out}"
  exec {started_out}>&- {started_in}<&-
  "$@"
}

# Writes the step id, with which job.sh stops the step; only the first task does. In every step of a heterogeneous job
# SLURM_JOB_ID is that of the first component, but a step id needs the job id of its own component; with a wrong one scancel
# silently does nothing.
step::_write_id() {
  local -r file="${RUN_DIR}/run/steps/${STEP}.id"
  local job=SLURM_JOB_ID
  [[ "${SLURM_PROCID:-0}" == 0 ]] || return 0
  [[ ! " ${SRUN[*]} " =~ " --het-group="([0-9]+)" " ]] || job="SLURM_JOB_ID_HET_GROUP_${BASH_REMATCH[1]}"
  printf '%s.%s\n' "${!job:-${SLURM_JOB_ID}}" "${SLURM_STEP_ID}" >"${file}.new"
  mv -f -- "${file}.new" "${file}"
}

# Exports NAME=value pairs. Names that bash or a launcher uses are set later, by `env` in front of the command. Names with
# lowercase letters are set by both, because a local variable of a library function may hide them.
LATE_ENV=()
step::_export() {
  local pair
  for pair in "$@"; do
    case "${pair%%=*}" in
      BASH* | DIRSTACK | EPOCH* | EUID | FUNCNAME | GROUPS | HIST* | IFS | LINENO | OPT* | PIPESTATUS | POSIXLY_CORRECT | \
        PPID | PS4 | RANDOM | REPLY | SECONDS | SHELLOPTS | SRANDOM | UID | _ | \
        ARGV | BUNDLE_DIR | ENV | ENV_FROM | IP | STOP_REQUESTED | JOB_ID | LATE_ENV | LAUNCH_ENV | LOG_DIR | NODE | RUN_DIR | SCRATCH | \
        SRUN | STEP | VERB)
        LATE_ENV+=("${pair}")
        ;;
      *[a-z]*)
        LATE_ENV+=("${pair}")
        declare -gx "${pair?}"
        ;;
      *) export "${pair?}" ;;
    esac
  done
}

# Prints a command, quoted for pasting.
step::print_command() {
  [[ "${SLURM_PROCID:-0}" == 0 ]] || return 0
  local text
  printf -v text ' %q' "$@"
  printf '[%s]%s\n' "${STEP}" "${text}"
}

# shellcheck disable=SC2034 # used in launchers
# Sets names and addresses to their own references, for `show` without a run.
step::_use_placeholders() {
  local i
  for i in {0..999}; do
    NODE[i]="\${NODE[${i}]}"
    IP[i]="\${IP[${i}]}"
  done
  RUN_DIR="\${RUN_DIR}"
}

step::_show() {
  local pair
  printf '# on the batch host\n'
  for pair in ${LAUNCH_ENV[@]+"${LAUNCH_ENV[@]}"}; do
    printf 'export %q\n' "${pair}"
  done
  for pair in ${ENV_FROM[@]+"${ENV_FROM[@]}"}; do
    printf 'export %s # from the environment of the submitter or the secrets file\n' "${pair}"
  done
  step::_print_lines srun "${SRUN[@]}" bash "${BUNDLE_DIR}/steps/${STEP}.sh" task "${RUN_DIR}"
  printf '\n# in the step\n'
  for pair in ${ENV[@]+"${ENV[@]}"}; do
    printf 'export %q\n' "${pair}"
  done
  if declare -F preamble >/dev/null; then
    declare -f preamble
  fi
  if declare -F runs >/dev/null; then
    declare -f runs
  else
    step::_print_lines "${ARGV[@]}"
  fi
}

# Prints a command with one option per line.
step::_print_lines() {
  local word line=""
  for word in "$@"; do
    if [[ "${word}" == -* && -n "${line}" ]]; then
      printf '%s \\\n ' "${line}"
      line=""
    fi
    printf -v word '%q' "${word}"
    line+="${line:+ }${word}"
  done
  printf '%s\n' "${line}"
}
