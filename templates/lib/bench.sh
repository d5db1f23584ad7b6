# shellcheck shell=bash
# Several commands in turn, each with a result to check: calls in the function "runs" of a launcher.
#
# A run that fails ends the step with its own code; one that leaves no usable result ends it with 80. Either way
# results/summary.json says what there is, and run/benchmark.reason why it ended.
#
# SRT_BENCH_RETRIES is how often a run that failed is tried again; SRT_BENCH_MAX_FAILED_SHARE bounds failed requests.

source "${BASH_SOURCE[0]%/*}/../lib/results.sh"
source "${BASH_SOURCE[0]%/*}/../lib/profile.sh"

RUN_NUMBER=0
RUN_TOTAL=0
RUN_CODE=0 # of the last try
RUN_REASON=""

# Runs a command: bench::run NAME RESULT CLIENT COMMAND... ("" for no result, and for no known client).
bench::run() {
  local -r name="$1" result="$2" client="$3"
  shift 3
  local -r began="${SECONDS}" most=$((${SRT_BENCH_RETRIES:-0} + 1))
  local tries=0
  RUN_NUMBER=$((RUN_NUMBER + 1))
  printf 'run %d/%d %s\n' "${RUN_NUMBER}" "${RUN_TOTAL}" "${name}"
  step::say "$@"
  while ((tries < most)); do
    tries=$((tries + 1))
    bench::_try "${result}" "$@"
    # shellcheck disable=SC2310 # it answers yes or no; nothing in it counts on set -e
    if [[ -n "${result}" ]] || results::has_run "${name}"; then
      bench::_record "${name}" "${result}" "${client}" "${tries}" "${began}"
    fi
    ((RUN_CODE != 0)) || return 0
    [[ -z "${IS_STOPPED}" ]] || break
    printf 'run %s: %s (try %d of %d)\n' "${name}" "${RUN_REASON}" "${tries}" "${most}" >&2
  done
  printf '%s: %s\n' "${name}" "${RUN_REASON}" >"${RUN_DIR}/run/benchmark.reason"
  profile::abandon
  exit "${RUN_CODE}"
}

# One try; sets RUN_CODE and RUN_REASON.
bench::_try() {
  local -r result="$1"
  shift
  RUN_CODE=0
  RUN_REASON=""
  if [[ -n "${result}" ]]; then
    mkdir -p -- "${result%/*}"
    : >"${result}.start"
  fi
  # shellcheck disable=SC2310 # it answers by its code; nothing in it counts on set -e
  step::call "$@" || RUN_CODE="$?"
  if [[ -n "${IS_STOPPED}" ]]; then # a client may take its end for a success
    RUN_CODE=143
    RUN_REASON="stopped"
  elif ((RUN_CODE != 0)); then
    RUN_REASON="failed with ${RUN_CODE}"
  elif [[ -n "${result}" && ! (-f "${result}" && -s "${result}") ]]; then
    bench::_no_result "left no result: ${result}"
  elif [[ -n "${result}" ]] && env test "${result}" -ot "${result}.start"; then # bash 4.4 itself compares whole seconds
    bench::_no_result "did not write its result, an older one lies there: ${result}"
  fi
}

# Notes what came of a try, and looks whether its report says that it was a success.
bench::_record() {
  local -r name="$1" result="$2" client="$3" tries="$4" began="$5"
  [[ -z "${result}" ]] || rm -f -- "${result}.start"
  # shellcheck disable=SC2310 # it answers by its code; nothing in it counts on set -e
  if ! results::record "${name}" "${result}" "${client}" "${RUN_CODE}" "${RUN_REASON}" "${tries}" "${began}"; then
    bench::_no_result "its report cannot be read: ${result}"
  elif ((RUN_CODE == 0)) && [[ -n "${RECORD_REASON}" ]]; then
    bench::_no_result "${RECORD_REASON}: ${result}"
  elif ((RUN_CODE == 0)); then
    printf 'run %s: %s%s\n' "${name}" "${REPLY}" "${result:+; ${result}}"
  fi
}

bench::_no_result() {
  RUN_CODE=80
  RUN_REASON="$1"
}

# Runs aiperf and puts its report where the result is expected: bench::aiperf RESULT ARTIFACT_DIR -- COMMAND...
# Told to stay offline, aiperf 0.13 takes a tokenizer's folder for a name of the hub and fails; a folder needs no network.
bench::aiperf() {
  local -r result="$1" artifacts="$2"
  shift 3
  local -a online=()
  if [[ -n "${HF_HUB_OFFLINE:-}${TRANSFORMERS_OFFLINE:-}" && " $* " == *" --tokenizer /"* ]]; then
    online=(env -u HF_HUB_OFFLINE -u TRANSFORMERS_OFFLINE)
    printf 'aiperf runs without HF_HUB_OFFLINE: with it, it does not load a tokenizer from a folder\n'
  fi
  mkdir -p -- "${artifacts}" || return
  bench::_newest "${result}" "${artifacts}/profile_export_aiperf.json" "${online[@]}" "$@"
}

# The same with a trace, all of whose requests are sent: bench::aiperf_trace TRACE RESULT ARTIFACT_DIR -- COMMAND...
bench::aiperf_trace() {
  local -r trace="$1"
  shift
  local requests
  requests="$(grep -c '[^[:space:]]' -- "${trace}")" || return
  bench::aiperf "$@" --request-count "${requests}"
}

