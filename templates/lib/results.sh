# shellcheck shell=bash
# Results of the benchmark: RUN_DIR/results/summary.json, rewritten after every run and at the end of the job.
#
# files/benchmark.tsv of the bundle holds what is known at compile time, in tab-separated columns:
#
#   gpus   TOTAL   PREFILL   DECODE   AGG
#   head   MEMBERS_OF_A_JSON_OBJECT
#   run    NAME   CLIENT   RESULT   MEMBERS_OF_A_JSON_OBJECT     for each measured run, in order; "-" if empty
#
# results/.runs/NAME.json is the record of a finished run (see record.awk).

# Whether the summary includes a run.
results::has_run() {
  local kind name rest
  [[ -f "${BUNDLE_DIR}/files/benchmark.tsv" ]] || return 1
  while IFS=$'\t' read -r kind name rest; do
    [[ "${kind} ${name}" != "run $1" ]] || return 0
  done <"${BUNDLE_DIR}/files/benchmark.tsv"
  return 1
}

# Writes the record of a run and the summary: results::record NAME RESULT CLIENT CODE REASON TRIES BEGAN. BEGAN is the
# value of SECONDS at the start of the run.
# Sets REPLY to a summary of the report, and RECORD_REASON to why the result is unusable, "" if it is usable.
results::record() {
  local -r name="$1" result="$2" client="$3" code="$4" tries="$6" began="$7"
  local -r folder="${RUN_DIR}/results/.runs"
  local total="" decode="" facts="" out report reader
  local -a row
  RECORD_REASON="$5"
  while IFS=$'\t' read -r -a row; do
    case "${row[0]}" in
      gpus) total="${row[1]}" decode="$((row[3] + row[4]))" ;;
      run) [[ "${row[1]}" != "${name}" ]] || facts="${row[4]}" ;;
      *) ;;
    esac
  done <"${BUNDLE_DIR}/files/benchmark.tsv"
  mkdir -p -- "${folder}"
  results::_reader "${client}"
  reader="${REPLY}"
  results::_reduce "${result}" "${reader}"
  report="${REPLY}"
  out="$(
    export RECORD_NAME="${name}" RECORD_CLIENT="${client}" RECORD_RESULT="${result#"${RUN_DIR}/"}" RECORD_REASON
    export RECORD_FACTS="${facts}" RECORD_CODE="${code}" RECORD_TRIES="${tries}" RECORD_SECONDS="$((SECONDS - began))"
    printf -v RECORD_BEGAN '%(%s)T' -1
    export RECORD_BEGAN="$((RECORD_BEGAN - SECONDS + began))"
    export RECORD_GPUS="${total}" RECORD_DECODE_GPUS="${decode}"
    export RECORD_MAX_FAILED_SHARE="${SRT_BENCH_MAX_FAILED_SHARE:-}" LC_ALL=C
    awk -f "${BUNDLE_DIR}/lib/json.awk" -f "${BUNDLE_DIR}/lib/record.awk" -f "${reader}" "${report}"
  )" || return
  [[ "${report}" == "${result}" || "${report}" == /dev/null ]] || rm -f -- "${report}"
  printf '%s\n' "${out#*$'\n'}" >"${folder}/.${name}.new"
  mv -f -- "${folder}/.${name}.new" "${folder}/${name}.json"
  results::summarize
  out="${out%%$'\n'*}"
  REPLY="${out#* }"
  [[ "${out}" != bad* ]] || RECORD_REASON="${REPLY}"
}

# Sets REPLY to the awk file that reads a client's report: one that a plugin brings, or the library's. The engines' own load
# generators have one in common.
results::_reader() {
  local name="${1:-none}"
  REPLY="${BUNDLE_DIR}/files/readers/${name}.awk"
  [[ ! -f "${REPLY}" ]] || return 0
  case "${name}" in
    sglang | vllm | trtllm) name=serving ;;
    *) ;;
  esac
  REPLY="${BUNDLE_DIR}/lib/readers/${name}.awk"
}

