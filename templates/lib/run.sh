# shellcheck shell=bash
# The run directory, the copy of the bundle, and the files with run-time references.

# Creates <output base>/<job id>/attempt_N and the link "latest". mkdir makes the choice of N atomic.
run::make_directory() {
  local base="${SRTPLAN_OUTPUT:-${OUTPUT_BASE}}" attempt=0
  [[ -n "${base}" ]] || base=outputs
  [[ "${base}" == /* ]] || base="${SLURM_SUBMIT_DIR:-${PWD}}/${base}"
  [[ "${base}" != *[,:%$'\n']* ]] ||
    job::end 72 preflight "the output directory must not contain , : % or a line break: ${base}"
  base="${base}/${JOB_ID}"
  mkdir -p -- "${base}" || job::end 72 preflight "cannot create the output directory ${base}"
  until mkdir -- "${base}/attempt_${attempt}" 2>/dev/null; do
    [[ -e "${base}/attempt_${attempt}" ]] || job::end 72 preflight "cannot write to ${base}"
    attempt=$((attempt + 1))
  done
  RUN_DIR="${base}/attempt_${attempt}"
  LOG_DIR="${RUN_DIR}/logs"
  mkdir -- "${LOG_DIR}" "${RUN_DIR}/results" "${RUN_DIR}/run" "${RUN_DIR}/run/steps" "${RUN_DIR}/run/preflight" ||
    job::end 72 preflight "cannot write to ${RUN_DIR}"
  ln -s -- "attempt_${attempt}" "${base}/.latest.${attempt}" && mv -fT -- "${base}/.latest.${attempt}" "${base}/latest"
  log::open "${RUN_DIR}"
  event::open "${RUN_DIR}"
  run::_make_scratch
  run::_warn_if_full
}

# Creates a directory for the output of commands: in TMPDIR, else in /tmp, else in the run directory.
run::_make_scratch() {
  local -r name="srtplan-${JOB_ID}-job.XXXXXX"
  if [[ -n "${TMPDIR:-}" ]] && ! SCRATCH="$(mktemp -d "${TMPDIR}/${name}" 2>/dev/null)"; then
    log::warn "TMPDIR is not writable on this node, using /tmp: ${TMPDIR}"
    unset TMPDIR
  fi
  [[ -n "${SCRATCH}" ]] || SCRATCH="$(mktemp -d "/tmp/${name}")" || SCRATCH="$(mktemp -d "${RUN_DIR}/run/${name}")" ||
    job::end 72 preflight "cannot write to ${RUN_DIR}"
}

run::_warn_if_full() {
  local free
  free="$(df -Pk -- "${LOG_DIR}" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')"
  ((${free:-1024} >= 1024)) || log::warn "only ${free} MiB free in ${LOG_DIR}"
}

run::remove_scratch() {
  [[ -z "${SCRATCH}" ]] || rm -rf -- "${SCRATCH}"
}

# Copies the bundle, so that compiling again does not change what a running job starts later. `srtplan results` reads the plan
# from the copy.
run::copy_bundle() {
  local -r copy="${RUN_DIR}/bundle"
  local -a parts=("${BUNDLE_DIR}"/{lib,steps,files})
  local file
  for file in "${BUNDLE_DIR}"/plan.{json,txt}; do
    [[ ! -f "${file}" ]] || parts+=("${file}")
  done
  mkdir -- "${copy}" || job::end 72 preflight "cannot write to ${RUN_DIR}"
  job::call 120 "${SCRATCH}/copy" cp -R -- "${parts[@]}" "${copy}" ||
    job::end 72 preflight "cannot copy the bundle to ${copy}"
  BUNDLE_HOME="${BUNDLE_DIR}"
  BUNDLE_DIR="${RUN_DIR}/bundle"
}

# Writes the files with run-time references into LOG_DIR, with the references replaced by their values.
run::write_files() {
  local path text
  for path in "${RUN_TIME_FILES[@]}"; do
    text="$(cat -- "${BUNDLE_DIR}/files/${path}" && printf x)" || job::end 70 internal "cannot read files/${path}"
    run::_resolve_references "${text%x}"
    [[ "${path}" != */* ]] || mkdir -p -- "${LOG_DIR}/${path%/*}" 2>/dev/null
    printf '%s' "${REPLY}" >"${LOG_DIR}/${path}" || job::end 72 preflight "cannot write ${LOG_DIR}/${path}"
  done
}

# Sets REPLY to a text with its references replaced; "$${" becomes "${".
run::_resolve_references() {
  local rest="$1" name
  REPLY=""
  while [[ "${rest}" == *"\${"* ]]; do
    REPLY+="${rest%%"\${"*}"
    rest="${rest#*"\${"}"
    if [[ "${REPLY}" == *"\$" ]]; then
      REPLY+="{"
      continue
    fi
    name="${rest%%"}"*}"
    rest="${rest#*"}"}"
    run::_append_value "${name}"
  done
  REPLY+="${rest}"
}

# Appends the value of a reference to REPLY.
run::_append_value() {
  case "$1" in
    NODE\[*\]) REPLY+="${NODE[${1//[!0-9]/}]}" ;;
    IP\[*\]) REPLY+="${IP[${1//[!0-9]/}]}" ;;
    JOB_ID) REPLY+="${JOB_ID}" ;;
    RUN_DIR) REPLY+="${RUN_DIR}" ;;
    LOG_DIR) REPLY+="${LOG_DIR}" ;;
    BUNDLE_DIR) REPLY+="${BUNDLE_DIR}" ;;
    *) job::end 70 internal "unknown reference \${$1} in a file" ;;
  esac
}
