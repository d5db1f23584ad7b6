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
  --nodelist="${NODE[1]}"
  --job-name=benchmark
  --output="${LOG_DIR}/benchmark.out"
  --open-mode=append
  --kill-on-bad-exit=1
  --container-image=/images/dynamo-sglang.sqsh
  --no-container-entrypoint
  --no-container-mount-home
  --container-mounts="${BUNDLE_DIR}:${BUNDLE_DIR}:ro,${RUN_DIR}:${RUN_DIR},${LOG_DIR}:/logs,/models/DeepSeek-R1-0528:/model"
)

ENV=(
  'OPENAI_API_KEY=EMPTY'
  'SRTCTL_FRONTEND_TYPE=dynamo'
  'SRT_BENCH_MAX_FAILED_SHARE=0.05'
  'SRT_BENCH_RETRIES=0'
  "SRT_FRONTEND_HOST=${IP[1]}"
  'SRT_FRONTEND_PORT=8000'
  "SRT_FRONTEND_URL=http://${IP[1]}:8000"
)

preamble() {
  setup::tmpdir "/tmp/srtplan-${JOB_ID}-benchmark"
  setup::open_files 65536
}

RUN_TOTAL=6
runs() {
  bench::run warmup_64 '' '' \
    python3 -m sglang.bench_serving \
    --backend sglang-oai \
    --base-url "http://${IP[1]}:8000" \
    --model deepseek-ai/DeepSeek-R1 \
    --tokenizer /model \
    --dataset-name random-ids \
    --random-input-len 8192 \
    --random-output-len 1024 \
    --random-range-ratio 0.8 \
    --num-prompts 128 \
    --max-concurrency 64 \
    --request-rate 250 \
    --seed 0 \
    --disable-tqdm \
    --output-file /dev/null
  bench::run concurrency_64 "${RUN_DIR}/results/sa-bench_isl_8192_osl_1024/results_concurrency_64_gpus_24_ctx_8_gen_16.json" sglang \
    python3 -m sglang.bench_serving \
    --backend sglang-oai \
    --base-url "http://${IP[1]}:8000" \
    --model deepseek-ai/DeepSeek-R1 \
    --tokenizer /model \
    --dataset-name random-ids \
    --random-input-len 8192 \
    --random-output-len 1024 \
    --random-range-ratio 0.8 \
    --num-prompts 640 \
    --max-concurrency 64 \
    --request-rate inf \
    --seed 0 \
    --disable-tqdm \
    --output-file "${RUN_DIR}/results/sa-bench_isl_8192_osl_1024/results_concurrency_64_gpus_24_ctx_8_gen_16.json"
  bench::run warmup_256 '' '' \
    python3 -m sglang.bench_serving \
    --backend sglang-oai \
    --base-url "http://${IP[1]}:8000" \
    --model deepseek-ai/DeepSeek-R1 \
    --tokenizer /model \
    --dataset-name random-ids \
    --random-input-len 8192 \
    --random-output-len 1024 \
    --random-range-ratio 0.8 \
    --num-prompts 512 \
    --max-concurrency 256 \
    --request-rate 250 \
    --seed 0 \
    --disable-tqdm \
    --output-file /dev/null
  bench::run concurrency_256 "${RUN_DIR}/results/sa-bench_isl_8192_osl_1024/results_concurrency_256_gpus_24_ctx_8_gen_16.json" sglang \
    python3 -m sglang.bench_serving \
    --backend sglang-oai \
    --base-url "http://${IP[1]}:8000" \
    --model deepseek-ai/DeepSeek-R1 \
    --tokenizer /model \
    --dataset-name random-ids \
    --random-input-len 8192 \
    --random-output-len 1024 \
    --random-range-ratio 0.8 \
    --num-prompts 2560 \
    --max-concurrency 256 \
    --request-rate inf \
    --seed 0 \
    --disable-tqdm \
    --output-file "${RUN_DIR}/results/sa-bench_isl_8192_osl_1024/results_concurrency_256_gpus_24_ctx_8_gen_16.json"
  bench::run warmup_1024 '' '' \
    python3 -m sglang.bench_serving \
    --backend sglang-oai \
    --base-url "http://${IP[1]}:8000" \
    --model deepseek-ai/DeepSeek-R1 \
    --tokenizer /model \
    --dataset-name random-ids \
    --random-input-len 8192 \
    --random-output-len 1024 \
    --random-range-ratio 0.8 \
    --num-prompts 2048 \
    --max-concurrency 1024 \
    --request-rate 250 \
    --seed 0 \
    --disable-tqdm \
    --output-file /dev/null
  bench::run concurrency_1024 "${RUN_DIR}/results/sa-bench_isl_8192_osl_1024/results_concurrency_1024_gpus_24_ctx_8_gen_16.json" sglang \
    python3 -m sglang.bench_serving \
    --backend sglang-oai \
    --base-url "http://${IP[1]}:8000" \
    --model deepseek-ai/DeepSeek-R1 \
    --tokenizer /model \
    --dataset-name random-ids \
    --random-input-len 8192 \
    --random-output-len 1024 \
    --random-range-ratio 0.8 \
    --num-prompts 10240 \
    --max-concurrency 1024 \
    --request-rate inf \
    --seed 0 \
    --disable-tqdm \
    --output-file "${RUN_DIR}/results/sa-bench_isl_8192_osl_1024/results_concurrency_1024_gpus_24_ctx_8_gen_16.json"
}

step::main