# Runs a load while workers are slowed down for its first seconds: bench::slowed NAP WAIT URL... -- COMMAND...
# NAP is what a worker sleeps per step, until WAIT seconds have passed or the load is over.
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
  # shellcheck disable=SC2310 # it answers by its code; nothing in it counts on set -e
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

# Tells workers how long to sleep per step, "null" for not at all.
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

# Runs SGLang's evaluator, which names its report itself: bench::evaluate RESULT PREFIX_OF_REPORT -- COMMAND...
# In a rehearsal the simulated evaluator writes into the run directory: /tmp is this machine's own.
bench::evaluate() {
  local -r result="$1" prefix="${SRT_REHEARSAL:+${RUN_DIR}/run}$2"
  shift 3
  local page
  # shellcheck disable=SC2310 # it answers by its code; nothing in it counts on set -e
  bench::_newest "${result}" "${prefix}*.json" "$@" || return
  for page in "${prefix}"*.html; do # the questions and answers, for people
    # shellcheck disable=SC2310 # it answers yes or no
    ! bench::_is_new "${page}" "${result}.start" || bench::_publish "${page}" "${result%.json}.html"
  done
  [[ -z "${REPLY}" ]] || rm -f -- "${REPLY}" "${REPLY%.json}.html" # they lie in /tmp, which may be the node's
}

# The same with questions from a file instead of an address, for which the evaluator has no option: a copy of its program
# runs, with the file in the address's place: bench::evaluate_copy ADDRESS FILE RESULT PREFIX_OF_REPORT -- python3 -m MODULE...
bench::evaluate_copy() {
  local -r address="\"$1\"" questions="$2" result="$3" prefix="$4" module="$8"
  shift 8
  local program text file folder copy code=0
  program="$(python3 -c 'import importlib.util, sys; print(importlib.util.find_spec(sys.argv[1]).origin)' "${module}")" || return
  text="$(<"${program}")"
  if [[ "${text}" != *"${address}"* ]]; then
    printf '%s does not read %s, so that %s cannot take its place\n' "${module}" "${address}" "${questions}" >&2
    return 1
  fi
  file="${questions//\\/\\\\}"
  file="\"${file//\"/\\\"}\""
  # Python imports from the folder of its program first: nobody else may write there
  folder="$(mktemp -d "${TMPDIR:-/tmp}/srtplan-${SLURM_JOB_ID:-0}-evaluate.XXXXXX")" || return
  copy="${folder}/${module}.py"
  printf '%s\n' "${text%%"${address}"*}${file}${text#*"${address}"}" >"${copy}" || return
  # shellcheck disable=SC2310 # it answers by its code; nothing in it counts on set -e
  bench::evaluate "${result}" "${prefix}" -- python3 "${copy}" "$@" || code="$?"
  rm -rf -- "${folder}"
  return "${code}"
}

# Runs lm-eval, which puts its report into a folder named after the model: bench::lm_eval RESULT FOLDER -- COMMAND...
bench::lm_eval() {
  local -r result="$1" folder="$2"
  shift 3
  mkdir -p -- "${folder}" || return
  bench::_newest "${result}" "${folder}/*/results_*.json" "$@"
}

# Installs a package if the image has not the program: bench::need PROGRAM PACKAGE (for the preamble). It goes into a
# folder of its own, for what it brings along must not replace anything of the image.
bench::need() {
  local -r program="$1" package="$2"
  local -r folder="/tmp/srtplan-${SLURM_JOB_ID}-${program}"
  if ! type -P "${program}" >/dev/null; then
    setup::scratch "${folder}"
    setup::pip --target "${folder}" "${package}"
    export PATH="${folder}/bin:${PATH}" PYTHONPATH="${folder}${PYTHONPATH:+:${PYTHONPATH}}"
  fi
  if ! type -P "${program}"; then
    printf '%s is not in the image, and not there after installing %s\n' "${program}" "${package}" >&2
    return 1
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

# Runs a command and takes the newest file of this user and a pattern that was written meanwhile as its result; sets REPLY to
# that file.
bench::_newest() {
  local -r result="$1" pattern="$2"
  shift 2
  local file found="" mark
  mark="$(mktemp "${TMPDIR:-/tmp}/srtplan-${SLURM_JOB_ID:-0}-mark.XXXXXX")" || return
  # shellcheck disable=SC2310 # as above
  step::call "$@" || return
  local IFS="" # the pattern is one word
  # shellcheck disable=SC2231 # and is to be expanded
  for file in ${pattern}; do
    # shellcheck disable=SC2310 # it answers yes or no
    if bench::_is_new "${file}" "${mark}" && ! env test "${found}" -nt "${file}"; then
      found="${file}"
    fi
  done
  rm -f -- "${mark}"
  bench::_publish "${found}" "${result}"
  REPLY="${found}"
}

# Whether a file is newer than a mark and this user's: another user can plant a report in /tmp, or a link to a file of ours.
bench::_is_new() {
  local -r file="$1" mark="$2"
  [[ -f "${file}" && -O "${file}" && ! -L "${file}" ]] && env test "${file}" -nt "${mark}"
}

# Copies a report so that it appears complete. The result is checked by bench::run.
bench::_publish() {
  local -r from="$1" to="$2"
  [[ "${to}" != /dev/null && -f "${from}" ]] || return 0
  mkdir -p -- "${to%/*}" && cp -- "${from}" "${to}.new" && mv -f -- "${to}.new" "${to}"
}
