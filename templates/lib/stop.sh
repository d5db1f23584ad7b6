# shellcheck shell=bash
# Stops the steps tier by tier and verifies that none is left.

# Stops all steps within STOP_TIMEOUT_S: TERM to each tier in ascending order, then KILL.
stop::all() {
  local -r caller="${CALL_PID}"
  local -r deadline=$((SHUTDOWN_AT + STOP_TIMEOUT_S))
  local tier
  CALL_PID=0
  if ((caller != 0)) && kill -TERM "${caller}" 2>/dev/null; then
    while job::is_running "${caller}" && ((NOW < deadline)) && ! stop::is_forced; do # an srun on every node is a step, too
      job::tick
    done
  fi
  for tier in {0..9}; do
    if stop::_has_live_steps "${tier}"; then
      stop::_signal_tier TERM "${tier}"
      stop::_count_tiers "${tier}"
      stop::_await_tier "$((NOW + (deadline - NOW) / REPLY))" "${tier}"
    fi
  done
  stop::_await_tier "${deadline}" "*"
  if stop::_has_live_steps "*"; then
    stop::_kill_remaining
  fi
  stop::_verify_none_left
  stop::_clean_nodes
}

# Whether a second signal was received.
stop::is_forced() {
  ((${#SIGNALS[@]} > 1))
}

# Whether any step of a tier runs ("*" is any tier). Sets REPLY to the names of those steps.
stop::_has_live_steps() {
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

# Sets REPLY to one plus the number of later tiers with running steps. The remaining time is divided by it.
stop::_count_tiers() {
  local tier count=1
  for ((tier = $1 + 1; tier <= 9; tier++)); do
    ! stop::_has_live_steps "${tier}" || count=$((count + 1))
  done
  REPLY="${count}"
}

# Signals all running steps of a tier with one scancel: stop::_signal_tier SIGNAL TIER
# A step whose id is unknown is still starting: its srun gets TERM, which kills the step hard, but nothing runs there yet.
# The exit code of scancel is ignored: Slurm 22.05 also contacts nodes that the step does not run on, and reports an error.
stop::_signal_tier() {
  local -r signal="$1" tier="$2"
  local name by
  local -a names
  local -A ids=()
  stop::_has_live_steps "${tier}" || return 0
  read -ra names <<<"${REPLY}"
  ((STARTING == 0)) || steps::read_ids
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

# Waits until no step of a tier runs, the deadline has passed, or a second signal arrives.
stop::_await_tier() {
  local -r deadline="$1" tier="$2"
  while stop::_has_live_steps "${tier}" && ((NOW < deadline)) && ! stop::is_forced; do
    job::tick
  done
}

# Kills the remaining steps through Slurm, and after 5 s their srun processes.
stop::_kill_remaining() {
  local deadline name
  log::warn "killing steps that did not stop in time: ${REPLY}"
  stop::_signal_tier KILL "*"
  deadline=$((NOW + 5))
  while stop::_has_live_steps "*" && ((NOW < deadline)); do
    job::tick
  done
  for name in "${ORDER[@]}"; do
    ! steps::is_live "${name}" || kill -KILL "${STEP_PID[${name}]}" 2>/dev/null
  done
}

# Checks that Slurm lists no step of this job, and kills any that is left. Slurm lists a step for a moment after its srun has
# ended, so the first checks only wait. In a heterogeneous job each component has its own job id and lists its own steps.
stop::_verify_none_left() {
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

# Removes directories of this job in /tmp of every node: a killed step leaves its own, and a build of Dynamo is shared by
# several steps. Slurm starts no step in a cancelled job, so there they stay; no other job uses those names.
stop::_clean_nodes() {
  if [[ "${CLASS}" == node ]] || stop::is_forced; then
    return 0
  elif [[ " ${STEP_EXIT[*]} " != *" 137 "* ]] && ! grep -qs setup::dynamo_source -- "${BUNDLE_DIR}"/steps/*.sh; then
    return 0
  fi
  # job.sh still uses its own directory; a directory of another user stays, too
  nodes::each 5 "${SCRATCH}/clear" --job-name=clear \
    find /tmp -maxdepth 1 -user "${EUID}" -name "srtplan-${JOB_ID}-*" ! -name "srtplan-${JOB_ID}-job.*" -exec rm -rf -- {} +
}
