# shellcheck shell=bash
# Sourced by every launcher, steps/<step>.sh:
#
#   launch RUN_DIR   on the batch host: exec srun
#   task RUN_DIR     in the step, inside its container: environment, preamble, command
#   show [RUN_DIR]   print what would run, ready to paste
#
# A launcher calls step::begin, fills the arrays, and ends with step::main.

source "${BASH_SOURCE[0]%/*}/../lib/setup.sh"
source "${BASH_SOURCE[0]%/*}/../lib/bench.sh"

NODE=()
IP=()
SRUN=()       # options of srun
LAUNCH_ENV=() # NAME=value, for srun itself and the container runtime
ENV_FROM=()   # names of the secrets that job.sh gives to this launcher only; srun passes them on
ENV=()        # NAME=value, set inside the step, where Slurm does not overwrite them
ARGV=()       # the command, if the launcher has no function "runs"
SCRATCH=()    # directories of setup::scratch, removed at the end
IS_STOPPED="" # set once the step has been told to stop: nothing new begins then

# Learns where it runs: step::begin STEP VERB [RUN_DIR].
step::begin() {
  STEP="$1"
  VERB="${2:-}"
  RUN_DIR="${3:-}"
  BUNDLE_DIR="$(cd -- "${BASH_SOURCE[0]%/*}/.." && pwd)"
  if [[ -n "${RUN_DIR}" ]]; then
    # shellcheck source=/dev/null # names and addresses of this run
    source "${RUN_DIR}/run/nodes.sh"
  elif [[ "${VERB}" == show ]]; then
    step::_pretend
  else
    printf 'usage: bash %s launch|task|show RUN_DIR\n' "$0" >&2
    exit 2
  fi
  # shellcheck disable=SC2034 # launchers refer to it
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
  step::_note_id
  ((${#ENV_FROM[@]} == 0)) || set +x # what comes next is the recipe's, and may work with its secrets
  export SRT_STEP="${STEP}" SRT_RUN_DIR="${RUN_DIR}"
  step::_export ${ENV[@]+"${ENV[@]}"}
  trap step::_clear EXIT # in the preamble a signal ends this shell at once
  if declare -F preamble >/dev/null; then
    preamble
  fi
  step::_check_tmpdir # the preamble may have made it
  if ((${#SCRATCH[@]} > 0)); then
    step::_clear_after step::_work
  else
    step::_work
  fi
}

# What the job has may be missing on this node or in this image, and mktemp would fail: then it is /tmp.
step::_check_tmpdir() {
  if [[ -n "${TMPDIR:-}" && ! (-d "${TMPDIR}" && -w "${TMPDIR}") ]]; then
    printf 'nothing can be written in TMPDIR here, /tmp takes its place: %s\n' "${TMPDIR}" >&2
    unset TMPDIR
  fi
}

step::_work() {
  if declare -F runs >/dev/null; then
    runs
  else
    step::say "${ARGV[@]}"
    exec ${LATE_ENV[@]+env -- "${LATE_ENV[@]}"} "${ARGV[@]}"
  fi
}

# Calls a function of the library, or a program with the whole environment; neither once the step has been told to stop.
step::call() {
  [[ -z "${IS_STOPPED}" ]] || return 143
  if declare -F -- "$1" >/dev/null; then
    "$@"
  else
    ${LATE_ENV[@]+env -- "${LATE_ENV[@]}"} "$@"
  fi
}

# Removes the directories of setup::scratch.
step::_clear() {
  ((${#SCRATCH[@]} == 0)) || rm -rf -- "${SCRATCH[@]}"
}

# Runs a function, so that this shell is still there to clear afterwards, and ends with the function's code. Slurm (with
# proctrack/cgroup) signals only this shell, so it passes the signal on: to all of the work, a process group of its own.
# A child that bash has just made may lose a signal (5.1), so nothing is sent before it has said that it is there.
step::_clear_after() {
  local code child="" begun says
  trap 'IS_STOPPED=1; [[ -z "${child}" ]] || kill -TERM -- "-${child}" 2>/dev/null || true' TERM INT USR1 USR2
  # shellcheck disable=SC2312 # ":" does not fail
  exec {says}<> <(:)
  exec {begun}<"/dev/fd/${says}" # of the same pipe: it ends with the child
  set -m
  step::_work_to_the_end "${says}" "${begun}" "$@" &
  set +m
  exec {says}>&-
  read -r -u "${begun}" || true
  exec {begun}<&-
  child="$!"
  [[ -z "${IS_STOPPED}" ]] || kill -TERM -- "-${child}" 2>/dev/null || true # told before the child could hear it
  while true; do
    IS_STOPPED=""
    code=0
    wait "${child}" || code="$?"
    [[ -n "${IS_STOPPED}" ]] || break # a signal interrupts wait: then the code is not the child's
  done
  exit "${code}"
}

# In a process of its own: a signal ends the command that runs; if there are several, not this shell, which begins no other.
step::_work_to_the_end() {
  local -r says="$1" begun="$2"
  shift 2
  if declare -F runs >/dev/null; then
    trap 'IS_STOPPED=1' TERM INT USR1 USR2
  fi
  printf '\n' >&"${says}"
  exec {says}>&- {begun}<&-
  "$@"
}

# The first task tells the step's id, by which the job can stop it gently. In a heterogeneous job SLURM_JOB_ID is the first
# component's in every step, but Slurm knows a step by the number of its own component, and says nothing to a wrong one.
step::_note_id() {
  local -r file="${RUN_DIR}/run/steps/${STEP}.id"
  local job=SLURM_JOB_ID
  [[ "${SLURM_PROCID:-0}" == 0 ]] || return 0
  [[ ! " ${SRUN[*]} " =~ " --het-group="([0-9]+)" " ]] || job="SLURM_JOB_ID_HET_GROUP_${BASH_REMATCH[1]}"
  printf '%s.%s\n' "${!job:-${SLURM_JOB_ID}}" "${SLURM_STEP_ID}" >"${file}.new"
  mv -f -- "${file}.new" "${file}"
}

# Exports NAME=value pairs. Names that bash or a launcher uses itself wait for `env` in front of the command; so do those
# with small letters, which may be a local variable of the function that starts it (setup scripts see them as well).
LATE_ENV=()
step::_export() {
  local pair
  for pair in "$@"; do
    case "${pair%%=*}" in
      BASH* | DIRSTACK | EPOCH* | EUID | FUNCNAME | GROUPS | HIST* | IFS | LINENO | OPT* | PIPESTATUS | POSIXLY_CORRECT | \
        PPID | PS4 | RANDOM | REPLY | SECONDS | SHELLOPTS | SRANDOM | UID | _ | \
        ARGV | BUNDLE_DIR | ENV | ENV_FROM | IP | IS_STOPPED | JOB_ID | LATE_ENV | LAUNCH_ENV | LOG_DIR | NODE | RUN_DIR | SCRATCH | \
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

# Prints a command in a form that can be pasted.
step::say() {
  [[ "${SLURM_PROCID:-0}" == 0 ]] || return 0
  local text
  printf -v text ' %q' "$@"
  printf '[%s]%s\n' "${STEP}" "${text}"
}

# shellcheck disable=SC2034 # launchers refer to them
# Without a run, names and addresses are shown as the launcher writes them.
step::_pretend() {
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
    printf 'export %s # as who submits has it, or the file of secrets\n' "${pair}"
  done
  step::_lines srun "${SRUN[@]}" bash "${BUNDLE_DIR}/steps/${STEP}.sh" task "${RUN_DIR}"
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
    step::_lines "${ARGV[@]}"
  fi
}

# A command, one option a line.
step::_lines() {
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
