#!/bin/bash
# etcd: etcd server
# To print the commands of this step: bash steps/etcd.sh show
# shellcheck source-path=SCRIPTDIR disable=SC2016 # single-quoted text of the recipe is literal
set -Eeuo pipefail
source "${BASH_SOURCE[0]%/*}/../lib/step.sh"
step::begin etcd "$@"

SRUN=(
  --overlap
  --input=none
  --nodes=1
  --ntasks=1
  --nodelist="${NODE[0]}"
  --job-name=etcd
  --output="${LOG_DIR}/etcd.out"
  --open-mode=append
  --kill-on-bad-exit=1
  --container-image='nvcr.io#nvidia/ai-dynamo/vllm-runtime:1.0.0'
  --no-container-entrypoint
  --no-container-mount-home
  --container-mounts="${BUNDLE_DIR}:${BUNDLE_DIR}:ro,${RUN_DIR}:${RUN_DIR},${LOG_DIR}:/logs"
)

preamble() {
  setup::scratch "/tmp/srtplan-${JOB_ID}-etcd"
}

ARGV=(
  etcd
  --name "srtplan-${JOB_ID}"
  --data-dir "/tmp/srtplan-${JOB_ID}-etcd"
  --listen-client-urls http://0.0.0.0:2379
  --advertise-client-urls "http://${IP[0]}:2379"
  --listen-peer-urls http://0.0.0.0:2380
  --initial-advertise-peer-urls "http://${IP[0]}:2380"
  --initial-cluster "srtplan-${JOB_ID}=http://${IP[0]}:2380"
)

step::main
