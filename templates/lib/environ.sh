# shellcheck shell=bash
# The environment of the steps: all variables of the submitter, or with --export=NONE only the declared ones. Secrets, the
# variables of env_from, reach only the steps that list them.
#
# A secret is a shell variable that is not exported (job.sh does that first) until the process that becomes a launcher exports
# it. Functions that handle values turn off tracing, because `bash -x` and SHELLOPTS=xtrace would print them.

IS_RESTRICTED=""     # set if only declared variables reach the steps
DROPPED_VARIABLES=() # names of the variables that environ::drop_foreign unset

# Unsets variables of another step or job, and sets DROPPED_VARIABLES. A shell started by srun has such variables, and so does
# everything started from it, such as a tmux or an sbatch. srun would read them as options of every step, MPI as its ranks.
#
# The names are srun's input variables (srun(1); env_vars in src/srun/opt.c, 22.05 to 26.05) that change where or how a step
# runs, and those that srun, PMI, PMIx, Open MPI and PALS set in a step. sbatch(1) also sets some of them for the job; those
# stay if the job requested them. Tuning variables (OMPI_MCA_*, PMIX_MCA_*, SLURM_MPI_TYPE, SLURM_NETWORK) stay.
environ::drop_foreign() {
  local -
  set +x
  local name options record=""
  local -r step="${SLURM_STEP_ID:-}"
  local -a names
  options="$(grep '^#SBATCH ' -- "${BUNDLE_DIR}/job.sh" 2>/dev/null)"$'\n'
  mapfile -t names < <(compgen -e | LC_ALL=C sort || true)
  for name in "${names[@]}"; do
    case "${name}" in
      *_HET_GROUP_*) continue ;; # set by sbatch for the components
      SLURM_STEP_* | SLURM_STEPID | SLURM_SRUN_* | SLURM_LAUNCH_NODE_IPADDR | SLURM_PTY_* | SRUN_* | \
        SLURM_CPU_BIND* | SLURM_CPU_FREQ_REQ | SLURM_EXACT | SLURM_OVERLAP | SLURM_WHOLE | SLURM_EXCLUSIVE | \
        SLURM_CORE_SPEC | SLURM_THREAD_SPEC | SLURM_NCORES_PER_SOCKET | SLURM_NSOCKETS_PER_NODE | \
        SLURM_GRES | SLURM_GRES_FLAGS | SLURM_SPREAD_JOB | SLURM_USE_MIN_NODES | SLURM_RESV_PORTS | SLURM_CONSTRAINT | \
        SLURM_TIMELIMIT | SLURM_SIGNAL | SLURM_WAIT | SLURM_WAIT4SWITCH | SLURM_REQ_SWITCH | SLURM_IMMEDIATE | \
        SLURM_KILL_BAD_EXIT | SLURM_NO_KILL | SLURM_EXIT_* | SLURM_TEST_EXEC | SLURM_THREADS | SLURM_BCAST* | \
        SLURM_STDERRMODE | SLURM_STDINMODE | SLURM_STDOUTMODE | SLURM_LABELIO | SLURM_UNBUFFEREDIO | SLURM_OPEN_MODE | \
        SLURM_PROLOG | SLURM_EPILOG | SLURM_TASK_PROLOG | SLURM_TASK_EPILOG | SLURM_REMOTE_CWD | SLURM_WORKING_DIR) ;;
      PMIX_MCA_*) continue ;;
      PMIX_* | PMI_* | PMI2_* | PALS_* | MPI_LOCALRANKID | MPI_LOCALNRANKS | HYDI_* | \
        OMPI_COMM_WORLD_* | OMPI_UNIVERSE_SIZE | OMPI_APP_CTX_NUM_PROCS | OMPI_NUM_APP_CTX | OMPI_FIRST_RANKS | \
        OMPI_ARGV | OMPI_COMMAND | OMPI_FILE_LOCATION | OMPI_MCA_orte_* | OMPI_MCA_ess*) ;;
      CUDA_VISIBLE_DEVICES | GPU_DEVICE_ORDINAL | ROCR_VISIBLE_DEVICES | HIP_VISIBLE_DEVICES | ZE_AFFINITY_MASK)
        [[ -n "${step}" ]] || continue # outside a step they are the job's; Slurm sets them again in a step with GPUs
        ;;
      SLURM_CPUS_PER_TASK | SLURM_MEM_PER_* | SLURM_MEM_BIND* | SLURM_TRES_PER_TASK | SLURM_TRES_BIND | \
        SLURM_CPUS_PER_GPU | SLURM_GPUS | SLURM_GPUS_PER_* | SLURM_GPU_BIND | SLURM_GPU_FREQ | SLURM_NTASKS_PER_* | \
        SLURM_DISTRIBUTION | SLURM_DIST_PLANESIZE | SLURM_HINT | SLURM_THREADS_PER_CORE | SLURM_OVERCOMMIT | \
        SLURM_PROFILE | SLURM_OOM_KILL_STEP)
        ! environ::_is_job_option "${name}" || continue
        ;;
      *) continue ;;
    esac
    DROPPED_VARIABLES+=("${name}")
    unset "${name}"
  done
}

