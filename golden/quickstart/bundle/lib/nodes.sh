# shellcheck shell=bash
# The nodes of the job: names from Slurm, addresses and fitness from one fan-out step.

NODE=()
IP=()
PREFLIGHT_WAIT="${SRTPLAN_PREFLIGHT_WAIT_S:-120}" # seconds for every node to answer

# Checks every node before anything is started; ends the job with 72 if one is not fit.
nodes::preflight() {
  local -r out="${RUN_DIR}/run/preflight" log="${LOG_DIR}/preflight.out"
  job::stage preflight
  nodes::_check_slurm
  nodes::_list
  nodes::each "${PREFLIGHT_WAIT}" "${log}" --job-name=preflight --output="${log}" --open-mode=append \
    bash "${BUNDLE_DIR}/lib/preflight.sh" "${BUNDLE_DIR}/files/preflight.tsv" "${out}" "${NETWORK_INTERFACE}" "${NODE[@]}"
  nodes::_report "${out}"
  nodes::_write
  run::write_files
}

# srun has had --overlap since 20.11.
nodes::_check_slurm() {
  local version=""
  job::call 10 "${SCRATCH}/version" srun --version
  { read -r _ version <"${SCRATCH}/version"; } 2>/dev/null
  log::info "Slurm ${version:-of an unknown version}, bash ${BASH_VERSION}"
  if [[ "${version}" =~ ^([0-9]+)\.([0-9]+) ]] && ((BASH_REMATCH[1] * 100 + 10#${BASH_REMATCH[2]} < 2011)); then
    job::end 72 preflight "srun is of Slurm ${version}, but 20.11 or later is needed"
  fi
}

# Runs a command once on every node, one component after the other: nodes::each SECONDS OUTPUT [SRUN OPTION]... COMMAND...
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

# Node names in the order of the allocation, component by component. A held allocation may have more nodes than planned.
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
    [[ "${name}" =~ ^[A-Za-z0-9._-]+$ ]] || job::end 72 preflight "not a host name: ${name}"
  done
}

# One table of all nodes. The first fault found is the cause.
nodes::_report() {
  local -r out="$1"
  local node line address says fault first=""
  local -a notes
  printf -v line '%-24s %-16s %s' node address checks
  log::text "${line}"
  for node in "${NODE[@]}"; do
    nodes::_read "${out}/${node}"
    printf -v line '%-24s %-16s %s' "${node}" "${address:--}" "${fault:-${says}}"
    log::text "${line}" ${notes[@]+"${notes[@]}"}
    if [[ -n "${address}" && " ${IP[*]} " == *" ${address} "* ]]; then
      fault="${fault:-another node has the address ${address}, too}"
    fi
    IP+=("${address}")
    first="${first:-${fault:+${node}: ${fault}}}"
  done
  [[ -z "${first}" ]] || nodes::_give_up "${first}"
}

# A node that did not answer may be lost, or the fan-out itself went wrong: srun knows.
nodes::_give_up() {
  local -r why="$1"
  if [[ "${why}" == *"did not answer"* ]]; then
    steps::show_log preflight
    if steps::find_lost_node preflight; then
      job::end 77 node "Slurm lost a node: ${REPLY}"
    fi
  fi
  job::end 72 preflight "${why}"
}

# Reads what one node wrote into the caller's variables: address, says, fault (the first), notes (what else).
nodes::_read() {
  local -r file="$1"
  local kind text
  address="" says="" fault="" notes=()
  [[ -e "${file}" ]] || fault="did not answer"
  while IFS=$'\t' read -r kind text; do
    case "${kind}" in
      address) address="${text}" ;;
      ok) says="${text} ok" ;;
      skipped) says+=", ${text} skipped" ;;
      warn) notes+=("  ${text}") ;;
      fail)
        [[ -z "${fault}" ]] || notes+=("  ${text}")
        fault="${fault:-${text}}"
        ;;
    esac
  done < <(cat -- "${file}" 2>/dev/null || true)
}

# Names and addresses for the launchers; both were checked.
nodes::_write() {
  printf 'NODE=(%s)\nIP=(%s)\n' "${NODE[*]}" "${IP[*]}" >"${RUN_DIR}/run/nodes.sh" ||
    job::end 72 preflight "cannot write ${RUN_DIR}/run/nodes.sh"
}
