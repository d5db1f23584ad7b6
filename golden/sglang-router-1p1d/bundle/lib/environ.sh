# shellcheck shell=bash
# What the steps get of the submitter's environment: all of it, or with --export=NONE only what is declared. And secrets,
# the variables of env_from, which nobody gets but the steps whose plan names them.
#
# A secret is a variable of this shell that is not exported (job.sh sees to that first of all), until the process that
# becomes a launcher exports it. What works on values is not traced: `bash -x` and SHELLOPTS=xtrace would print them.

IS_RESTRICTED="" # set if only declared variables go on

# With --export=NONE, or a list without ALL, nothing goes on that is not declared. Slurm itself is not as strict: it adds
# what the user's login shell sets, and what one step is not given another one is.
environ::restrict() {
  local -
  set +x # a list may hold values
  local REPLY name function
  local -a names
  environ::_is_restricted || return 0
  IS_RESTRICTED=1
  mapfile -t names < <(compgen -e || true)
  for name in "${names[@]}"; do
    case "${name}" in
      PATH | HOME | USER | LOGNAME | SHELL | LANG | LC_* | TZ | TMPDIR | SLURM* | SRT*) ;;
      *) [[ ",${REPLY}," == *",${name},"* ]] || export -n "${name?}" ;;
    esac
  done
  while read -r _ _ function; do
    export -nf -- "${function?}"
  done < <(declare -Fx)
}

# Whether only declared variables reach the steps, by the recipe or by how the job was submitted. Sets REPLY to those that
# are named there.
environ::_is_restricted() {
  local said word all=1
  local -a words
  REPLY=""
  for said in "${EXPORT}" "${SLURM_EXPORT_ENV:-ALL}"; do
    [[ ",${said^^}," == *,ALL,* ]] || all=""
    IFS=, read -ra words <<<"${said}"
    for word in ${words[@]+"${words[@]}"}; do
      REPLY+="${REPLY:+,}${word%%=*}"
    done
  done
  [[ -z "${all}" ]]
}

# Takes the secrets: from the environment, else from a private file. Ends the job with 72 if one is missing.
environ::take_secrets() {
  local -
  set +x
  local REPLY file
  environ::_list_missing
  [[ -n "${REPLY}" ]] || return 0
  file="${SRTPLAN_SECRETS:-${SECRETS_FILE}}"
  if [[ -e "${file}" || -n "${SRTPLAN_SECRETS:-}" ]]; then
    environ::_read_secrets "${file}"
    environ::_list_missing
  fi
  [[ -z "${REPLY}" ]] || environ::_give_up "${REPLY%% *}" "${file}"
}

# What is said must work: where the environment is kept out, exporting does not help.
environ::_give_up() {
  local -r name="$1" file="$2"
  local -r remedy="write the line ${name}=<value> into ${file} and chmod 600 it"
  [[ -z "${IS_RESTRICTED}" ]] || job::end 72 preflight "${name} is not set, for --export keeps the submitter's variables out: ${remedy}"
  job::end 72 preflight "${name} is not set: export it before sbatch, or ${remedy}"
}

# Sets REPLY to the secrets that have no value.
environ::_list_missing() {
  local name
  REPLY=""
  for name in "${SECRETS[@]}"; do
    [[ -n "${!name:-}" ]] || REPLY+="${REPLY:+ }${name}"
  done
}

# Reads NAME=value lines, as they stand: nothing is expanded. What the environment has already wins.
environ::_read_secrets() {
  local -r file="$1"
  local mode line name
  mode="$(stat -L -c %a -- "${file}")" || job::end 72 preflight "cannot read the file of secrets ${file}"
  [[ "${mode}" == [46]00 ]] || job::end 72 preflight "${file} holds secrets but has mode ${mode}: chmod 600 it"
  while IFS= read -r line || [[ -n "${line}" ]]; do
    name="${line%%=*}"
    if [[ " ${SECRETS[*]} " == *" ${name} "* && "${line}" == *=* && -z "${!name:-}" ]]; then
      printf -v "${name}" %s "${line#*=}"
    fi
  done <"${file}" || job::end 72 preflight "cannot read the file of secrets ${file}"
}

# Becomes the launcher of a step, with the secrets of its row. For a process of its own.
environ::launch() {
  local -r step="$1"
  local secret
  for secret in ${STEP_SECRETS[${step}]//,/ }; do
    export "${secret?}"
  done
  exec bash "${BUNDLE_DIR}/steps/${step}.sh" launch "${RUN_DIR}"
}
