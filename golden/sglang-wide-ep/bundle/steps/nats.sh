#!/bin/bash
# nats: NATS server
# To print the commands of this step: bash steps/nats.sh show
# shellcheck source-path=SCRIPTDIR disable=SC2016 # single-quoted text of the recipe is literal
set -Eeuo pipefail
source "${BASH_SOURCE[0]%/*}/../lib/step.sh"
step::begin nats "$@"

SRUN=(
  --overlap
  --input=none
  --nodes=1
  --ntasks=1
  --nodelist="${NODE[0]}"
  --job-name=nats
  --output="${LOG_DIR}/nats.out"
  --open-mode=append
  --kill-on-bad-exit=1
  --container-image=/images/dynamo-sglang.sqsh
  --no-container-entrypoint
  --no-container-mount-home
  --container-mounts="${BUNDLE_DIR}:${BUNDLE_DIR}:ro,${RUN_DIR}:${RUN_DIR},${LOG_DIR}:/logs,/models/DeepSeek-R1-0528:/model"
)

preamble() {
  setup::scratch "/tmp/srtplan-${JOB_ID}-nats"
}

ARGV=(
  nats-server
  --name "srtplan-${JOB_ID}"
  --jetstream
  --store_dir "/tmp/srtplan-${JOB_ID}-nats"
  --port 4222
)

step::main
