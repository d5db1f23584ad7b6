#!/bin/bash
# nginx: nginx for 4 frontends
# To print the commands of this step: bash steps/nginx.sh show
# shellcheck source-path=SCRIPTDIR disable=SC2016 # single-quoted text of the recipe is literal
set -Eeuo pipefail
source "${BASH_SOURCE[0]%/*}/../lib/step.sh"
step::begin nginx "$@"

SRUN=(
  --overlap
  --input=none
  --nodes=1
  --ntasks=1
  --nodelist="${NODE[1]}"
  --job-name=nginx
  --output="${LOG_DIR}/nginx.out"
  --open-mode=append
  --kill-on-bad-exit=1
  --container-image=/images/nginx.sqsh
  --no-container-entrypoint
  --no-container-mount-home
  --container-remap-root
  --container-mounts="${BUNDLE_DIR}:${BUNDLE_DIR}:ro,${RUN_DIR}:${RUN_DIR},${LOG_DIR}:/logs,/models/DeepSeek-R1-0528:/model"
)

preamble() {
  setup::scratch "/tmp/srtplan-${JOB_ID}-nginx"
}

ARGV=(
  nginx
  -e stderr
  -c "${LOG_DIR}/nginx.conf"
)

step::main
