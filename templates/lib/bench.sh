# shellcheck shell=bash
# Several commands in turn, each with a result to check: calls in the function "runs" of a launcher.
#
# A run that fails ends the step with its own code; one that leaves no usable result ends it with 80.

RUN_NUMBER=0
RUN_TOTAL=0

# Runs a command: bench::run NAME RESULT CLIENT COMMAND... ("" for no result, and for no known client).
bench::run() {
  local -r name="$1" result="$2" client="$3"
  shift 3
  local code=0
  RUN_NUMBER=$((RUN_NUMBER + 1))
  printf 'run %d/%d %s\n' "${RUN_NUMBER}" "${RUN_TOTAL}" "${name}"
  step::say "$@"
  if [[ -n "${result}" ]]; then
    mkdir -p -- "${result%/*}"
    : >"${result}.start"
  fi
  "$@" || code="$?"
  if ((code != 0)); then
    printf 'run %s failed with %d\n' "${name}" "${code}" >&2
    exit "${code}"
  fi
  [[ -z "${result}" ]] || bench::_check "${name}" "${result}" "${client}"
}

# Runs aiperf and puts its report where the result is expected: bench::aiperf RESULT ARTIFACT_DIR -- COMMAND...
bench::aiperf() {
  local -r result="$1" artifacts="$2"
  shift 3
  mkdir -p -- "${artifacts}" || return
  bench::_newest "${result}" "${artifacts}/profile_export_aiperf.json" "$@"
}

# Runs SGLang's evaluator, which names its report itself: bench::evaluate RESULT PREFIX_OF_REPORT -- COMMAND...
bench::evaluate() {
  local -r result="$1" prefix="$2"
  shift 3
  bench::_newest "${result}" "${prefix}*.json" "$@"
}

# Runs lm-eval, which puts its report into a folder named after the model: bench::lm_eval RESULT FOLDER -- COMMAND...
bench::lm_eval() {
  local -r result="$1" folder="$2"
  shift 3
  mkdir -p -- "${folder}" || return
  bench::_newest "${result}" "${folder}/*/results_*.json" "$@"
}

# Installs a package if the image has not the program: bench::need PROGRAM PACKAGE (for the preamble).
bench::need() {
  local -r program="$1" package="$2"
  if ! type -P "${program}" >/dev/null; then
    setup::pip "${package}"
  fi
}

# Fetches a file once, whole or not at all: bench::fetch URL FILE SHA256 (for the preamble; "" for no checksum).
bench::fetch() {
  local -r url="$1" file="$2" sha256="$3"
  mkdir -p -- "${file%/*}"
  step::say curl --fail --location --output "${file}" "${url}"
  curl --fail --location --silent --show-error --retry 3 --output "${file}.new" "${url}"
  if [[ -n "${sha256}" ]]; then
    bench::verify "${file}.new" "${sha256}"
  fi
  mv -f -- "${file}.new" "${file}"
}

# Compares a file with its checksum: bench::verify FILE SHA256 (for the preamble).
bench::verify() {
  local -r file="$1" sha256="$2"
  local sum
  sum="$(sha256sum -- "${file}")"
  sum="${sum#\\}" # where the name has odd characters
  if [[ "${sum%% *}" != "${sha256,,}" ]]; then
    printf '%s has the checksum %s, not %s\n' "${file}" "${sum%% *}" "${sha256}" >&2
    exit 1
  fi
}

# Runs a command and takes the newest file of a pattern that was written meanwhile as its result.
bench::_newest() {
  local -r result="$1" pattern="$2"
  shift 2
  local file found="" mark
  mark="$(mktemp)" || return
  "$@" || return
  local IFS="" # the pattern is one word
  # shellcheck disable=SC2231 # and is to be expanded
  for file in ${pattern}; do
    if [[ "${file}" -nt "${mark}" && ! "${found}" -nt "${file}" ]]; then
      found="${file}"
    fi
  done
  rm -f -- "${mark}"
  bench::_publish "${found}" "${result}"
}

# Copies a report so that it appears complete. The result is checked by bench::run.
bench::_publish() {
  local -r from="$1" to="$2"
  [[ "${to}" != /dev/null && -f "${from}" ]] || return 0
  mkdir -p -- "${to%/*}" && cp -- "${from}" "${to}.new" && mv -f -- "${to}.new" "${to}"
}

# A result is a file that was written by this run and says that it was a success.
bench::_check() {
  local -r name="$1" result="$2" client="$3"
  local holds
  if [[ ! -s "${result}" ]]; then
    bench::_no_result "${name} left no result: ${result}"
  elif [[ "${result}" -ot "${result}.start" ]]; then
    bench::_no_result "${name} did not write its result, an older one lies there: ${result}"
  fi
  rm -f -- "${result}.start"
  [[ -n "${client}" ]] || return 0
  holds="$(LC_ALL=C awk -v client="${client}" -f "${BUNDLE_DIR}/lib/json.awk" -f "${BUNDLE_DIR}/lib/result.awk" "${result}")"
  if [[ -z "${holds}" ]]; then
    bench::_no_result "${name} produced nothing, by its report ${result}"
  fi
  printf 'run %s: %s; %s\n' "${name}" "${holds}" "${result}"
}

bench::_no_result() {
  printf '%s\n' "$1" >&2
  exit 80
}
