#!/bin/bash
# benchmark: sa-bench with the aiperf client
# To print the commands of this step: bash steps/benchmark.sh show
# shellcheck source-path=SCRIPTDIR disable=SC2016 # single-quoted text of the recipe is literal
set -Eeuo pipefail
source "${BASH_SOURCE[0]%/*}/../lib/step.sh"
step::begin benchmark "$@"

SRUN=(
  --overlap
  --input=none
  --nodes=1
  --ntasks=1
  --nodelist="${NODE[0]}"
  --job-name=benchmark
  --output="${LOG_DIR}/benchmark.out"
  --open-mode=append
  --kill-on-bad-exit=1
  --container-image='nvcr.io#nvidia/ai-dynamo/vllm-runtime:1.0.0'
  --no-container-entrypoint
  --no-container-mount-home
  --container-mounts="${BUNDLE_DIR}:${BUNDLE_DIR}:ro,${RUN_DIR}:${RUN_DIR},${LOG_DIR}:/logs"
)

ENV=(
  'OPENAI_API_KEY=EMPTY'
  'SRTCTL_FRONTEND_TYPE=dynamo'
  'SRT_BENCH_MAX_FAILED_SHARE=0.05'
  'SRT_BENCH_RETRIES=0'
  "SRT_FRONTEND_HOST=${IP[0]}"
  'SRT_FRONTEND_PORT=8000'
  "SRT_FRONTEND_URL=http://${IP[0]}:8000"
)

preamble() {
  setup::tmpdir "/tmp/srtplan-${JOB_ID}-benchmark"
  setup::open_files 65536
  bench::need aiperf 'aiperf==0.13.0'
}

RUN_TOTAL=4
runs() {
  bench::run warmup_2 '' '' \
    bench::aiperf /dev/null "${RUN_DIR}/results/sa-bench_isl_128_osl_32/artifacts/warmup_2" \
    -- aiperf profile \
    --model Qwen/Qwen3-0.6B \
    --tokenizer Qwen/Qwen3-0.6B \
    --tokenizer-trust-remote-code \
    --url "http://${IP[0]}:8000" \
    --use-server-token-count \
    --endpoint-type chat \
    --streaming \
    --isl 128 \
    --osl 32 \
    --random-range-ratio 0.8 \
    --random-corpus-style sglang \
    --extra-inputs ignore_eos:true \
    --concurrency 2 \
    --request-count 4 \
    --request-rate 250 \
    --random-seed 0 \
    --ui simple \
    --artifact-dir "${RUN_DIR}/results/sa-bench_isl_128_osl_32/artifacts/warmup_2" \
    --connection-reuse-strategy never
  bench::run concurrency_2 "${RUN_DIR}/results/sa-bench_isl_128_osl_32/results_concurrency_2_gpus_8.json" aiperf \
    bench::aiperf "${RUN_DIR}/results/sa-bench_isl_128_osl_32/results_concurrency_2_gpus_8.json" "${RUN_DIR}/results/sa-bench_isl_128_osl_32/artifacts/concurrency_2" \
    -- aiperf profile \
    --model Qwen/Qwen3-0.6B \
    --tokenizer Qwen/Qwen3-0.6B \
    --tokenizer-trust-remote-code \
    --url "http://${IP[0]}:8000" \
    --use-server-token-count \
    --endpoint-type chat \
    --streaming \
    --isl 128 \
    --osl 32 \
    --random-range-ratio 0.8 \
    --random-corpus-style sglang \
    --extra-inputs ignore_eos:true \
    --concurrency 2 \
    --request-count 20 \
    --random-seed 0 \
    --ui simple \
    --artifact-dir "${RUN_DIR}/results/sa-bench_isl_128_osl_32/artifacts/concurrency_2" \
    --connection-reuse-strategy never
  bench::run warmup_4 '' '' \
    bench::aiperf /dev/null "${RUN_DIR}/results/sa-bench_isl_128_osl_32/artifacts/warmup_4" \
    -- aiperf profile \
    --model Qwen/Qwen3-0.6B \
    --tokenizer Qwen/Qwen3-0.6B \
    --tokenizer-trust-remote-code \
    --url "http://${IP[0]}:8000" \
    --use-server-token-count \
    --endpoint-type chat \
    --streaming \
    --isl 128 \
    --osl 32 \
    --random-range-ratio 0.8 \
    --random-corpus-style sglang \
    --extra-inputs ignore_eos:true \
    --concurrency 4 \
    --request-count 8 \
    --request-rate 250 \
    --random-seed 0 \
    --ui simple \
    --artifact-dir "${RUN_DIR}/results/sa-bench_isl_128_osl_32/artifacts/warmup_4" \
    --connection-reuse-strategy never
  bench::run concurrency_4 "${RUN_DIR}/results/sa-bench_isl_128_osl_32/results_concurrency_4_gpus_8.json" aiperf \
    bench::aiperf "${RUN_DIR}/results/sa-bench_isl_128_osl_32/results_concurrency_4_gpus_8.json" "${RUN_DIR}/results/sa-bench_isl_128_osl_32/artifacts/concurrency_4" \
    -- aiperf profile \
    --model Qwen/Qwen3-0.6B \
    --tokenizer Qwen/Qwen3-0.6B \
    --tokenizer-trust-remote-code \
    --url "http://${IP[0]}:8000" \
    --use-server-token-count \
    --endpoint-type chat \
    --streaming \
    --isl 128 \
    --osl 32 \
    --random-range-ratio 0.8 \
    --random-corpus-style sglang \
    --extra-inputs ignore_eos:true \
    --concurrency 4 \
    --request-count 40 \
    --random-seed 0 \
    --ui simple \
    --artifact-dir "${RUN_DIR}/results/sa-bench_isl_128_osl_32/artifacts/concurrency_4" \
    --connection-reuse-strategy never
}

step::main
