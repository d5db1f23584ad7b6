# shellcheck shell=bash
# Benchmark runs: commands in sequence, each with a result to check. Called from the function "runs" of a launcher.
#
# A failed run ends the step with the exit code of its command, a run without a usable result with 80. In both cases
# results/summary.json lists the results so far, and run/benchmark.reason holds the reason.
#
# SRT_BENCH_RETRIES is the number of retries of a failed run; SRT_BENCH_MAX_FAILED_SHARE limits the failed requests.

source "${BASH_SOURCE[0]%/*}/../lib/results.sh"
source "${BASH_SOURCE[0]%/*}/../lib/profile.sh"

RUN_NUMBER=0
RUN_TOTAL=0
RUN_CODE=0 # exit code of the last attempt
RUN_REASON=""

# Runs a command: bench::run NAME RESULT CLIENT COMMAND... (RESULT and CLIENT may be "").
bench::run() {
  local -r name="$1" result="$2" client="$3"
  shift 3
  local -r began="${SECONDS}" max_tries=$((${SRT_BENCH_RETRIES:-0} + 1))
  local tries=0
  RUN_NUMBER=$((RUN_NUMBER + 1))
  printf 'run %d/%d %s\n' "${RUN_NUMBER}" "${RUN_TOTAL}" "${name}"
  step::print_command "$@"
  while ((tries < max_tries)); do
    tries=$((tries + 1))
    bench::_try "${result}" "$@"
    # shellcheck disable=SC2310 # a predicate; it does not rely on set -e
    if [[ -n "${result}" ]] || results::has_run "${name}"; then
      bench::_record "${name}" "${result}" "${client}" "${tries}" "${began}"
    fi
    ((RUN_CODE != 0)) || return 0
    [[ -z "${STOP_REQUESTED}" ]] || break
    printf 'run %s: %s (try %d of %d)\n' "${name}" "${RUN_REASON}" "${tries}" "${max_tries}" >&2
  done
  printf '%s: %s\n' "${name}" "${RUN_REASON}" >"${RUN_DIR}/run/benchmark.reason"
  profile::abandon
  exit "${RUN_CODE}"
}

# Runs the command once; sets RUN_CODE and RUN_REASON.
bench::_try() {
  local -r result="$1"
  shift
  RUN_CODE=0
  RUN_REASON=""
  if [[ -n "${result}" ]]; then
    mkdir -p -- "${result%/*}"
    : >"${result}.start"
  fi
  # shellcheck disable=SC2310 # it returns its status; it does not rely on set -e
  step::call "$@" || RUN_CODE="$?"
  if [[ -n "${STOP_REQUESTED}" ]]; then # a client may exit with 0 when it is stopped
    RUN_CODE=143
    RUN_REASON="stopped"
  elif ((RUN_CODE != 0)); then
    RUN_REASON="failed with ${RUN_CODE}"
  elif [[ -n "${result}" && ! (-f "${result}" && -s "${result}") ]]; then
    bench::_reject_result "wrote no result: ${result}"
  elif [[ -n "${result}" ]] && env test "${result}" -ot "${result}.start"; then # the test of bash 4.4 compares whole seconds only
    bench::_reject_result "wrote no result; the file is older than this run: ${result}"
  fi
}

# Records an attempt and rejects a result that is not usable.
bench::_record() {
  local -r name="$1" result="$2" client="$3" tries="$4" began="$5"
  [[ -z "${result}" ]] || rm -f -- "${result}.start"
  # shellcheck disable=SC2310 # it returns its status; it does not rely on set -e
  if ! results::record "${name}" "${result}" "${client}" "${RUN_CODE}" "${RUN_REASON}" "${tries}" "${began}"; then
    bench::_reject_result "cannot read the report: ${result}"
  elif ((RUN_CODE == 0)) && [[ -n "${RECORD_REASON}" ]]; then
    bench::_reject_result "${RECORD_REASON}: ${result}"
  elif ((RUN_CODE == 0)); then
    printf 'run %s: %s%s\n' "${name}" "${REPLY}" "${result:+; ${result}}"
  fi
}

bench::_reject_result() {
  RUN_CODE=80
  RUN_REASON="$1"
}

