#!/bin/bash
# router_0: SGLang router 0
# To print the commands of this step: bash steps/router_0.sh show
# shellcheck source-path=SCRIPTDIR disable=SC2016 # single-quoted text of the recipe is literal
set -Eeuo pipefail
source "${BASH_SOURCE[0]%/*}/../lib/step.sh"
step::begin router_0 "$@"

SRUN=(
  --overlap
  --input=none
  --nodes=1
  --ntasks=1
  --nodelist="${NODE[0]}"
  --job-name=router_0
  --output="${LOG_DIR}/router_0.out"
  --open-mode=append
  --kill-on-bad-exit=1
  --container-image=/images/sglang-v0.5.11.sqsh
  --no-container-entrypoint
  --no-container-mount-home
  --container-mounts="${BUNDLE_DIR}:${BUNDLE_DIR}:ro,${RUN_DIR}:${RUN_DIR},${LOG_DIR}:/logs,/models/Qwen3-32B:/model"
)

ARGV=(
  python -m sglang_router.launch_router
  --pd-disaggregation
  --prefill "http://${IP[0]}:30000" 31000
  --decode "http://${IP[1]}:30000"
  --host 0.0.0.0
  --port 8000
  --policy cache_aware
)

step::main
