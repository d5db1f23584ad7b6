#!/bin/bash
# frontend_0: Dynamo frontend 0
# To print the commands of this step: bash steps/frontend_0.sh show
# shellcheck source-path=SCRIPTDIR disable=SC2016 # single-quoted text of the recipe is literal
set -Eeuo pipefail
source "${BASH_SOURCE[0]%/*}/../lib/step.sh"
step::begin frontend_0 "$@"

SRUN=(
  --overlap
  --input=none
  --nodes=1
  --ntasks=1
  --nodelist="${NODE[0]}"
  --job-name=frontend_0
  --output="${LOG_DIR}/frontend_0.out"
  --open-mode=append
  --kill-on-bad-exit=1
  --mpi=pmix
  --container-image='nvcr.io#nvidia/ai-dynamo/vllm-runtime:1.0.0'
  --no-container-entrypoint
  --no-container-mount-home
  --container-mounts="${BUNDLE_DIR}:${BUNDLE_DIR}:ro,${RUN_DIR}:${RUN_DIR},${LOG_DIR}:/logs"
)

ENV=(
  'DYN_REQUEST_PLANE=nats'
  'DYN_SKIP_SGLANG_LOG_FORMATTING=1'
  "ETCD_ENDPOINTS=http://${NODE[0]}:2379"
  "NATS_SERVER=nats://${NODE[0]}:4222"
)

ARGV=(
  python3 -m dynamo.frontend
  --http-port=8000
)

step::main
