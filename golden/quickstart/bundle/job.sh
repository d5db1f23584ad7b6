#!/bin/bash
#SBATCH --job-name=quickstart
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --segment=1
#SBATCH --time=01:00:00
#SBATCH --output=srtplan-%j.log
#SBATCH --open-mode=append
#SBATCH --no-requeue
#SBATCH --signal=B:USR1@60
#
# Serves Qwen/Qwen3-0.6B with engine mocker and frontend dynamo.
# Compiled by srtplan from examples/quickstart.yaml; change the recipe, not this file.
# shellcheck source-path=SCRIPTDIR
set -uo pipefail

readonly JOB_NAME=quickstart
readonly MODEL_NAME=Qwen/Qwen3-0.6B
readonly COMPONENTS=(1) # nodes per component; only a heterogeneous job has several
readonly NETWORK_INTERFACE=''
readonly OUTPUT_BASE=''
readonly TIME_LIMIT_S=3600 WARNING_S=60 STOP_TIMEOUT_S=25
readonly PARALLEL_STARTS="${SRTPLAN_PARALLEL_STARTS:-32}"
readonly EXPORT=ALL # which of the submitter's variables the steps get
readonly SECRETS=()
readonly RUN_TIME_FILES=()
readonly REPORT_TO=()

# Steps in start order. Tiers stop in ascending order. The job ends when a critical step ends.
readonly STEPS=(
  # name       stage      tier  signal  role      nodes
  'nats        infra      4     TERM    critical  0'
  'etcd        infra      4     TERM    critical  0'
  'agg_0       worker     3     TERM    critical  0'
  'agg_1       worker     3     TERM    critical  0'
  'frontend_0  frontend   2     TERM    critical  0'
  'benchmark   benchmark  0     TERM    terminal  0'
)

# Probe interval and timeout of each gate. The gate "serving" repeats the probes of "health" while the job serves.
readonly GATES=(
  # name    interval_s  timeout_s
  'infra    1           120'
  'health   2           120'
  'serving  30          180'
)

# The probes that must succeed at each gate.
readonly PROBES=(
  # gate   step        type           node  port  prefill,decode  path
  'infra   nats        nats           0     4222  0,0             /'
  'infra   etcd        etcd           0     2379  0,0             /'
  'health  frontend_0  dynamo_health  0     8000  0,2             /health'
)

main() {
  check_shell
  check_setting SRTPLAN_PARALLEL_STARTS 1
  check_setting SRTPLAN_PREFLIGHT_WAIT_S 1
  check_setting SRTPLAN_UNHEALTHY_AFTER_S 0
  check_setting SRTPLAN_LOG_CAP_MB 0
  find_bundle
  check_bundle
  # shellcheck source=lib/job.sh
  source "${BUNDLE_DIR}/lib/job.sh"

  job::begin
  nodes::preflight
  URL="http://${IP[0]}:8000"

  steps::start infra
  probes::await infra
  steps::start worker
  steps::start frontend
  probes::await health
  steps::start benchmark
  job::await_terminal benchmark
}

check_shell() {
  if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
    printf 'srtplan: bash 4.4 or later is required, this is %s\n' "${BASH_VERSION}" >&2
    exit 72
  fi
  local tool
  for tool in srun scontrol scancel squeue sha256sum awk grep sed curl; do
    if ! command -v "${tool}" >/dev/null; then
      printf 'srtplan: %s not found on PATH\n' "${tool}" >&2
      exit 72
    fi
  done
}

# Fails the job with 72 if a variable of the submitter is set to anything but a whole number in range.
check_setting() {
  local -r name="$1" minimum="$2"
  local -r value="${!name:-${minimum}}"
  if [[ ! "${value}" =~ ^(0|[1-9][0-9]{0,5})$ ]] || ((value < minimum)); then
    printf 'srtplan: %s must be a whole number from %d to 999999, not %s\n' "${name}" "${minimum}" "${value}" >&2
    exit 72
  fi
}

