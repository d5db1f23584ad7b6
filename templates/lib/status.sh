# shellcheck shell=bash
# status.json: the current state of the job, for programs. As in log.sh, a failed write is ignored.

# Replaces status.json atomically, so that a reader never sees a partial file.
status::write() {
  [[ -n "${RUN_DIR}" ]] || return 0
  local -r file="${RUN_DIR}/status.json"
  local REPLY name cause url line
  json::string "${JOB_NAME}"
  name="${REPLY}"
  json::string "${CAUSE}"
  cause="${REPLY}"
  json::string "${URL}"
  url="${REPLY}"
  clock::read
  printf -v line '{"job_id":"%s","name":%s,"stage":"%s","t":%d,"url":%s,"ready":%s,"class":"%s","code":%s,"cause":%s}' \
    "${JOB_ID}" "${name}" "${STAGE}" "${NOW}" "${url}" "${READY}" "${CLASS}" "${CODE:-null}" "${cause}"
  {
    { printf '%s\n' "${line}" >"${file}.new" && mv -f -- "${file}.new" "${file}"; } || status::_overwrite "${file}" "${line}"
  } 2>/dev/null
  return 0
}

# Overwrites status.json in place, padded with spaces to its old length. That works on a full disk, too.
status::_overwrite() {
  local -r file="$1" line="$2"
  local LC_ALL=C
  local old=""
  rm -f -- "${file}.new"
  read -r old <"${file}"
  printf '%-*s\n' "${#old}" "${line}" 1<>"${file}"
}
