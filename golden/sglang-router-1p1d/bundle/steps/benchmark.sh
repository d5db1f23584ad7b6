#!/bin/bash
# benchmark: sa-bench with the sglang client
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
  --container-image=/images/sglang-v0.5.11.sqsh
  --no-container-entrypoint
  --no-container-mount-home
  --container-mounts="${BUNDLE_DIR}:${BUNDLE_DIR}:ro,${RUN_DIR}:${RUN_DIR},${LOG_DIR}:/logs,/models/Qwen3-32B:/model"
)

ENV=(
  'OPENAI_API_KEY=EMPTY'
  'SRTCTL_FRONTEND_TYPE=sglang'
  'SRT_BENCH_MAX_FAILED_SHARE=0.05'
  'SRT_BENCH_RETRIES=0'
  "SRT_FRONTEND_HOST=${IP[0]}"
  'SRT_FRONTEND_PORT=8000'
  "SRT_FRONTEND_URL=http://${IP[0]}:8000"
)

preamble() {
  setup::tmpdir "/tmp/srtplan-${JOB_ID}-benchmark"
  setup::open_files 65536
}

RUN_TOTAL=4
runs() {
  bench::run warmup_4 '' '' \
    python3 -m sglang.bench_serving \
    --backend sglang-oai \
    --base-url "http://${IP[0]}:8000" \
    --model Qwen/Qwen3-32B \
    --tokenizer /model \
    --dataset-name random-ids \
    --random-input-len 1024 \
    --random-output-len 128 \
    --random-range-ratio 0.8 \
    --num-prompts 8 \
    --max-concurrency 4 \
    --request-rate 250 \
    --seed 0 \
    --disable-tqdm \
    --output-file /dev/null
  bench::run concurrency_4 "${RUN_DIR}/results/sa-bench_isl_1024_osl_128/results_concurrency_4_gpus_16_ctx_8_gen_8.json" sglang \
    python3 -m sglang.bench_serving \
    --backend sglang-oai \
    --base-url "http://${IP[0]}:8000" \
    --model Qwen/Qwen3-32B \
    --tokenizer /model \
    --dataset-name random-ids \
    --random-input-len 1024 \
    --random-output-len 128 \
    --random-range-ratio 0.8 \
    --num-prompts 20 \
    --max-concurrency 4 \
    --request-rate inf \
    --seed 0 \
    --disable-tqdm \
    --output-file "${RUN_DIR}/results/sa-bench_isl_1024_osl_128/results_concurrency_4_gpus_16_ctx_8_gen_8.json"
  bench::run warmup_16 '' '' \
    python3 -m sglang.bench_serving \
    --backend sglang-oai \
    --base-url "http://${IP[0]}:8000" \
    --model Qwen/Qwen3-32B \
    --tokenizer /model \
    --dataset-name random-ids \
    --random-input-len 1024 \
    --random-output-len 128 \
    --random-range-ratio 0.8 \
    --num-prompts 32 \
    --max-concurrency 16 \
    --request-rate 250 \
    --seed 0 \
    --disable-tqdm \
    --output-file /dev/null
  bench::run concurrency_16 "${RUN_DIR}/results/sa-bench_isl_1024_osl_128/results_concurrency_16_gpus_16_ctx_8_gen_8.json" sglang \
    python3 -m sglang.bench_serving \
    --backend sglang-oai \
    --base-url "http://${IP[0]}:8000" \
    --model Qwen/Qwen3-32B \
    --tokenizer /model \
    --dataset-name random-ids \
    --random-input-len 1024 \
    --random-output-len 128 \
    --random-range-ratio 0.8 \
    --num-prompts 80 \
    --max-concurrency 16 \
    --request-rate inf \
    --seed 0 \
    --disable-tqdm \
    --output-file "${RUN_DIR}/results/sa-bench_isl_1024_osl_128/results_concurrency_16_gpus_16_ctx_8_gen_8.json"
}

step::main