# Sets BUNDLE_DIR. sbatch runs a copy of this script from its spool directory, so the script's own location does not help;
# Slurm knows which file was submitted. `srtplan apply` submits from a directory that it later renames to
# <output base>/<job id>, and sets SRTPLAN_BUNDLE (%j is the job id). A site may drop that variable.
find_bundle() {
  local here record base
  here="$(dirname -- "${BASH_SOURCE[0]}")" && here="$(cd -- "${here}" && pwd)" || exit 70
  if [[ -n "${SRTPLAN_BUNDLE:-}" ]]; then
    BUNDLE_DIR="$(cd -- "${SRTPLAN_BUNDLE//%j/${SLURM_JOB_ID:-0}}" && pwd)" || exit 70
  elif [[ -f "${here}/plan.json" ]]; then
    BUNDLE_DIR="${here}"
  else
    record="$(scontrol show job -o "${SLURM_JOB_ID:-}")" || exit 70
    record="${record#* Command=}"
    BUNDLE_DIR="${record%%/job.sh *}"
    base="${BUNDLE_DIR%/*/bundle}"
    if [[ ! -d "${BUNDLE_DIR}" && -d "${base}/${SLURM_JOB_ID}/bundle" ]]; then
      BUNDLE_DIR="${base}/${SLURM_JOB_ID}/bundle"
      export SRTPLAN_OUTPUT="${SRTPLAN_OUTPUT:-${base}}"
    fi
  fi
  if [[ ! -f "${BUNDLE_DIR}/MANIFEST.sha256" ]]; then
    printf 'srtplan: no bundle at %s; set SRTPLAN_BUNDLE to the directory of the bundle\n' "${BUNDLE_DIR}" >&2
    exit 70
  fi
}

# Fails the job with 71 if the bundle was edited, or recompiled while this script waited in the queue. Other files in the
# directory, such as the outputs of a job that was submitted from it, are ignored.
check_bundle() {
  local changed
  changed="$(list_changes)"
  if [[ -z "${changed}" ]]; then
    return 0
  elif [[ "${SRTPLAN_ALLOW_EDITS:-}" == 1 ]]; then
    printf 'srtplan: running an edited bundle (SRTPLAN_ALLOW_EDITS=1):\n%s\n' "${changed}"
  else
    printf 'srtplan: %s was edited after compiling:\n%s\n' "${BUNDLE_DIR}" "${changed}" >&2
    printf 'srtplan: compile again, or set SRTPLAN_ALLOW_EDITS=1 to run the edited bundle\n' >&2
    exit 71
  fi
}

# Prints one line for every difference from the compiled bundle.
list_changes() {
  local file own theirs report
  local -A known=(["MANIFEST.sha256"]=1)
  own="$(LC_ALL=C grep . "${BASH_SOURCE[0]}")" # Slurm drops empty lines from the script of a heterogeneous job
  theirs="$(LC_ALL=C grep . "${BUNDLE_DIR}/job.sh")"
  if [[ "${own}" != "${theirs}" ]]; then
    printf '  job.sh: changed since this job was submitted\n'
  fi
  cd -- "${BUNDLE_DIR}" || exit
  if ! report="$(LC_ALL=C sha256sum --check --quiet --strict MANIFEST.sha256 2>&1)"; then
    { LC_ALL=C grep ': FAILED' <<<"${report}" || printf '%s\n' "${report}"; } | sed 's/^/  /'
  fi
  shopt -s globstar dotglob nullglob
  while IFS= read -r file; do
    known["${file:66}"]=1
  done <MANIFEST.sha256
  for file in job.sh plan.{json,txt} stop {lib,steps,files}/**; do
    if [[ -L "${file}" || (-f "${file}" && -z "${known[${file}]:-}") ]]; then
      printf '  %s: added\n' "${file}"
    fi
  done
}

main
