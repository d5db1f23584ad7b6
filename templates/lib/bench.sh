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
  mkdir -p -- "${artifacts}" "${result%/*}"
  "$@" || return
  bench::_publish "${artifacts}/profile_export_aiperf.json" "${result}"
}

# Runs an evaluation that leaves its report under a name of its own choice: bench::newest RESULT PATTERN -- COMMAND...
bench::newest() {
  local -r result="$1" pattern="$2"
  shift 3
  local file found="" mark
  mark="$(mktemp)"
  "$@" || return
  # shellcheck disable=SC2231 # the pattern is to be expanded
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
  cp -- "${from}" "${to}.new"
  mv -f -- "${to}.new" "${to}"
}

# A result is a file that was written by this run and says that tokens came out.
bench::_check() {
  local -r name="$1" result="$2" client="$3"
  local tokens
  if [[ ! -s "${result}" ]]; then
    bench::_no_result "${name} left no result: ${result}"
  elif [[ "${result}" -ot "${result}.start" ]]; then
    bench::_no_result "${name} did not write its result, an older one lies there: ${result}"
  fi
  rm -f -- "${result}.start"
  [[ -n "${client}" ]] || return 0
  tokens="$(LC_ALL=C awk -f "${BUNDLE_DIR}/lib/json.awk" -f "${BUNDLE_DIR}/lib/tokens.awk" "${result}")"
  if [[ -z "${tokens}" || "${tokens}" == 0 ]]; then
    bench::_no_result "${name}: no output tokens in ${result}"
  fi
  printf 'run %s: %s output tokens, %s\n' "${name}" "${tokens}" "${result}"
}

bench::_no_result() {
  printf '%s\n' "$1" >&2
  exit 80
}
