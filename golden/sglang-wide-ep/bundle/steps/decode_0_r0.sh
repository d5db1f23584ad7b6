#!/bin/bash
# decode_0_r0: SGLang decode worker 0
# To print the commands of this step: bash steps/decode_0_r0.sh show
# shellcheck source-path=SCRIPTDIR disable=SC2016 # single-quoted text of the recipe is literal
set -Eeuo pipefail
source "${BASH_SOURCE[0]%/*}/../lib/step.sh"
step::begin decode_0_r0 "$@"

SRUN=(
  --overlap
  --input=none
  --nodes=1
  --ntasks=1
  --nodelist="${NODE[3]}"
  --job-name=decode_0_r0
  --output="${LOG_DIR}/decode_0_r0.out"
  --open-mode=append
  --kill-on-bad-exit=1
  --container-image=/images/dynamo-sglang.sqsh
  --no-container-entrypoint
  --no-container-mount-home
  --container-mounts="${BUNDLE_DIR}:${BUNDLE_DIR}:ro,${RUN_DIR}:${RUN_DIR},${LOG_DIR}:/logs,/models/DeepSeek-R1-0528:/model"
)

LAUNCH_ENV=(
  'ENROOT_REMAP_ROOT=yes'
)

ENV=(
  'DYN_LOG=info,dynamo_runtime::pipeline::network::ingress::push_handler=warn'
  'DYN_REQUEST_PLANE=nats'
  'DYN_SKIP_SGLANG_LOG_FORMATTING=1'
  'DYN_SYSTEM_PORT=8083'
  "ETCD_ENDPOINTS=http://${NODE[0]}:2379"
  "HEAD_NODE_IP=${IP[1]}"
  'MC_FORCE_MNNVL=1'
  "NATS_SERVER=nats://${NODE[0]}:4222"
  'PYTHONUNBUFFERED=1'
)

preamble() {
  setup::dynamo_pypi 0.8.1
}

ARGV=(
  python3 -m dynamo.sglang
  --model-path /model
  --served-model-name deepseek-ai/DeepSeek-R1
  --host 0.0.0.0
  --port 30000
  --nccl-port 17502
  --disaggregation-mode decode
  --dist-init-addr "${IP[3]}:29500"
  --nnodes 4
  --node-rank 0
  --dump-config-to "${LOG_DIR}/decode_0_r0_config.json"
  --request-plane nats
  --data-parallel-size 16
  --enable-dp-attention
  --mem-fraction-static 0.8
  --tensor-parallel-size 16
)

step::main
