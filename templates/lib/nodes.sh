# shellcheck shell=bash
# The nodes of the job: names from Slurm, addresses and health from one fan-out step.

NODE=()
IP=()

# Checks every node before anything is started; ends the job with 72 if one is not fit.
nodes::preflight() {
  job::stage preflight
  nodes::_list
  local -r out="${RUN_DIR}/run/preflight"
  local hosts
  printf -v hosts '%s,' "${NODE[@]}"
  job::call 120 "${LOG_DIR}/preflight.out" srun --overlap --input=none --nodes="${NODES}" --ntasks="${NODES}" --nodelist="${hosts%,}" \
    --job-name=preflight --output="${LOG_DIR}/preflight.out" --open-mode=append --kill-on-bad-exit=1 \
    bash "${BUNDLE_DIR}/lib/preflight.sh" "${BUNDLE_DIR}/files/preflight.tsv" "${out}" "${NETWORK_INTERFACE}" "${NODE[@]}"
  local -r code="$?"
  nodes::_report "${out}" "${code}"
  nodes::_write
}

# Node names in the order of the allocation; more than planned is fine, in a held allocation.
nodes::_list() {
  local lists="${SLURM_JOB_NODELIST:-}" group
  if [[ -n "${SLURM_HET_SIZE:-}" ]]; then
    lists=""
    for ((group = 0; group < SLURM_HET_SIZE; group++)); do
      local -n list="SLURM_JOB_NODELIST_HET_GROUP_${group}"
      lists+="${lists:+,}${list}"
    done
  fi
  [[ -n "${lists}" ]] || job::end 72 preflight "SLURM_JOB_NODELIST is not set: run this with sbatch or inside salloc"
  scontrol show hostnames "${lists}" >"${SCRATCH}/hostnames"
  mapfile -t NODE <"${SCRATCH}/hostnames"
  ((${#NODE[@]} >= NODES)) || job::end 72 preflight "the plan needs ${NODES} nodes, the job has ${#NODE[@]} (${lists})"
  NODE=("${NODE[@]:0:NODES}")
}

# One table of all nodes; the first fault is the cause.
nodes::_report() {
  local -r out="$1" srun_code="$2"
  local node kind text fault first="" checks
  local -a table=() notes=()
  printf -v text '%-24s %-16s %s' node address checks
  table+=("${text}")
  for node in "${NODE[@]}"; do
    local address="" passed=0
    fault=""
    nodes::_read "${out}/${node}"
    first="${first:-${fault:+${node}: ${fault}}}"
    checks="${passed} ok"
    printf -v text '%-24s %-16s %s' "${node}" "${address:--}" "${fault:-${checks}}"
    table+=("${text}")
    IP+=("${address}")
  done
  log::text "${table[@]}" ${notes[@]+"${notes[@]}"}
  nodes::_check_addresses
  if [[ -n "${first}" ]]; then
    log::info "the fan-out ended with ${srun_code}; its log: ${LOG_DIR}/preflight.out"
    job::end 72 preflight "${first}"
  fi
}

# Reads what one node wrote: sets address, passed and fault (the first), adds to notes.
nodes::_read() {
  local -r file="$1"
  if [[ ! -e "${file}" ]]; then
    fault="did not answer the preflight"
    return 0
  fi
  while IFS=$'\t' read -r kind text; do
    case "${kind}" in
      address) address="${text}" ;;
      ok) passed="${text}" ;;
      warn) notes+=("${file##*/}: warning: ${text}") ;;
      fail)
        [[ -z "${fault}" ]] || notes+=("${file##*/}: ${text}")
        fault="${fault:-${text}}"
        ;;
    esac
  done <"${file}"
}

nodes::_check_addresses() {
  local -A seen=()
  local i
  for i in "${!IP[@]}"; do
    [[ -n "${IP[i]}" ]] || continue
    [[ -z "${seen[${IP[i]}]:-}" ]] || first="${first:-${NODE[i]} and ${seen[${IP[i]}]} have the same address ${IP[i]}}"
    seen["${IP[i]}"]="${NODE[i]}"
  done
}

# Names and addresses for the launchers. Both were checked: host names by Slurm, addresses by preflight.sh.
nodes::_write() {
  {
    printf 'NODE=(%s)\n' "${NODE[*]}"
    printf 'IP=(%s)\n' "${IP[*]}"
  } >"${RUN_DIR}/run/nodes.sh" || job::end 72 preflight "cannot write ${RUN_DIR}/run/nodes.sh"
  run::write_files
}
