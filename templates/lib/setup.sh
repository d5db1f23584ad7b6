# shellcheck shell=bash
# What a step may do before its command: calls in the function "preamble" of a launcher.
# A function that fails ends the step; a step of several tasks runs it in each of them.

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

# An empty private directory of this job, gone when the step ends: what a former job left there is never read.
setup::scratch() {
  local -r directory="$1"
  SCRATCH+=("${directory}") # before it is there: a signal may come at any moment
  rm -rf -- "${directory}"
  mkdir -m 700 -- "${directory}" # fails if somebody else has put a directory or a link there
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

# Builds Dynamo at a revision ("HEAD": the newest) and installs it. Needs git, cargo and maturin in the image. A build
# of a revision is kept in /configs/dynamo-wheels, if that can be written, for the next job on machines of the same kind.
# Further arguments are entries of Cargo's section [patch.crates-io]. A rehearsal keeps nothing: its build is simulated.
setup::dynamo_source() {
  local -r revision="$1"
  shift
  local machine kept digest
  machine="$(uname -m)" # one home may serve x86_64 and aarch64 nodes
  kept="/configs/dynamo-wheels/${revision}-${machine}"
  if (($# > 0)); then
    digest="$(printf '%s\n' "$@" | sha256sum)"
    kept+="-${digest:0:12}"
  fi
  if [[ "${revision}" == HEAD || -n "${SRT_REHEARSAL:-}" ]] || ! mkdir -p -- "${kept}" 2>/dev/null || [[ ! -w "${kept}" ]]; then
    kept="/tmp/srtplan-${SLURM_JOB_ID}-dynamo"
    mkdir -p -- "${kept}"
  fi
  setup::_build_dynamo "${kept}" "${revision}" "$@"
  setup::pip "${kept}"/*.whl "${kept}/dynamo"
}

# Builds into a directory under a lock; a complete build is left as it is.
setup::_build_dynamo() {
  local -r kept="$1" revision="$2"
  shift 2
  local lock
  exec {lock}>"${kept}/.lock"
  flock "${lock}"
  if [[ ! -e "${kept}/.complete" ]]; then
    rm -rf -- "${kept}/dynamo"
    step::say git clone https://github.com/ai-dynamo/dynamo.git "${kept}/dynamo"
    git clone --quiet https://github.com/ai-dynamo/dynamo.git "${kept}/dynamo"
    git -C "${kept}/dynamo" checkout --quiet "${revision}"
    (($# == 0)) || printf '\n[patch.crates-io]\n' >>"${kept}/dynamo/lib/bindings/python/Cargo.toml"
    (($# == 0)) || printf '%s\n' "$@" >>"${kept}/dynamo/lib/bindings/python/Cargo.toml"
    (cd -- "${kept}/dynamo/lib/bindings/python" && RUSTFLAGS="${RUSTFLAGS:-} -C target-cpu=native" maturin build --out "${kept}")
    : >"${kept}/.complete"
  fi
  exec {lock}>&-
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
