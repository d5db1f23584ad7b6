# shellcheck shell=bash
# Stops the steps tier by tier, and verifies that none is left.

# Stops whatever runs within STOP_TIMEOUT_S: TERM from tier 0 up, then KILL.
stop::all() {
  local -r caller="${CALL_PID}"
  local -r deadline=$((ENDING_AT + STOP_TIMEOUT_S))
  local tier
  CALL_PID=0
  if ((caller != 0)) && kill -TERM "${caller}" 2>/dev/null; then
    while job::is_running "${caller}" && ((NOW < deadline)) && ! stop::_is_forced; do # a fan-out is a step as well
      job::tick
    done
  fi
  for tier in {0..9}; do
    if stop::_is_live "${tier}"; then
      stop::_end TERM "${tier}"
      stop::_count_tiers "${tier}"
      stop::_wait "$((NOW + (deadline - NOW) / REPLY))" "${tier}"
    fi
  done
  stop::_wait "${deadline}" "*"
  if stop::_is_live "*"; then
    stop::_kill
  fi
  stop::_verify
  stop::_clear_nodes
}

# Whether the user lost patience, or Slurm did.
stop::_is_forced() {
  ((${#SIGNALS[@]} > 1))
}

# Whether steps of a tier ("*": of any) run; sets REPLY to their names.
stop::_is_live() {
  local -r tier="$1"
  local name
  REPLY=""
  for name in "${ORDER[@]}"; do
    # shellcheck disable=SC2053 # "*" is a pattern on purpose
    if [[ "${STEP_TIER[${name}]}" == ${tier} ]] && steps::is_live "${name}"; then
      REPLY+="${REPLY:+ }${name}"
    fi
  done
  [[ -n "${REPLY}" ]]
}

# Sets REPLY to the number of tiers above this one that have running steps, plus one: each may use its share of the time.
stop::_count_tiers() {
  local tier count=1
  for ((tier = $1 + 1; tier <= 9; tier++)); do
    ! stop::_is_live "${tier}" || count=$((count + 1))
  done
  REPLY="${count}"
}

# Signals all running steps of a tier by one scancel. A step that has not told its id is still starting: there a TERM
# to its srun is the only handle (srun then kills hard, which is fine: nothing runs there yet).
# The exit code of scancel means nothing: Slurm 22.05 also asks nodes that the step does not run on.
stop::_end() {
  local -r signal="$1" tier="$2"
  local name by
  local -a names
  local -A ids=()
  stop::_is_live "${tier}" || return 0
  read -ra names <<<"${REPLY}"
  ((STARTING == 0)) || steps::_learn_ids
  log::info "stop: ${signal} to ${names[*]:0:8}${names[8]:+ ... (${#names[@]} steps)}"
  for name in "${names[@]}"; do
    by="${STEP_SIGNAL[${name}]}"
    [[ "${signal}" != KILL ]] || by=KILL
    if [[ -n "${STEP_ID[${name}]:-}" ]]; then
      ids["${by}"]+=" ${STEP_ID[${name}]}"
    else
      kill -TERM "${STEP_PID[${name}]}" 2>/dev/null
    fi
  done
  for by in "${!ids[@]}"; do
    # shellcheck disable=SC2086 # a list of step ids
    job::call 10 "${SCRATCH}/scancel" scancel --signal="${by}" ${ids[${by}]}
  done
}

# Waits until no step of a tier runs, the deadline has passed, or the end is forced.
stop::_wait() {
  local -r deadline="$1" tier="$2"
  while stop::_is_live "${tier}" && ((NOW < deadline)) && ! stop::_is_forced; do
    job::tick
  done
}

# Ends what is left the hard way: by Slurm, and if that does not help by ending srun itself.
stop::_kill() {
  local deadline name
  log::warn "killed, for it still ran: ${REPLY}"
  stop::_end KILL "*"
  deadline=$((NOW + 5))
  while stop::_is_live "*" && ((NOW < deadline)); do
    job::tick
  done
  for name in "${ORDER[@]}"; do
    ! steps::is_live "${name}" || kill -KILL "${STEP_PID[${name}]}" 2>/dev/null
  done
}

# Asks Slurm whether a step of ours is left; kills it if so. Slurm lists a step for a moment after its srun has ended, so the
# first times it is only asked again. In a heterogeneous job each component has a number, and lists the steps of its own.
stop::_verify() {
  local name pause left id jobs=""
  local -A listed
  ((${#STEP_ID[@]} > 0)) || return 0
  for id in "${STEP_ID[@]}"; do
    [[ ",${jobs}," == *",${id%.*},"* ]] || jobs+="${jobs:+,}${id%.*}"
  done
  for pause in 10 20 30 40 100 100; do # hundredths of a second
    : >"${SCRATCH}/steps"
    job::call 10 "${SCRATCH}/steps" squeue --noheader --steps --jobs="${jobs}" --format=%i || break
    left="" listed=()
    while read -r id; do
      listed["step ${id}"]=1
    done <"${SCRATCH}/steps"
    for name in "${!STEP_ID[@]}"; do
      [[ -z "${listed["step ${STEP_ID[${name}]}"]:-}" ]] || left+=" ${STEP_ID[${name}]}"
    done
    [[ -n "${left}" ]] || return 0
    # shellcheck disable=SC2086 # a list of step ids
    ((pause < 100)) || job::call 10 "${SCRATCH}/scancel" scancel --signal=KILL ${left}
    steps::settle "${pause}"
  done
  log::warn "Slurm still lists steps of this job:${left:- (squeue did not answer)}"
}

# A step that was killed could not remove its directories in /tmp, and a build is shared by several: once more on every node,
# if there is time. In a job that is cancelled Slurm starts no step: then they stay, named after the job and used by nobody.
stop::_clear_nodes() {
  if [[ "${CLASS}" == node ]] || stop::_is_forced; then
    return 0
  elif [[ " ${STEP_EXIT[*]} " != *" 137 "* ]] && ! grep -qs setup::dynamo_source -- "${BUNDLE_DIR}"/steps/*.sh; then
    return 0
  fi
  # what job.sh itself has there is still in use, and another user's directory of that name is not ours to remove
  nodes::each 5 "${SCRATCH}/clear" --job-name=clear \
    find /tmp -maxdepth 1 -user "${EUID}" -name "srtplan-${JOB_ID}-*" ! -name "srtplan-${JOB_ID}-job.*" -exec rm -rf -- {} +
}