# Whether the job requested the option behind a variable: by a directive of job.sh or, where Slurm sets the variable for each
# job (env_array_for_batch_job in src/common/env.c), by its record. Uses options and record of environ::drop_foreign.
environ::_is_job_option() {
  local -r name="$1"
  local option="${name#SLURM_}" field=""
  case "${name}" in
    SLURM_CPUS_PER_TASK) field='CPUs/Task=([2-9]|1[0-9])' ;;
    SLURM_MEM_PER_NODE) option=mem field='MinMemoryNode=[1-9]' ;;
    SLURM_MEM_PER_CPU) field='MinMemoryCPU=[1-9]' ;;
    SLURM_TRES_PER_TASK) field='TresPerTask=' ;;
    SLURM_MEM_BIND*) option=mem-bind ;;
    SLURM_DIST_PLANESIZE) option=distribution ;;
    SLURM_OOM_KILL_STEP) option=oom-kill-step ;;
    *) ;;
  esac
  option="${option,,}"
  [[ ! "${options}" =~ ^(.*$'\n')?"#SBATCH --${option//_/-}"(=|[[:space:]]) ]] || return 0
  [[ -n "${field}" ]] || return 1
  [[ -n "${record}" ]] || record="$(timeout 10 scontrol show job -o "${SLURM_JOB_ID:-0}" 2>/dev/null)" || record=""
  [[ -z "${record}" || " ${record} " =~ " "${field} ]] # without a record the variable stays
}

# Logs the variables that were unset.
environ::warn_dropped() {
  ((${#DROPPED_VARIABLES[@]} == 0)) ||
    log::warn "ignoring variables of another step, or with srun options, of the submitting shell: ${DROPPED_VARIABLES[*]}"
}

# With --export=NONE, or a list without ALL, only declared variables reach the steps. Slurm itself is less strict: it adds
# variables of the user's login shell, and different steps may get different variables.
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

# Whether only declared variables reach the steps, according to the recipe or the submission. Sets REPLY to their names.
environ::_is_restricted() {
  local export_list word all=1
  local -a words
  REPLY=""
  for export_list in "${EXPORT}" "${SLURM_EXPORT_ENV:-ALL}"; do
    [[ ",${export_list^^}," == *,ALL,* ]] || all=""
    IFS=, read -ra words <<<"${export_list}"
    for word in ${words[@]+"${words[@]}"}; do
      REPLY+="${REPLY:+,}${word%%=*}"
    done
  done
  [[ -z "${all}" ]]
}

# Reads the secrets from the environment, else from a private file. Ends the job with 72 if one is missing.
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
  [[ -z "${REPLY}" ]] || environ::_fail_missing "${REPLY%% *}" "${file}"
}

# Ends the job because of a missing secret. With --export=NONE exporting it would not help, so only the file is suggested.
environ::_fail_missing() {
  local -r name="$1" file="$2"
  local -r remedy="write the line ${name}=<value> into ${file} and chmod 600 it"
  [[ -z "${IS_RESTRICTED}" ]] || job::end 72 preflight "${name} is not set, and --export does not pass it to the job: ${remedy}"
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

# Reads NAME=value lines literally, without expansion. Variables that are already set take precedence.
environ::_read_secrets() {
  local -r file="$1"
  local mode line name
  mode="$(stat -L -c %a -- "${file}")" || job::end 72 preflight "cannot read the secrets file ${file}"
  [[ "${mode}" == [46]00 ]] || job::end 72 preflight "${file} holds secrets but has mode ${mode}; run: chmod 600 ${file}"
  while IFS= read -r line || [[ -n "${line}" ]]; do
    name="${line%%=*}"
    if [[ " ${SECRETS[*]} " == *" ${name} "* && "${line}" == *=* && -z "${!name:-}" ]]; then
      printf -v "${name}" %s "${line#*=}"
    fi
  done <"${file}" || job::end 72 preflight "cannot read the secrets file ${file}"
}

# Exports the secrets of a step and becomes its launcher. Runs in a process of its own.
environ::launch() {
  local -r step="$1"
  local secret
  for secret in ${STEP_SECRETS[${step}]//,/ }; do
    export "${secret?}"
  done
  exec bash "${BUNDLE_DIR}/steps/${step}.sh" launch "${RUN_DIR}"
}
