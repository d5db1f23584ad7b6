#!/bin/bash
# decode_0: SGLang decode worker 0
# To print the commands of this step: bash steps/decode_0.sh show
# shellcheck source-path=SCRIPTDIR disable=SC2016 # single-quoted text of the recipe is literal
set -Eeuo pipefail
source "${BASH_SOURCE[0]%/*}/../lib/step.sh"
step::begin decode_0 "$@"

SRUN=(
  --overlap
  --input=none
  --nodes=1
  --ntasks=1
  --nodelist="${NODE[1]}"
  --job-name=decode_0
  --output="${LOG_DIR}/decode_0.out"
  --open-mode=append
  --kill-on-bad-exit=1
  --container-image=/images/sglang-v0.5.11.sqsh
  --no-container-entrypoint
  --no-container-mount-home
  --container-mounts="${BUNDLE_DIR}:${BUNDLE_DIR}:ro,${RUN_DIR}:${RUN_DIR},${LOG_DIR}:/logs,/models/Qwen3-32B:/model"
)

ENV=(
  'DYN_LOG=info,dynamo_runtime::pipeline::network::ingress::push_handler=warn'
  'DYN_REQUEST_PLANE=tcp'
  'DYN_SKIP_SGLANG_LOG_FORMATTING=1'
  'DYN_SYSTEM_PORT=8082'
  "HEAD_NODE_IP=${IP[0]}"
)

ARGV=(
  python3 -m sglang.launch_server
  --model-path /model
  --served-model-name Qwen/Qwen3-32B
  --host 0.0.0.0
  --port 30000
  --nccl-port 17501
  --disaggregation-mode decode
  --tensor-parallel-size 8
  --trust-remote-code
)

step::main
