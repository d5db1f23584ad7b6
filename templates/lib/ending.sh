# shellcheck shell=bash
# The end of a job: stop the steps tier by tier, see that nothing is left, say what happened.

# The trap on EXIT. Signals that arrive now are only counted; the second one forces.
job::_exit() {
  local -r code="$?"
  ENDING=stop
  trap - EXIT
  if [[ -z "${CODE}" ]]; then
    CODE=70 CLASS=internal CAUSE="job.sh ended by itself with ${code}"
  fi
  if ((CODE == 0)); then
    log::info "the job is done; stopping"
  else
    log::error "${CLASS}: ${CAUSE}"
  fi
  job::stage stop
  stop::all
  job::_summary
  job::stage end
  event::write end "class=${CLASS}" "code:=${CODE}" "cause=${CAUSE}"
  kill "${TICK_PID}" 2>/dev/null
  [[ "${SCRATCH}" == "${RUN_DIR}"/* ]] || rm -rf -- "${SCRATCH}"
  log::info "end class=${CLASS} code=${CODE}"
  exit "${CODE}"
}

# Stops whatever runs within STOP_TIMEOUT_S: TERM from tier 0 up, then KILL.
stop::all() {
  local -r caller="${CALL_PID}"
  local deadline tier
  local -i left
  CALL_PID=0
  ((caller == 0)) || kill -TERM "${caller}" 2>/dev/null
  clock::read
  deadline=$((NOW + STOP_TIMEOUT_S))
  for tier in {0..9}; do
    stop::_count_tiers "${tier}"
    left="${REPLY}"
    if ((left > 0)) && stop::_is_live "${tier}"; then
      stop::_end TERM "${tier}"
      stop::_wait "$((NOW + (deadline - NOW) / left))" "${tier}"
    fi
  done
  stop::_wait "${deadline}" "*"
  if stop::_is_live "*"; then
    log::warn "still running at the deadline, killed: ${REPLY}"
    stop::_end KILL "*"
    stop::_wait "$((NOW + 5))" "*"
    stop::_end_srun KILL # Slurm itself does not answer
  fi
  stop::_verify
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

# Sets REPLY to the number of tiers from this one up that have running steps: each may use its share of the time.
stop::_count_tiers() {
  local tier names=0
  for ((tier = $1; tier <= 9; tier++)); do
    ! stop::_is_live "${tier}" || names=$((names + 1))
  done
  REPLY="${names}"
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
  log::info "stop: ${signal} to ${#names[@]} steps: ${names[*]:0:8}${names[8]:+ ...}"
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

# Signals the sruns that are still there.
stop::_end_srun() {
  local -r signal="$1"
  local name
  for name in "${ORDER[@]}"; do
    ! steps::is_live "${name}" || kill "-${signal}" "${STEP_PID[${name}]}" 2>/dev/null
  done
}

# Waits until no step of a tier runs, the deadline has passed, or the end is forced.
stop::_wait() {
  local -r deadline="$1" tier="$2"
  while stop::_is_live "${tier}" && ((NOW < deadline)) && ! { stop::_is_forced && [[ "${tier}" != "*" ]]; }; do
    job::tick
  done
}

# Asks Slurm whether a step of ours is left; kills it if so.
stop::_verify() {
  local name try left
  ((${#STEP_ID[@]} > 0)) || return 0
  for try in 1 2 3; do
    : >"${SCRATCH}/steps"
    job::call 10 "${SCRATCH}/steps" squeue --noheader --steps --jobs="${JOB_ID}" --format=%i || break
    left=""
    for name in "${!STEP_ID[@]}"; do
      ! grep -qxF -- "${STEP_ID[${name}]}" "${SCRATCH}/steps" || left+=" ${STEP_ID[${name}]}"
    done
    [[ -n "${left}" ]] || return 0
    # shellcheck disable=SC2086 # a list of step ids
    ((try == 1)) || job::call 10 "${SCRATCH}/scancel" scancel --signal=KILL ${left}
    steps::settle 1
  done
  log::warn "Slurm still lists steps of this job:${left:- (squeue did not answer)}"
}

# One line per step.
job::_summary() {
  local name line REPLY
  local -a table=()
  ((${#STEP_PID[@]} > 0)) || return 0
  printf -v line '%-24s %-28s %9s %9s %6s' step nodes started ready exit
  table+=("${line}")
  for name in "${ORDER[@]}"; do
    [[ -n "${STEP_PID[${name}]:-}" ]] || continue
    steps::where "${name}"
    printf -v line '%-24s %-28s %7d s %9s %6s' "${name}" "${REPLY}" "${STEP_STARTED[${name}]}" \
      "${STEP_READY[${name}]:+${STEP_READY[${name}]} s}" "${STEP_EXIT[${name}]:-?}"
    table+=("${line}")
  done
  log::text "${table[@]}"
}
