# shellcheck shell=bash
# What a step does before its command. Called from the function "preamble" of a launcher, in every task of the step.
# A failed call ends the step.

source "${BASH_SOURCE[0]%/*}/../lib/private.sh"
source "${BASH_SOURCE[0]%/*}/../lib/dynamo.sh"

# Runs the setup script of the recipe from /configs or /configs/patches.
setup::script() {
  local -r name="$1"
  local path
  for path in "/configs/${name}" "/configs/patches/${name}"; do
    if [[ -f "${path}" ]]; then
      step::print_command bash "${path}"
      bash "${path}"
      return
    fi
  done
  setup::_fail "setup script ${name} not found in /configs or /configs/patches"
}

# Sources the site's preamble, so that it can set variables.
setup::bash_preamble() {
  local -r file="$1"
  step::print_command source "${file}"
  # shellcheck source=/dev/null # a file of the site
  source "${file}"
}

# Prepends a directory to PATH.
setup::path_prepend() {
  local -r directory="$1"
  export PATH="${directory}:${PATH}"
}

# Creates an empty private directory, which is removed when the step ends. Files of an earlier attempt are removed; a directory
# of another user fails the step.
setup::scratch() {
  local -r directory="$1"
  private::require_own "${directory}"
  SCRATCH+=("${directory}") # before it exists: a signal may arrive at any moment
  private::renew "${directory}"
}

# Like setup::scratch, and sets TMPDIR to the directory, for programs that leave temporary files behind.
setup::tmpdir() {
  local -r directory="$1"
  setup::scratch "${directory}"
  export TMPDIR="${directory}"
}

# Raises the limit on open files as far as the hard limit allows.
setup::open_files() {
  local -r wanted="$1"
  local hard
  hard="$(ulimit -H -n)"
  if [[ "${hard}" == unlimited ]] || ((hard >= wanted)); then
    ulimit -S -n "${wanted}"
  else
    ulimit -S -n "${hard}"
    printf 'warning: the limit on open files is %s instead of %s\n' "${hard}" "${wanted}" >&2
  fi
}

# Installs a version of Dynamo from PyPI.
setup::dynamo_pypi() {
  local -r version="$1"
  setup::pip --extra-index-url https://pypi.nvidia.com "ai-dynamo-runtime==${version}" "ai-dynamo==${version}"
}

# Installs a version of Dynamo from downloaded wheels in /srtctl-wheels or below /configs.
setup::dynamo_wheel() {
  local -r version="$1"
  local folder
  for folder in /srtctl-wheels /configs/dynamo-wheels /configs; do
    if compgen -G "${folder}/ai_dynamo_runtime-${version}-*.whl" >/dev/null; then
      setup::pip --find-links "${folder}" "ai-dynamo-runtime==${version}" "ai-dynamo==${version}"
      return
    fi
  done
  setup::_fail "no wheel for ai-dynamo-runtime ${version} in /srtctl-wheels, /configs/dynamo-wheels or /configs"
}

# Builds and installs Dynamo: setup::dynamo_source REVISION [PATCH]...
# REVISION is a commit, or "HEAD" for the newest. PATCH is "CRATE = SPECIFICATION" and replaces a dependency in every Cargo.toml.
# The build of a commit is kept in /configs/dynamo-wheels, if that directory is private, for later jobs on machines of the same
# type. HEAD moves, so its build is used by this job on this node only. A rehearsal keeps no build, because it is simulated.
setup::dynamo_source() {
  local -r revision="$1" own="/tmp/srtplan-${SLURM_JOB_ID}-dynamo"
  local kept="${own}"
  shift
  private::ensure "${own}"
  dynamo::key "${revision}" "$@"
  # shellcheck disable=SC2310 # a predicate; it does not rely on set -e
  if [[ "${revision}" != HEAD && -z "${SRT_REHEARSAL:-}" ]] && setup::_can_keep "/configs/dynamo-wheels/${REPLY}"; then
    kept="/configs/dynamo-wheels/${REPLY}"
  fi
  dynamo::build "${kept}" "${revision}" "$@"
  dynamo::install "${kept}" "${own}"
}

# Whether a build can be kept in a directory: it must be private, or another user could plant a wheel there.
setup::_can_keep() {
  local -r kept="$1"
  # shellcheck disable=SC2310 # it returns its status
  [[ -d "${kept%/*/*}" ]] && private::ensure "${kept%/*}" && private::ensure "${kept}" && [[ -w "${kept}" ]]
}

# Runs pip install, one task at a time: tasks may share a container. The lock on /tmp needs no file. Packages that are already
# installed cost about a second.
setup::pip() {
  local lock
  exec {lock}</tmp
  flock "${lock}"
  step::print_command python3 -m pip install "$@"
  python3 -m pip install --break-system-packages --quiet "$@"
  exec {lock}>&-
}

setup::_fail() {
  printf 'setup: %s\n' "$1" >&2
  exit 1
}
