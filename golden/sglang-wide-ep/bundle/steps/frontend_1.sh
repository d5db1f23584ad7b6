#!/bin/bash
# frontend_1: Dynamo frontend 1
# To print the commands of this step: bash steps/frontend_1.sh show
# shellcheck source-path=SCRIPTDIR disable=SC2016 # single-quoted text of the recipe is literal
set -Eeuo pipefail
source "${BASH_SOURCE[0]%/*}/../lib/step.sh"
step::begin frontend_1 "$@"

SRUN=(
  --overlap
  --input=none
  --nodes=1
  --ntasks=1
  --nodelist="${NODE[3]}"
  --job-name=frontend_1
  --output="${LOG_DIR}/frontend_1.out"
  --open-mode=append
  --kill-on-bad-exit=1
  --mpi=pmix
  --container-image=/images/dynamo-sglang.sqsh
  --no-container-entrypoint
  --no-container-mount-home
  --container-mounts="${BUNDLE_DIR}:${BUNDLE_DIR}:ro,${RUN_DIR}:${RUN_DIR},${LOG_DIR}:/logs,/models/DeepSeek-R1-0528:/model"
)

LAUNCH_ENV=(
  'ENROOT_REMAP_ROOT=yes'
)

ENV=(
  'DYN_REQUEST_PLANE=nats'
  'DYN_SKIP_SGLANG_LOG_FORMATTING=1'
  "ETCD_ENDPOINTS=http://${NODE[0]}:2379"
  "NATS_SERVER=nats://${NODE[0]}:4222"
)

preamble() {
  setup::dynamo_pypi 0.8.1
}

ARGV=(
  python3 -m dynamo.frontend
  --http-port=8080
  --router-mode kv
)

step::main