# Sets REPLY to the report; where a load generator kept the time of every token, and it is large, to a file of its
# figures alone.
results::_reduce() {
  local -r file="$1" reader="$2"
  local size
  REPLY=/dev/null
  [[ -f "${file}" ]] || return 0
  REPLY="${file}"
  size="$(wc -c <"${file}")"
  if [[ "${reader}" != */lib/readers/serving.awk ]] || ((size < 8000000)); then
    return 0
  fi
  REPLY="$(mktemp "${TMPDIR:-/tmp}/srtplan-${SLURM_JOB_ID:-0}-result.XXXXXX")"
  if ! LC_ALL=C awk -f "${BUNDLE_DIR}/lib/reduce.awk" "${file}" >"${REPLY}"; then
    : >"${REPLY}" # the report is truncated
  fi
}

# Writes summary.json from the records. CLASS and CODE are empty until the job ends.
results::summarize() {
  local -r file="${RUN_DIR}/results/summary.json"
  local kind name rest head="" rows="" row good=0 all=0 state=none text cause
  [[ -f "${BUNDLE_DIR}/files/benchmark.tsv" ]] || return 0
  while IFS=$'\t' read -r kind name rest; do
    case "${kind}" in
      head) head="${name}" ;;
      run)
        all=$((all + 1))
        results::_row "${name}" "${rest}"
        rows+="${rows:+,}"$'\n  '"${REPLY}"
        row="${REPLY}"
        [[ "${row}" != *'"status":"ok"'* ]] || good=$((good + 1))
        ;;
      *) ;;
    esac
  done <"${BUNDLE_DIR}/files/benchmark.tsv"
  ((good == 0)) || state=partial
  ((good < all)) || state=complete
  results::_string "${CAUSE:-}"
  cause="${REPLY}"
  results::_profiles
  {
    printf '{%s,\n' "${head}"
    printf '"job_id":"%s","attempt":"%s","written_at":"%(%FT%T%z)T",\n' "${SLURM_JOB_ID:-0}" "${RUN_DIR##*/}" -1
    printf '"state":"%s","runs_ok":%d,"runs_planned":%d,\n' "${state}" "${good}" "${all}"
    printf '"class":"%s","code":%s,"cause":%s,\n' "${CLASS:-running}" "${CODE:-null}" "${cause}"
    printf '"runs":[%s\n],\n"profiles":[%s]}\n' "${rows}" "${REPLY}"
  } >"${file}.new" && mv -f -- "${file}.new" "${file}"
}

# Sets REPLY to the record of a run, or to one with status "missing" if the run has not finished.
results::_row() {
  local -r name="$1" rest="$2"
  local client result facts
  if { read -r REPLY <"${RUN_DIR}/results/.runs/${name}.json"; } 2>/dev/null; then
    return 0
  fi
  IFS=$'\t' read -r client result facts <<<"${rest}"
  client="${client#-}"
  [[ "${result}" != - ]] || result=""
  REPLY="{\"name\":\"${name}\",\"status\":\"missing\",\"reason\":\"\",\"client\":\"${client}\",\"result\":\"${result}\",${facts}}"
}

# Sets REPLY to the paths of the traces below logs/profiles, as JSON strings.
results::_profiles() {
  local file list=""
  while IFS= read -r file; do
    results::_string "${file#"${RUN_DIR}/"}"
    list+="${list:+,}"$'\n  '"${REPLY}"
  done < <(find "${RUN_DIR}/logs/profiles" -type f 2>/dev/null | LC_ALL=C sort || :)
  REPLY="${list}"
}

# Sets REPLY to a text as a JSON string.
results::_string() {
  local text="${1//\\/\\\\}"
  text="${text//\"/\\\"}"
  text="${text//$'\n'/\\n}"
  REPLY="\"${text//[$'\001'-$'\037']/ }\""
}