# Runs aiperf and copies its report to RESULT: bench::aiperf RESULT ARTIFACT_DIR -- COMMAND...
# With HF_HUB_OFFLINE, aiperf 0.13 mistakes a tokenizer's directory for the name of a model on the hub and fails. A directory
# needs no network, so the variable is unset.
bench::aiperf() {
  local -r result="$1" artifacts="$2"
  shift 3
  local -a online=()
  if [[ -n "${HF_HUB_OFFLINE:-}${TRANSFORMERS_OFFLINE:-}" && " $* " == *" --tokenizer /"* ]]; then
    online=(env -u HF_HUB_OFFLINE -u TRANSFORMERS_OFFLINE)
    printf 'running aiperf without HF_HUB_OFFLINE, which prevents it from loading a tokenizer from a directory\n'
  fi
  mkdir -p -- "${artifacts}" || return
  bench::_newest "${result}" "${artifacts}/profile_export_aiperf.json" "${online[@]}" "$@"
}

# Like bench::aiperf, sending every request of a trace: bench::aiperf_trace TRACE RESULT ARTIFACT_DIR -- COMMAND...
bench::aiperf_trace() {
  local -r trace="$1"
  shift
  local requests
  requests="$(grep -c '[^[:space:]]' -- "${trace}")" || return
  bench::aiperf "$@" --request-count "${requests}"
}

# Runs a load and slows down the workers at its start: bench::slowed NAP WAIT URL... -- COMMAND...
# Each worker sleeps NAP seconds per step until WAIT seconds have passed or the load has finished.
bench::slowed() {
  local -r nap="$1" wait="$2"
  shift 2
  local -a urls=()
  local code=0 timer
  while [[ "$1" != -- ]]; do
    urls+=("$1")
    shift
  done
  shift
  # shellcheck disable=SC2310 # it returns its status; it does not rely on set -e
  bench::_slow_down "${nap}" "${urls[@]}" || return
  (
    sleep "${wait}"
    bench::_slow_down null "${urls[@]}"
  ) &
  timer="$!"
  # shellcheck disable=SC2310 # as above
  step::call "$@" || code="$?"
  if kill "${timer}" 2>/dev/null; then
    # shellcheck disable=SC2310 # as above
    bench::_slow_down null "${urls[@]}" || code=1
  fi
  wait "${timer}" 2>/dev/null || true
  return "${code}"
}

# Sets how many seconds workers sleep per step; "null" turns the sleep off.
bench::_slow_down() {
  local -r nap="$1"
  shift
  local url
  for url in "$@"; do
    curl --silent --show-error --fail --noproxy '*' --max-time 60 --header 'Content-Type: application/json' \
      --data "{\"forward_sleep_time\": ${nap}}" "${url}/slow_down" || return
  done
  printf 'workers sleep %s s per step\n' "${nap/null/0}"
}

# Runs SGLang's evaluator, which chooses the name of its report: bench::evaluate RESULT PREFIX_OF_REPORT -- COMMAND...
# In a rehearsal the simulated evaluator writes into the run directory instead of /tmp.
bench::evaluate() {
  local -r result="$1" prefix="${SRT_REHEARSAL:+${RUN_DIR}/run}$2"
  shift 3
  local page
  # shellcheck disable=SC2310 # it returns its status; it does not rely on set -e
  bench::_newest "${result}" "${prefix}*.json" "$@" || return
  for page in "${prefix}"*.html; do # questions and answers, for people
    # shellcheck disable=SC2310 # a predicate
    ! bench::_is_new "${page}" "${result}.start" || bench::_publish "${page}" "${result%.json}.html"
  done
  [[ -z "${REPLY}" ]] || rm -f -- "${REPLY}" "${REPLY%.json}.html" # /tmp may be shared by all jobs on the node
}

# Like bench::evaluate, with the questions from a file. The evaluator has no option for that, so a copy of its program runs in
# which FILE replaces URL: bench::evaluate_copy URL FILE RESULT PREFIX_OF_REPORT -- python3 -m MODULE...
bench::evaluate_copy() {
  local -r address="\"$1\"" questions="$2" result="$3" prefix="$4" module="$8"
  shift 8
  local program text file folder copy code=0
  program="$(python3 -c 'import importlib.util, sys; print(importlib.util.find_spec(sys.argv[1]).origin)' "${module}")" || return
  text="$(<"${program}")"
  if [[ "${text}" != *"${address}"* ]]; then
    printf '%s does not read %s; cannot replace it with %s\n' "${module}" "${address}" "${questions}" >&2
    return 1
  fi
  file="${questions//\\/\\\\}"
  file="\"${file//\"/\\\"}\""
  # Python imports from the directory of the program first, so it must be private
  folder="$(mktemp -d "${TMPDIR:-/tmp}/srtplan-${SLURM_JOB_ID:-0}-evaluate.XXXXXX")" || return
  copy="${folder}/${module}.py"
  printf '%s\n' "${text%%"${address}"*}${file}${text#*"${address}"}" >"${copy}" || return
  # shellcheck disable=SC2310 # it returns its status; it does not rely on set -e
  bench::evaluate "${result}" "${prefix}" -- python3 "${copy}" "$@" || code="$?"
  rm -rf -- "${folder}"
  return "${code}"
}

