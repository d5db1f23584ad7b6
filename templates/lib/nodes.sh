# shellcheck shell=bash
# The nodes of the job: names from Slurm, addresses and checks from one preflight step.

NODE=()
IP=()
PREFLIGHT_WAIT_S="${SRTPLAN_PREFLIGHT_WAIT_S:-120}" # within which every node must answer

# Checks every node before services and workers start; ends the job with 72 if a check fails.
nodes::preflight() {
  local -r out="${RUN_DIR}/run/preflight" log="${LOG_DIR}/preflight.out"
  job::enter_stage preflight
  nodes::_check_slurm
  nodes::_list
  nodes::each "${PREFLIGHT_WAIT_S}" "${log}" --job-name=preflight --output="${log}" --open-mode=append \
    bash "${BUNDLE_DIR}/lib/preflight.sh" "${BUNDLE_DIR}/files/preflight.tsv" "${out}" "${NETWORK_INTERFACE}" "${NODE[@]}"
  nodes::_check_answers "${out}"
  nodes::_write_addresses
  run::write_files
}

# Ends the job with 72 if srun is older than 20.11, the first version with --overlap.
nodes::_check_slurm() {
  local version=""
  job::call 10 "${SCRATCH}/version" srun --version
  { read -r _ version <"${SCRATCH}/version"; } 2>/dev/null
  log::info "Slurm ${version:-of an unknown version}, bash ${BASH_VERSION}"
  if [[ "${version}" =~ ^([0-9]+)\.([0-9]+) ]] && ((BASH_REMATCH[1] * 100 + 10#${BASH_REMATCH[2]} < 2011)); then
    job::end 72 preflight "Slurm 20.11 or later is required, this is ${version}"
  fi
}

# Runs a command once on every node, component by component: nodes::each SECONDS OUTPUT [SRUN OPTION]... COMMAND...
nodes::each() {
  local -r seconds="$1" output="$2"
  shift 2
  local hosts group first size
  for ((group = 0, first = 0; group < ${#COMPONENTS[@]}; first += size, group++)); do
    size="${COMPONENTS[group]}"
    printf -v hosts '%s,' "${NODE[@]:first:size}"
    job::call "${seconds}" "${output}" srun --overlap --input=none --nodes="${size}" --ntasks="${size}" \
      --nodelist="${hosts%,}" ${SLURM_HET_SIZE:+--het-group="${group}"} "$@"
  done
}

# Sets NODE to the node names in the order of the allocation, component by component. An existing allocation (salloc) may have
# more nodes than the plan.
nodes::_list() {
  local list="${SLURM_JOB_NODELIST:-}" group name size
  local -a names
  [[ -n "${list}" ]] || job::end 72 preflight "SLURM_JOB_NODELIST is not set: run this with sbatch or inside salloc"
  ((${SLURM_HET_SIZE:-1} == ${#COMPONENTS[@]})) ||
    job::end 72 preflight "the plan has ${#COMPONENTS[@]} components, the job ${SLURM_HET_SIZE:-1}"
  for group in "${!COMPONENTS[@]}"; do
    if [[ -n "${SLURM_HET_SIZE:-}" ]]; then
      name="SLURM_JOB_NODELIST_HET_GROUP_${group}"
      list="${!name:-}"
    fi
    size="${COMPONENTS[group]}"
    scontrol show hostnames "${list}" >"${SCRATCH}/hostnames"
    mapfile -t names <"${SCRATCH}/hostnames"
    ((${#names[@]} >= size)) || job::end 72 preflight "the plan needs ${size} nodes, the job has ${#names[@]}: ${list}"
    NODE+=("${names[@]:0:size}")
  done
  for name in "${NODE[@]}"; do
    [[ "${name}" =~ ^[A-Za-z0-9._-]+$ ]] || job::end 72 preflight "invalid host name: ${name}"
  done
}

# Reads the answers of all nodes, logs them as a table, and sets IP. The first failed check ends the job.
nodes::_check_answers() {
  local -r out="$1"
  local node line address summary failure first=""
  local -a notes
  printf -v line '%-24s %-16s %s' node address checks
  log::text "${line}"
  for node in "${NODE[@]}"; do
    nodes::_read_answer "${out}/${node}"
    printf -v line '%-24s %-16s %s' "${node}" "${address:--}" "${failure:-${summary}}"
    log::text "${line}" ${notes[@]+"${notes[@]}"}
    if [[ -n "${address}" && " ${IP[*]} " == *" ${address} "* ]]; then
      failure="${failure:-another node has the same address ${address}}"
    fi
    IP+=("${address}")
    first="${first:-${failure:+${node}: ${failure}}}"
  done
  [[ -z "${first}" ]] || nodes::_fail "${first}"
}

# Ends the job because of a failed check. If a node did not answer, the log of srun shows whether Slurm lost it.
nodes::_fail() {
  local -r why="$1"
  if [[ "${why}" == *"did not answer"* ]]; then
    steps::print_log_tail preflight
    if steps::find_lost_node preflight; then
      job::end 77 node "Slurm lost a node: ${REPLY}"
    fi
  fi
  job::end 72 preflight "${why}"
}

# Reads the answer of one node into variables of the caller: address, summary, failure (the first), notes (the others).
nodes::_read_answer() {
  local -r file="$1"
  local kind text
  address="" summary="" failure="" notes=()
  [[ -e "${file}" ]] || failure="did not answer"
  while IFS=$'\t' read -r kind text; do
    case "${kind}" in
      address) address="${text}" ;;
      ok) summary="${text} ok" ;;
      skipped) summary+=", ${text} skipped" ;;
      warn) notes+=("  ${text}") ;;
      fail)
        [[ -z "${failure}" ]] || notes+=("  ${text}")
        failure="${failure:-${text}}"
        ;;
    esac
  done < <(cat -- "${file}" 2>/dev/null || true)
}

# Writes names and addresses for the launchers. Both were validated, so no quoting is needed.
nodes::_write_addresses() {
  printf 'NODE=(%s)\nIP=(%s)\n' "${NODE[*]}" "${IP[*]}" >"${RUN_DIR}/run/nodes.sh" ||
    job::end 72 preflight "cannot write ${RUN_DIR}/run/nodes.sh"
}
