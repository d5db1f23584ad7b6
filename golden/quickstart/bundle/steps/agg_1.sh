#!/bin/bash
# agg_1: Dynamo mocker, agg worker 1
# To print the commands of this step: bash steps/agg_1.sh show
# shellcheck source-path=SCRIPTDIR disable=SC2016 # single-quoted text of the recipe is literal
set -Eeuo pipefail
source "${BASH_SOURCE[0]%/*}/../lib/step.sh"
step::begin agg_1 "$@"

SRUN=(
  --overlap
  --input=none
  --nodes=1
  --ntasks=1
  --nodelist="${NODE[0]}"
  --job-name=agg_1
  --output="${LOG_DIR}/agg_1.out"
  --open-mode=append
  --kill-on-bad-exit=1
  --container-image='nvcr.io#nvidia/ai-dynamo/vllm-runtime:1.0.0'
  --no-container-entrypoint
  --no-container-mount-home
  --container-mounts="${BUNDLE_DIR}:${BUNDLE_DIR}:ro,${RUN_DIR}:${RUN_DIR},${LOG_DIR}:/logs"
)

ENV=(
  'CUDA_VISIBLE_DEVICES=4,5,6,7'
  'DYN_LOG=info,dynamo_runtime::pipeline::network::ingress::push_handler=warn'
  'DYN_REQUEST_PLANE=nats'
  'DYN_SKIP_SGLANG_LOG_FORMATTING=1'
  'DYN_SYSTEM_PORT=8082'
  "ETCD_ENDPOINTS=http://${NODE[0]}:2379"
  "HEAD_NODE_IP=${IP[0]}"
  "NATS_SERVER=nats://${NODE[0]}:4222"
)

ARGV=(
  python3 -m dynamo.mocker
  --model-path Qwen/Qwen3-0.6B
  --engine-type vllm
  --speedup-ratio 100.0
  --data-parallel-size 1
  --num-gpu-blocks-override 16384
  --max-num-seqs 256
  --max-num-batched-tokens 8192
)

step::main