# Runs lm-eval, which writes its report into a directory named after the model: bench::lm_eval RESULT DIRECTORY -- COMMAND...
bench::lm_eval() {
  local -r result="$1" folder="$2"
  shift 3
  mkdir -p -- "${folder}" || return
  bench::_newest "${result}" "${folder}/*/results_*.json" "$@"
}

# Installs a package if the image lacks a program: bench::need PROGRAM PACKAGE (for the preamble). The package gets its own
# directory, so that its dependencies replace nothing in the image.
bench::need() {
  local -r program="$1" package="$2"
  local -r folder="/tmp/srtplan-${SLURM_JOB_ID}-${program}"
  if ! type -P "${program}" >/dev/null; then
    setup::scratch "${folder}"
    setup::pip --target "${folder}" "${package}"
    export PATH="${folder}/bin:${PATH}" PYTHONPATH="${folder}${PYTHONPATH:+:${PYTHONPATH}}"
  fi
  if ! type -P "${program}"; then
    printf '%s not found in the image, nor after installing %s\n' "${program}" "${package}" >&2
    return 1
  fi
}

# Downloads a file completely or not at all: bench::fetch URL FILE SHA256 (for the preamble; "" skips the checksum).
bench::fetch() {
  local -r url="$1" file="$2" sha256="$3"
  mkdir -p -- "${file%/*}"
  step::print_command curl --fail --location --output "${file}" "${url}"
  curl --fail --location --silent --show-error --retry 3 --output "${file}.new" "${url}"
  if [[ -n "${sha256}" ]]; then
    bench::verify "${file}.new" "${sha256}"
  fi
  mv -f -- "${file}.new" "${file}"
}

# Verifies the checksum of a file: bench::verify FILE SHA256 (for the preamble).
bench::verify() {
  local -r file="$1" sha256="$2"
  local sum
  sum="$(sha256sum -- "${file}")"
  sum="${sum#\\}" # sha256sum escapes names with special characters
  if [[ "${sum%% *}" != "${sha256,,}" ]]; then
    printf '%s: checksum mismatch: expected %s, got %s\n' "${file}" "${sha256}" "${sum%% *}" >&2
    exit 1
  fi
}

# Runs a command and copies the newest file to RESULT that it wrote: bench::_newest RESULT PATTERN COMMAND...
# Only files of this user that match PATTERN count. Sets REPLY to that file.
bench::_newest() {
  local -r result="$1" pattern="$2"
  shift 2
  local file found="" mark
  mark="$(mktemp "${TMPDIR:-/tmp}/srtplan-${SLURM_JOB_ID:-0}-mark.XXXXXX")" || return
  # shellcheck disable=SC2310 # as above
  step::call "$@" || return
  local IFS="" # the pattern is one word
  # shellcheck disable=SC2231 # it is expanded on purpose
  for file in ${pattern}; do
    # shellcheck disable=SC2310 # a predicate
    if bench::_is_new "${file}" "${mark}" && ! env test "${found}" -nt "${file}"; then
      found="${file}"
    fi
  done
  rm -f -- "${mark}"
  bench::_publish "${found}" "${result}"
  REPLY="${found}"
}

# Whether a file of this user is newer than a mark. Another user can plant a report in /tmp, or a link to a file of this user.
bench::_is_new() {
  local -r file="$1" mark="$2"
  [[ -f "${file}" && -O "${file}" && ! -L "${file}" ]] && env test "${file}" -nt "${mark}"
}

# Copies a report atomically. bench::run checks the result.
bench::_publish() {
  local -r from="$1" to="$2"
  [[ "${to}" != /dev/null && -f "${from}" ]] || return 0
  mkdir -p -- "${to%/*}" && cp -- "${from}" "${to}.new" && mv -f -- "${to}.new" "${to}"
}
