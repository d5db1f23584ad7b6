"""Errors and warnings about benchmarks are reported before submission, at their field."""

from __future__ import annotations

import pytest
from bench_lab import LADDER, Lab

ROWS = "type: sa-bench, dataset_name: custom, dataset_path: /d.jsonl, concurrencies: [1]"
TRACE = "type: trace-replay, trace_file: /t.jsonl, concurrencies: [2]"


@pytest.mark.parametrize(
    ("benchmark", "rule", "part"),
    [
        ("type: sa-bench, osl: 1, concurrencies: [1]", "SP701", "'isl'"),
        ("type: sa-bench, isl: 1, osl: 1", "SP701", "'concurrencies'"),
        ("type: sa-bench, dataset_name: custom, concurrencies: [1]", "SP701", "'dataset_path'"),
        ("type: sglang-bench, isl: 1, osl: 1", "SP701", "'concurrencies'"),
        ("type: trace-replay, concurrencies: [1]", "SP701", "'trace_file'"),
        ("type: custom", "SP701", "'command'"),
        ("type: sa-bench, isl: 0, osl: 1, concurrencies: [1]", "SP702", "isl must be at least 1"),
        ("type: sa-bench, isl: 1, osl: 1, concurrencies: 4x0", "SP702", "positive integers"),
        ("type: sa-bench, isl: 1, osl: 1, concurrencies: []", "SP702", "positive integers"),
        (LADDER + ", req_rate: fast", "SP702", "req_rate"),
        (LADDER + ", req_rate: -1", "SP702", "req_rate"),
        (LADDER + ", random_range_ratio: 1.5", "SP702", "random_range_ratio"),
        (LADDER + ", retries: -1", "SP702", "retries"),
        (LADDER + ", max_failed_share: 5", "SP702", "share"),
        ("type: gsm8k, num_examples: 0", "SP702", "num_examples"),
        ("type: gsm8k, dataset_path: here.jsonl", "SP702", "absolute"),
        ("type: gsm8k, client: lm-eval, dataset_path: /d.jsonl", "SP702", "lm-eval"),
        ("type: gpqa, repeat: 0", "SP702", "repeat"),
        ("type: longbenchv2, categories: ['a,b']", "SP702", "a comma"),
        ("type: lm-eval, tasks: ' , '", "SP702", "at least one task"),
        ("type: lm-eval, temperature: -1", "SP702", "temperature must be at least 0"),
        ("type: lm-eval, model_args: {model: other}", "SP502", "'model' is set by"),
        ("type: lm-eval, model_args: {base_url: 'http://x'}", "SP502", "'base_url' is set by"),
        ("type: lm-eval, model_args: {num_concurrent: '9'}", "SP502", "'num_concurrent' is set by"),
        ("type: lm-eval, model_args: {header: 'a,base_url=http://x'}", "SP702", "splits its arguments"),
        ("type: lm-eval, model_args: {'a,model': x}", "SP702", "splits its arguments"),
        ("type: lm-eval, model_args: {'model=x': y}", "SP702", "splits its arguments"),
        ("type: router, prefix_ratios: [0.1, 1]", "SP702", "prefix_ratios"),
        ("type: router, prefix_ratios: often", "SP702", "prefix_ratios"),
        ("type: mooncake-router, ttft_threshold_ms: 0", "SP702", "ttft_threshold_ms"),
        ("type: mooncake-router, trace_sha256: 12", "SP112", "a string"),
        ("type: mooncake-router, trace_sha256: 'zz'", "SP702", "hexadecimal"),
        ("type: mooncake-router, mooncake_workload: chat", "SP113", "conversation"),
        ("type: custom, command: x, result: ../r.json", "SP702", "inside the results"),
        *(
            (f"type: custom, command: x, result: '{path}'", "SP702", "inside the results")
            for path in (".", "a/", "a/.", "./", "//", ".//summary.json", ".runs/custom.json", "/r.json")
        ),
        ("type: custom, command: x, result_format: vllm", "SP702", "requires 'result'"),
        (LADDER + ", slow_down_sleep_time: 1", "SP702", "requires 'slow_down_wait_time'"),
        (LADDER + ", slow_down_sleep_time: 0, slow_down_wait_time: 9", "SP702", "greater than 0"),
        (LADDER + ", slow_down_sleep_time: 1, slow_down_wait_time: 9", "SP708", "slowed down"),
        (TRACE + ", aiperf_args: {url: 'http://x'}", "SP502", "set by srtplan"),
        ("type: sa-bench, isl: 1, osl: 1, concurrencies: '²'", "SP702", "positive integers"),
        ("type: sa-bench, isl: 1, osl: 1, concurrencies: 4x9999999999", "SP702", "up to 1000000000"),
        ("type: sa-bench, isl: 1, osl: 1, concurrencies: [9000000000000000000]", "SP702", "up to 1000000000"),
        ("type: sa-bench, isl: 9000000000, osl: 1, concurrencies: [1]", "SP702", "isl must be at most"),
        ("type: sa-bench, isl: 1, osl: 9000000000, concurrencies: [1]", "SP702", "osl must be at most"),
        ("type: router, concurrency: 9000000000000000000", "SP702", "concurrency must be at most"),
        ("type: router, prefix_ratios: [0.1, 0.10000001]", "SP702", "distinct"),
        (TRACE + ", aiperf_args: {--url: 'http://x'}", "SP502", "'--url' is set by"),
        (TRACE + ", aiperf_args: {----url: 'http://x'}", "SP502", "'----url' is set by"),
        (TRACE + ", aiperf_args: {concurrency: 9}", "SP502", "set by srtplan"),
        (TRACE + ", aiperf_args: {concurrency_max: 9}", "SP502", "set by srtplan"),
        (TRACE + ", aiperf_args: {model: m}", "SP502", "set by srtplan"),
        (TRACE + ", aiperf_args: {profile-export-prefix: p}", "SP502", "set by srtplan"),
        (TRACE + ", aiperf_args: {config: /x.yaml}", "SP502", "set by srtplan"),
        ("type: router, aiperf_args: {num_requests: 7}", "SP502", "set by srtplan"),
        ("type: router, aiperf_args: {concurrency: 7}", "SP502", "set by srtplan"),
        ("type: router, aiperf_args: {synthetic-input-tokens-mean: 7}", "SP502", "set by srtplan"),
        ("type: router, aiperf_args: {osl: 7}", "SP502", "set by srtplan"),
        ("type: router, aiperf_args: {seq-dist: '7,8:100'}", "SP502", "set by srtplan"),
        ("type: router, aiperf_args: {prompt-prefix-length: 7}", "SP502", "set by srtplan"),
        ("type: mooncake-router, aiperf_args: {goodput: 'request_latency:9'}", "SP502", "set by srtplan"),
        (TRACE + ", aiperf_args: {request-count: 7, num-requests: 8}", "SP501", "the same flag"),
        (TRACE + ", aiperf_package: aiperf-0.13.0.whl", "SP702", "absolute path"),
        ("type: lm-eval, lm_eval_package: wheels/x.whl", "SP702", "absolute path"),
        ("type: lm-eval, hf_home: here", "SP702", "absolute"),
        ("type: gpqa, dataset_path: q.csv", "SP702", "absolute"),
        (ROWS + ", osl: 3", "SP702", "at least 4"),
        (LADDER + ", client: vllm", "SP705", "vllm bench serve is not in the image of sglang"),
        (LADDER + ", client: trtllm", "SP705", "benchmark_serving is not in the image of sglang"),
    ],
)
def test_an_invalid_benchmark_is_rejected(lab: Lab, benchmark: str, rule: str, part: str) -> None:
    """The error has the expected rule, and its message names the field."""
    found = lab.refused(benchmark)
    assert [r for r, m in found if r == rule and part in m], found


