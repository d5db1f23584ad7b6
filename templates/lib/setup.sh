# shellcheck shell=bash
# What a step may do before its command: calls in the function "preamble" of a launcher.
# A function that fails ends the step; a step of several tasks runs it in each of them.

source "${BASH_SOURCE[0]%/*}/../lib/private.sh"
source "${BASH_SOURCE[0]%/*}/../lib/dynamo.sh"

# Runs the recipe's setup script, which lies in /configs or /configs/patches.
setup::script() {
  local -r name="$1"
  local path
  for path in "/configs/${name}" "/configs/patches/${name}"; do
    if [[ -f "${path}" ]]; then
      step::say bash "${path}"
      bash "${path}"
      return
    fi
  done
  setup::_fail "setup script ${name} is neither in /configs nor in /configs/patches"
}

# Runs a file in this shell, so that it may set variables.
setup::bash_preamble() {
  local -r file="$1"
  step::say source "${file}"
  # shellcheck source=/dev/null # the site's own
  source "${file}"
}

# Puts a directory first on PATH.
setup::path_prepend() {
  local -r directory="$1"
  export PATH="${directory}:${PATH}"
}

# Creates an empty private directory, which goes when the step ends. What an earlier attempt left there is never read, and
# a directory that another user created ends the step.
setup::scratch() {
  local -r directory="$1"
  private::require_own "${directory}"
  SCRATCH+=("${directory}") # before it is there: a signal may come at any moment
  private::renew "${directory}"
}

# The same for the temporary files of programs that do not clear up.
setup::tmpdir() {
  local -r directory="$1"
  setup::scratch "${directory}"
  export TMPDIR="${directory}"
}

# Raises the limit of open files, as far as the hard limit allows.
setup::open_files() {
  local -r wanted="$1"
  local hard
  hard="$(ulimit -H -n)"
  if [[ "${hard}" == unlimited ]] || ((hard >= wanted)); then
    ulimit -S -n "${wanted}"
  else
    ulimit -S -n "${hard}"
    printf 'only %s open files allowed, %s wanted\n' "${hard}" "${wanted}" >&2
  fi
}

# Installs Dynamo of a version from PyPI.
setup::dynamo_pypi() {
  local -r version="$1"
  setup::pip --extra-index-url https://pypi.nvidia.com "ai-dynamo-runtime==${version}" "ai-dynamo==${version}"
}

# Installs Dynamo of a version from wheels that were fetched before: in /srtctl-wheels or below /configs.
setup::dynamo_wheel() {
  local -r version="$1"
  local folder
  for folder in /srtctl-wheels /configs/dynamo-wheels /configs; do
    if compgen -G "${folder}/ai_dynamo_runtime-${version}-*.whl" >/dev/null; then
      setup::pip --find-links "${folder}" "ai-dynamo-runtime==${version}" "ai-dynamo==${version}"
      return
    fi
  done
  setup::_fail "no wheel of ai-dynamo-runtime ${version} in /srtctl-wheels, /configs/dynamo-wheels or /configs"
}

# Builds Dynamo at a revision ("HEAD": the newest) and installs it. A build of a commit is kept in /configs/dynamo-wheels, if
# that is private, for the next job on machines of the same kind; HEAD moves, so its build serves this job on this node only.
# A rehearsal keeps nothing: its build is simulated. Further arguments replace dependencies: entries "CRATE = SPECIFICATION"
# for every Cargo.toml.
setup::dynamo_source() {
  local -r revision="$1" own="/tmp/srtplan-${SLURM_JOB_ID}-dynamo"
  local kept="${own}"
  shift
  private::ensure "${own}"
  dynamo::key "${revision}" "$@"
  # shellcheck disable=SC2310 # it answers yes or no; nothing in it counts on set -e
  if [[ "${revision}" != HEAD && -z "${SRT_REHEARSAL:-}" ]] && setup::_can_keep "/configs/dynamo-wheels/${REPLY}"; then
    kept="/configs/dynamo-wheels/${REPLY}"
  fi
  dynamo::build "${kept}" "${revision}" "$@"
  dynamo::install "${kept}" "${own}"
}

# Whether builds can be kept in a directory of /configs/dynamo-wheels: another user could plant a wheel in one that is not
# private.
setup::_can_keep() {
  local -r kept="$1"
  # shellcheck disable=SC2310 # it answers by its code
  [[ -d "${kept%/*/*}" ]] && private::ensure "${kept%/*}" && private::ensure "${kept}" && [[ -w "${kept}" ]]
}

# Installs with pip. Tasks that may share a container share its /tmp, whose lock leaves no file; they wait for each other, and
# what is installed already costs a second.
setup::pip() {
  local lock
  exec {lock}</tmp
  flock "${lock}"
  step::say python3 -m pip install "$@"
  python3 -m pip install --break-system-packages --quiet "$@"
  exec {lock}>&-
}

setup::_fail() {
  printf 'setup: %s\n' "$1" >&2
  exit 1
}
