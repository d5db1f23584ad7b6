# shellcheck shell=bash
# status.json: the present state of the job, for programs. Every write may fail, as in log.sh.

# Replaces status.json, so that a reader never sees half of it.
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

# On a full disk the old text makes room for the new one: written over it, with spaces to its end.
status::_overwrite() {
  local -r file="$1" line="$2"
  local LC_ALL=C
  local old=""
  rm -f -- "${file}.new"
  read -r old <"${file}"
  printf '%-*s\n' "${#old}" "${line}" 1<>"${file}"
}