@pytest.mark.parametrize(
    "name",
    [
        "gpqa",
        "mmlu",
        "longbenchv2",
        "gsm8k, client: sglang",
        "sglang-bench, isl: 1, osl: 1, concurrencies: [1]",
        "sa-bench, isl: 1, osl: 1, concurrencies: [1], client: sglang",
    ],
)
def test_a_program_missing_from_the_image_is_rejected(lab: Lab, name: str) -> None:
    """SGLang's programs are not in vLLM's image, unless the benchmark sets its own image."""
    assert ("SP705",) in {(rule,) for rule, _ in lab.refused(f"type: {name}", engine="vllm")}
    assert lab.plan(f"type: {name}, container_image: /sglang.sqsh", engine="vllm")


@pytest.mark.parametrize(
    ("benchmark", "rule"),
    [
        ("type: gpqa", "SP704"),
        ("type: gsm8k", "SP704"),
        ("type: lm-eval", "SP704"),
        ("type: longbenchv2", "SP704"),
        ("type: mooncake-router", "SP704"),
        (TRACE + ", aiperf_package: aiperf", "SP706"),
        (TRACE + ", aiperf_package: 'git+https://host/aiperf'", "SP706"),
        (TRACE + ", aiperf_package: 'git+https://host/aiperf@main'", "SP706"),
        (TRACE + ", aiperf_package: 'aiperf==0.*'", "SP706"),
        (LADDER + ", client: aiperf, aiperf_package: aiperf", "SP706"),
        ("type: lm-eval, lm_eval_package: lm-eval", "SP706"),
        ("type: gsm8k, client: lm-eval, lm_eval_package: 'lm-eval>=0.4'", "SP706"),
        (LADDER + ", aiperf_package: aiperf==0.13.0", "SP709"),
        ("type: gsm8k, lm_eval_package: lm-eval==0.4.13", "SP709"),
        ("type: gsm8k, hf_home: /hf", "SP709"),
        ("type: gsm8k, hf_home: /hf", "SP704"),
        (LADDER + ", reuse_http_connections: true", "SP709"),
        (LADDER + ", client: trtllm, container_image: /o.sqsh, reuse_http_connections: true", "SP709"),
        (LADDER + ", client: vllm, container_image: /o.sqsh, reuse_http_connections: false", "SP709"),
        (LADDER + ", dataset_path: /d.jsonl", "SP709"),
        (ROWS + ", isl: 5", "SP709"),
        (ROWS + ", client: trtllm, container_image: /o.sqsh, osl: 5", "SP709"),
        (ROWS + ", client: trtllm, container_image: /o.sqsh, use_chat_template: true", "SP709"),
        (ROWS + ", random_range_ratio: 0.5", "SP709"),
        ("type: mooncake-router, trace_file: /t.jsonl, mooncake_workload: synthetic", "SP709"),
        *(
            (f"type: {kind}, max_failed_share: 0.5", "SP709")
            for kind in ("gsm8k", "mmlu", "longbenchv2", "lm-eval", "custom, command: x")
        ),
        ("type: sa-bench, isl: 1, osl: 1, concurrencies: 2x2", "SP707"),
        (LADDER + ", custom_tokenizer: SomeTokenizer", "SP703"),
    ],
)
def test_a_questionable_benchmark_causes_a_warning(lab: Lab, benchmark: str, rule: str) -> None:
    """Downloads, unpinned packages, duplicate concurrencies, and options without effect cause a warning."""
    assert rule in lab.warned(benchmark)


@pytest.mark.parametrize(
    "benchmark",
    [
        "type: gsm8k, dataset_path: /d.jsonl",
        "type: mooncake-router, trace_file: /t.jsonl",
        "type: longbenchv2, dataset_path: /d.json",
        TRACE + ", aiperf_package: aiperf==0.13.0",
        TRACE + ", aiperf_package: /wheels/aiperf-0.13.0-py3-none-any.whl",
        TRACE + ", aiperf_package: 'git+https://host/aiperf@0123456'",
        TRACE + ", aiperf_package: 'aiperf @ git+https://host/aiperf@v0.13.0'",
        LADDER + ", client: aiperf, aiperf_package: /wheels/aiperf.whl, reuse_http_connections: true",
        LADDER + ", client: vllm, container_image: /o.sqsh, reuse_http_connections: true",
        LADDER + ", use_chat_template: true, max_failed_share: 0.5, random_range_ratio: 0.5",
        "type: custom, command: x, result: r, result_format: vllm, max_failed_share: 0.5",
        ROWS + ", osl: 4, use_chat_template: false",
        "type: lm-eval, hf_home: /hf, lm_eval_package: '/wheels/lm.whl[api]'",
        "type: gsm8k, client: lm-eval, hf_home: /hf",
        "type: longbenchv2, hf_home: /hf",
        "type: gpqa, dataset_path: /q.csv",
    ],
)
def test_local_copies_and_pinned_packages_cause_no_warning(lab: Lab, benchmark: str) -> None:
    """A benchmark that downloads nothing unpinned has no warnings."""
    assert lab.warned(benchmark) == []


@pytest.mark.parametrize(
    ("benchmark", "engine", "what"),
    [
        ("type: gpqa", "sglang", "https://openaipublic.blob.core.windows.net/simple-evals/gpqa_diamond.csv"),
        ("type: mmlu", "sglang", "https://openaipublic.blob.core.windows.net/simple-evals/mmlu.csv"),
        ("type: gsm8k", "sglang", "grade_school_math/data/test.jsonl"),
        ("type: gsm8k", "vllm", "gsm8k from the Hugging Face hub"),
        ("type: longbenchv2", "sglang", "THUDM/LongBench-v2"),
        ("type: lm-eval, tasks: [gsm8k, ifeval]", "sglang", "gsm8k, ifeval"),
    ],
)
def test_the_download_warning_names_the_file(lab: Lab, benchmark: str, engine: str, what: str) -> None:
    """The message names the download, and the help names the field for a local copy."""
    planned = lab.planned(benchmark, engine=engine)
    (problem,) = [p for p in planned.report.problems if p.rule == "SP704"]
    assert what in problem.message
    assert "dataset_path" in problem.help or "hf_home" in problem.help


def test_a_duplicate_concurrency_runs_once(lab: Lab) -> None:
    """A second result would overwrite the first."""
    plan = lab.plan("type: sa-bench, isl: 1, osl: 1, concurrencies: 2x4x2")
    assert [r.name for s in plan.steps if s.terminal for r in s.runs if r.result] == [
        "concurrency_2",
        "concurrency_4",
    ]
