"""Commands of each benchmark: the plan's URL, model and tokenizer, and results in the run directory."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator

import pytest
from attrs import fields
from bench_lab import LADDER, Lab, argv, bench, env, value
from effort import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from srtplan import plugin
from srtplan.benchmarks.clients.serving import Load, vllm
from srtplan.ir.shell import notation, word

URL = "http://${IP[0]}:8000"
EVERY = {
    "sa-bench": LADDER,
    "sglang-bench": "type: sglang-bench, isl: 128, osl: 32, concurrencies: 2x4",
    "gsm8k": "type: gsm8k",
    "gpqa": "type: gpqa",
    "mmlu": "type: mmlu",
    "longbenchv2": "type: longbenchv2",
    "lm-eval": "type: lm-eval",
    "router": "type: router",
    "mooncake-router": "type: mooncake-router",
    "trace-replay": "type: trace-replay, trace_file: /data/t.jsonl, concurrencies: [2]",
    "custom": "type: custom, command: 'echo $HOME'",
}
CLIENTS = ("sglang", "vllm", "trtllm", "aiperf")


def commands(lab: Lab, benchmark: str, **kwargs: object) -> Iterator[list[str]]:
    """Return the words of every run."""
    return (argv(r) for r in bench(lab.plan(benchmark, **kwargs)).runs)


def test_every_benchmark_is_tested_here() -> None:
    """Every benchmark plugin has a case in ``EVERY``."""
    assert set(EVERY) | {"manual"} == set(plugin.names("benchmark"))


@pytest.mark.parametrize("name", EVERY)
def test_no_benchmark_connects_to_localhost(lab: Lab, name: str) -> None:
    """The client may run on any node, so it gets the address of the frontend's node (W126, W124)."""
    for words in commands(lab, EVERY[name]):
        text = " ".join(words)
        assert "localhost" not in text
        assert "127.0.0.1" not in text
        assert URL in text or name == "custom"


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"custom"}))
def test_the_model_name_is_the_served_one(lab: Lab, name: str) -> None:
    """No benchmark hard-codes a model name (W120)."""
    backend = (
        ", sglang_config: {prefill: {served-model-name: org/name}, decode: {served-model-name: org/name}}"
    )
    for words in commands(lab, EVERY[name], backend=backend):
        text = " ".join(words)
        assert "org/name" in text
        assert "DeepSeek" not in text


RENAMED = {"req_rate": "request_rate"}
NOT_WORKLOAD = re.compile(r"container_image|\w+_package|hf_home|trace_sha256")
"""Options that locate a client and its data, but do not change the workload."""


@pytest.mark.parametrize("name", EVERY)
def test_parameters_contain_every_option_of_the_workload(lab: Lab, name: str) -> None:
    """Parameters distinguish jobs with different loads, so a missing option would make unequal jobs comparable."""
    options = [f.name for f in fields(plugin.benchmark(name).options) if not NOT_WORKLOAD.fullmatch(f.name)]
    parameters = dict(lab.plan(EVERY[name]).benchmark.parameters)
    assert [o for o in options if RENAMED.get(o, o) not in parameters] == []


@pytest.mark.parametrize("name", EVERY)
def test_results_are_below_the_run_directory(lab: Lab, name: str) -> None:
    """Every measured run writes its report below RUN_DIR/results, under a unique name."""
    step = bench(lab.plan(EVERY[name] + (", result: r.json" if name == "custom" else "")))
    results = [notation(r.result) for r in step.runs if r.result]
    assert results
    assert all(r.startswith("${RUN_DIR}/results/") for r in results)
    assert len(set(results)) == len(results)


@pytest.mark.parametrize("client", CLIENTS)
def test_each_concurrency_has_a_warm_up_and_a_measured_run(lab: Lab, client: str) -> None:
    """2 x C prompts at 250 per second without a result, then 10 x C at the requested rate with one."""
    step = bench(lab.plan(f"{LADDER}, client: {client}, req_rate: 3, container_image: /other.sqsh"))
    assert [r.name for r in step.runs] == ["warmup_2", "concurrency_2", "warmup_4", "concurrency_4"]
    count = "--request-count" if client == "aiperf" else "--num-prompts"
    warm, measured = argv(step.runs[2]), argv(step.runs[3])
    assert (value(warm, count), value(measured, count)) == ("8", "40")
    assert (value(warm, "--request-rate"), value(measured, "--request-rate")) == ("250", "3")
    assert (step.runs[2].result, step.runs[3].client) == (None, client)


@pytest.mark.parametrize("client", ["vllm", "trtllm"])
def test_lengths_are_the_same_for_clients_that_draw_around_a_mean(lab: Lab, client: str) -> None:
    """Lengths from ``0.8 * isl`` to ``isl`` have a mean of 0.9 and a half-width of one ninth of it."""
    benchmark = f"type: sa-bench, isl: 1000, osl: 500, concurrencies: [1], client: {client}"
    words = next(commands(lab, benchmark, engine=client))
    mean, half = int(value(words, "--random-input-len")), float(value(words, "--random-range-ratio"))
    assert (round(mean * (1 - half)), round(mean * (1 + half))) == (800, 1000)
    assert value(words, "--random-output-len") == "450"


@settings(max_examples=examples(50), deadline=None)
@given(isl=st.integers(2, 10**6), ratio=st.floats(1e-9, 1))
@example(isl=1024, ratio=0.8)
@example(isl=128, ratio=0.00001)
@example(isl=1000, ratio=0.6)
@example(isl=77, ratio=1.0)
def test_no_prompt_is_longer_than_requested(isl: int, ratio: float) -> None:
    """vLLM rounds its longest length up, and rejects a half-width of 1."""
    load = Load(
        url=word("http://h"), model="m", tokenizer="/m", concurrency=1, prompts=1, isl=isl, osl=isl, ratio=ratio,
        rate="inf", chat_template=False, reuse_connections=False, dataset_path=None, result=None, artifacts=word("/a"),
    )  # fmt: skip
    words = [notation(w) for w in vllm(load)]
    for flag in ("--random-input-len", "--random-output-len"):
        mean, half = int(value(words, flag)), float(value(words, "--random-range-ratio"))
        assert 0 <= half < 1
        assert 1 <= math.ceil(mean * (1 + half)) <= max(1, isl)
        assert math.ceil(mean * (1 + half)) >= isl * 0.98 - 2


def test_a_rate_keeps_its_digits(lab: Lab) -> None:
    """A rate with eight digits is not rounded."""
    (run,) = [
        r for r in bench(lab.plan(LADDER.replace("2, 4", "2") + ", req_rate: 1234.5678")).runs if r.result
    ]
    assert value(argv(run), "--request-rate") == "1234.5678"


def test_decode_is_slowed_down_for_measured_runs(lab: Lab) -> None:
    """Every decode worker is addressed at its own port; the warm-up is not slowed down."""
    step = bench(lab.plan(LADDER + ", slow_down_sleep_time: 0.5, slow_down_wait_time: 90", frontend="sglang"))
    warm, measured = argv(step.runs[0]), argv(step.runs[1])
    urls = ["http://${IP[1]}:30000", "http://${IP[1]}:30001"]
    assert measured[:6] == ["bench::slowed", "0.5", "90", *urls, "--"]
    assert measured[6] == warm[0] == "python3"


def test_file_names_count_the_gpus_of_the_workers(lab: Lab) -> None:
    """If aggregated workers do not fill their node, their GPUs are counted, not the node's (W123)."""
    step = bench(lab.plan(LADDER, split=False))
    assert notation(step.runs[1].result or step.runs[0].argv[0]).endswith("results_concurrency_2_gpus_4.json")
    step = bench(lab.plan(LADDER))
    assert notation(step.runs[1].result or step.runs[0].argv[0]).endswith("_2_gpus_16_ctx_8_gen_8.json")


@pytest.mark.parametrize(("engine", "split", "client"), [("sglang", True, "sglang"), ("vllm", True, "vllm"),
                                                          ("trtllm", True, "trtllm"), ("mocker", False, "aiperf")])  # fmt: skip
def test_the_client_is_the_engines_own(lab: Lab, engine: str, split: bool, client: str) -> None:  # noqa: FBT001
    """The engine's image contains its load generator."""
    step = bench(
        lab.plan(LADDER, engine=engine, split=split, model="hf:org/m" if engine == "mocker" else "/models/m")
    )
    assert {r.client for r in step.runs if r.result} == {client}


def test_gsm8k_without_sglang_uses_lm_eval(lab: Lab) -> None:
    """Only SGLang's images contain SGLang's evaluator."""
    (words,) = commands(lab, "type: gsm8k, num_examples: 40, num_shots: 8", engine="vllm")
    assert words[0] == "bench::lm_eval"
    assert (value(words, "--tasks"), value(words, "--num_fewshot"), value(words, "--limit")) == (
        "gsm8k",
        "8",
        "40",
    )
    assert value(words, "--model_args").startswith(
        f"model=m,base_url={URL}/v1/chat/completions,num_concurrent=512"
    )


def test_evaluations_have_srtctls_defaults(lab: Lab) -> None:
    """Examples, tokens, rounds and threads match srtctl's reference."""
    defaults = {"mmlu": ("200", "2048", "8", "512"), "gpqa": ("198", "32768", "8", "128")}
    for name, expected in defaults.items():
        (words,) = commands(lab, f"type: {name}")
        flags = ("--num-examples", "--max-tokens", "--repeat", "--num-threads")
        assert tuple(value(words, f) for f in flags) == expected
        assert words[2].endswith(f"/{name}_m")
    (words,) = commands(lab, "type: longbenchv2, categories: [Code, Dialogue]")
    assert (value(words, "--max-context-length"), value(words, "--categories")) == ("128000", "Code,Dialogue")
    assert "--num-examples" not in words


def test_prefix_ratios_divide_the_prompt(lab: Lab) -> None:
    """A ratio of 0.25 of 400 tokens is a shared prefix of 100 tokens and 300 other tokens; a ratio of 0 adds no flag."""
    none, quarter = commands(lab, "type: router, isl: 400, prefix_ratios: '0 0.25'")
    assert "--prefix-prompt-length" not in none
    assert (value(quarter, "--isl"), value(quarter, "--prefix-prompt-length")) == ("300", "100")


def test_no_prefix_ratio_warms_the_cache_for_the_next(lab: Lab) -> None:
    """Prompts depend on the seed: every run has its own, unless the recipe sets one for all."""
    runs = commands(lab, "type: router, isl: 400, prefix_ratios: [0.1, 0.5, 0.9]")
    assert [value(words, "--random-seed") for words in runs] == ["42", "43", "44"]
    runs = commands(lab, "type: router, isl: 400, prefix_ratios: [0.1, 0.5], aiperf_args: {random-seed: 7}")
    assert [value(words, "--random-seed") for words in runs] == ["7", "7"]


def test_mooncake_passes_both_thresholds(lab: Lab) -> None:
    """A request is good if it meets both latency targets."""
    step = bench(lab.plan("type: mooncake-router, ttft_threshold_ms: 900, trace_file: /data/t.jsonl"))
    words = argv(step.runs[1])
    assert value(words, "--goodput") == "time_to_first_token:900 inter_token_latency:25"
    assert (value(words, "--input-file"), "--fixed-schedule" in words) == ("/data/t.jsonl", True)


def test_a_trace_without_a_file_is_downloaded_into_the_run(lab: Lab) -> None:
    """The download is checked against the checksum if one is set, and causes a warning."""
    sha = "ab" * 32
    planned = lab.planned(f"type: mooncake-router, mooncake_workload: toolagent, trace_sha256: {sha}")
    calls = [[notation(w) for w in c] for c in bench(planned.plan).preamble]
    (fetch,) = [c for c in calls if c[0] == "bench::fetch"]
    assert fetch[1].endswith("/toolagent_trace.jsonl")
    assert fetch[2:] == ["${RUN_DIR}/results/traces/toolagent_trace.jsonl", sha]
    assert "SP704" in [p.rule for p in planned.report.problems]
    assert [("url", fetch[1])] == [(c.kind, c.subject) for c in planned.plan.preflight if c.kind == "url"]


def test_aiperf_arguments_of_the_recipe_replace_ours(lab: Lab) -> None:
    """A flag of ``aiperf_args`` appears once, with the recipe's value."""
    (words,) = commands(
        lab,
        EVERY["trace-replay"]
        + ", aiperf_args: {random-seed: 7, extra-inputs: 'temperature:0', slice_duration: 2}",
    )
    assert (words.count("--random-seed"), value(words, "--random-seed")) == (1, "7")
    assert (words.count("--extra-inputs"), value(words, "--extra-inputs")) == (1, "temperature:0")
    assert value(words, "--slice-duration") == "2"


def test_aiperf_gets_no_flag_under_two_names(lab: Lab) -> None:
    """``ui-type`` is ``ui``: aiperf rejects a command with two spellings of a flag."""
    (words,) = commands(lab, "type: router, prefix_ratios: [0.5], aiperf_args: {ui_type: none}")
    assert ("--ui" in words, value(words, "--ui-type")) == (False, "none")


@pytest.mark.parametrize("name", ["request-count", "request_count", "num-requests"])
def test_a_recipe_can_limit_the_requests_of_a_trace(lab: Lab, name: str) -> None:
    """The library, which otherwise counts the trace's lines, then adds no second flag."""
    (words,) = commands(lab, EVERY["trace-replay"] + f", aiperf_args: {{{name}: 7}}")
    assert words[0] == "bench::aiperf"
    assert value(words, f"--{name.replace('_', '-')}") == "7"
    (words,) = commands(lab, EVERY["trace-replay"])
    assert words[:2] == ["bench::aiperf_trace", "/data/t.jsonl"]


@pytest.mark.parametrize(
    ("benchmark", "workload"),
    [
        ("type: mooncake-router", "conversation"),
        ("type: mooncake-router, mooncake_workload: toolagent", "toolagent"),
        ("type: mooncake-router, trace_file: /data/our own.v2.jsonl", "our_own"),
        ("type: mooncake-router, trace_file: /data/toolagent_trace.jsonl", "toolagent"),
        ("type: trace-replay, trace_file: /data/mine.jsonl, concurrencies: [2]", "mine"),
    ],
)
def test_a_run_is_named_after_its_trace(lab: Lab, benchmark: str, workload: str) -> None:
    """A user's own trace is not labelled as one of the public workloads."""
    plan = lab.plan(benchmark)
    (run,) = [r for r in bench(plan).runs if r.result]
    assert dict(run.facts)["workload"] == workload
    if "mooncake" in benchmark:
        assert (run.name, dict(plan.benchmark.parameters)["mooncake_workload"]) == (workload, workload)


TEMPLATED = {"sglang": "sglang-oai-chat", "vllm": "openai-chat", "trtllm": "openai-chat", "aiperf": "chat"}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("asked", [None, True, False])
def test_random_prompts_are_templated_by_the_server(lab: Lab, client: str, *, asked: bool | None) -> None:
    """The chat API is used if requested, and by default only with aiperf; the parameters record it."""
    field = "" if asked is None else f", use_chat_template: {str(asked).lower()}"
    plan = lab.plan(f"{LADDER}, client: {client}, container_image: /other.sqsh{field}")
    words = argv(bench(plan).runs[1])
    chat = client == "aiperf" if asked is None else asked
    kind = value(words, "--endpoint-type" if client == "aiperf" else "--backend")
    assert (kind == TEMPLATED[client]) == chat
    if client in ("vllm", "trtllm"):
        assert value(words, "--endpoint") == ("/v1/chat/completions" if chat else "/v1/completions")
    assert "--apply-chat-template" not in words
    assert dict(plan.benchmark.parameters)["use_chat_template"] == str(chat).lower()


ROWS = "type: sa-bench, dataset_name: custom, dataset_path: /d.jsonl, concurrencies: [2], container_image: /o.sqsh"


@pytest.mark.parametrize(
    ("client", "flag"),
    [("sglang", "--sharegpt-output-len"), ("vllm", "--custom-output-len"), ("aiperf", "--osl")],
)
def test_the_length_of_outputs_to_a_data_set_reaches_the_client(lab: Lab, client: str, flag: str) -> None:
    """``osl`` becomes the client's own flag; without it there is no length flag at all."""
    words = argv(bench(lab.plan(f"{ROWS}, client: {client}, osl: 77")).runs[1])
    assert value(words, flag) == "77"
    words = argv(bench(lab.plan(f"{ROWS}, client: {client}")).runs[1])
    assert {flag, "--isl", "--random-input-len", "--random-output-len", "--random-range-ratio"} & set(
        words
    ) == set()


@pytest.mark.parametrize(
    ("client", "name"), [("sglang", "custom"), ("vllm", "custom"), ("trtllm", "trtllm_custom")]
)
def test_a_data_set_has_the_type_that_the_client_expects(lab: Lab, client: str, name: str) -> None:
    """TensorRT-LLM's client has its own name for custom data sets."""
    plan = lab.plan(f"{ROWS}, client: {client}")
    words = argv(bench(plan).runs[1])
    assert (value(words, "--dataset-name"), value(words, "--dataset-path")) == (name, "/d.jsonl")
    assert dict(plan.benchmark.parameters)["use_chat_template"] == str(client != "trtllm").lower()


@pytest.mark.parametrize(
    ("client", "field", "flag", "there"),
    [
        ("sglang", "", "--apply-chat-template", True),
        ("sglang", ", use_chat_template: false", "--apply-chat-template", False),
        ("vllm", "", "--skip-chat-template", False),
        ("vllm", ", use_chat_template: false", "--skip-chat-template", True),
    ],
)
def test_rows_of_a_data_set_are_templated_by_the_client(
    lab: Lab, client: str, field: str, flag: str, *, there: bool
) -> None:
    """SGLang's client has a flag that enables the template, vLLM's has one that disables it."""
    for run in bench(lab.plan(f"{ROWS}, client: {client}{field}")).runs:
        assert (flag in argv(run)) == there
        assert value(argv(run), "--backend") in ("sglang-oai", "openai")


def test_sglangs_client_reports_details_for_a_data_set(lab: Lab) -> None:
    """It sends at most one prompt per row, and only its details contain the count; the run names its data set."""
    warm, measured = bench(lab.plan(f"{ROWS}, client: sglang")).runs
    assert ("--output-details" in argv(warm), "--output-details" in argv(measured)) == (False, True)
    assert dict(measured.facts)["dataset"] == "/d.jsonl"
    assert "--output-details" not in argv(bench(lab.plan(LADDER)).runs[1])


def test_a_custom_command_is_verbatim(lab: Lab) -> None:
    """``bash -lc`` gets the text unchanged; variables locate the service, the workers and the results directory."""
    plan = lab.plan("type: custom, command: 'echo \"$X\" ${Y}', env: {X: a b}, container_image: /other.sqsh")
    step = bench(plan)
    assert argv(step.runs[0]) == ["bash", "-lc", 'echo "$X" $${Y}']
    found = env(step)
    assert (found["X"], found["SRT_FRONTEND_URL"], found["SRT_RESULTS_DIR"]) == (
        "a b",
        URL,
        "${RUN_DIR}/results/",
    )
    assert found["SRT_DECODE_IPS"] == "${IP[1]},${IP[1]}"
    assert plan.benchmark is not None
    assert dict(plan.benchmark.parameters)["env"] == '{"X": "c8687a08aa5d"}'  # a digest, not the value
    assert step.container
    assert step.container.image == "/other.sqsh"


@pytest.mark.parametrize(("frontend", "kind"), [("dynamo", "system"), ("sglang", "http")])
def test_endpoints_are_where_workers_answer(lab: Lab, frontend: str, kind: str) -> None:
    """With Dynamo, that is the system port, the only one that is open; otherwise it is the worker's own server."""
    plan = lab.plan("type: custom, command: x", frontend=frontend)
    ports = [p.port(kind) for p in plan.processes if p.mode == "decode"]
    found = env(bench(plan))
    assert found["SRT_DECODE_ENDPOINTS"] == ",".join(f"http://${{IP[1]}}:{port}" for port in ports)
    assert found["AIPERF_SERVER_METRICS_URLS"].endswith(f"http://${{IP[1]}}:{ports[-1]}/metrics")


@pytest.mark.parametrize("name", EVERY)
def test_the_benchmark_step_uses_the_image_of_the_benchmark(lab: Lab, name: str) -> None:
    """Every benchmark supports ``container_image``."""
    container = bench(lab.plan(f"{EVERY[name]}, container_image: /own.sqsh")).container
    assert container
    assert container.image == "/own.sqsh"


def test_a_file_that_a_client_reads_is_mounted_and_checked(lab: Lab) -> None:
    """A trace outside all mounts is mounted read-only; the preflight checks it on the client's node."""
    plan = lab.plan(EVERY["trace-replay"])
    mounts = [(notation(m.source), m.flags) for m in bench(plan).mounts if m.origin == "benchmark.trace_file"]
    assert mounts == [("/data/t.jsonl", "ro")]
    assert ("path", "/data/t.jsonl", (0,)) in [(c.kind, c.subject, c.nodes) for c in plan.preflight]


@pytest.mark.parametrize(
    ("benchmark", "engine", "field"),
    [
        ("type: gsm8k", "vllm", "lm_eval_package"),
        ("type: lm-eval", "vllm", "lm_eval_package"),
        (LADDER + ", client: aiperf", "sglang", "aiperf_package"),
        (EVERY["trace-replay"], "sglang", "aiperf_package"),
        (EVERY["router"], "sglang", "aiperf_package"),
        (EVERY["mooncake-router"], "sglang", "aiperf_package"),
    ],
)
def test_a_wheel_is_mounted_checked_and_installed(lab: Lab, benchmark: str, engine: str, field: str) -> None:
    """Every benchmark that installs a package does so; extras are not part of the file name."""
    plan = lab.plan(f"{benchmark}, {field}: '/wheels/x.whl[api]'", engine=engine)
    step = bench(plan)
    (need,) = [c for c in ([notation(w) for w in p] for p in step.preamble) if c[0] == "bench::need"]
    assert need[2] == "/wheels/x.whl[api]"
    assert ("/wheels/x.whl", "ro") in [(notation(m.source), m.flags) for m in step.mounts]
    assert ("path", "/wheels/x.whl", f"benchmark.{field}") in [
        (c.kind, c.subject, c.why) for c in plan.preflight
    ]


def test_a_package_url_is_checked(lab: Lab) -> None:
    """The preflight checks the URL on the client's node."""
    plan = lab.plan("type: lm-eval, lm_eval_package: 'lm-eval[api] @ https://host/lm.whl'")
    assert ("url", "https://host/lm.whl") in [(c.kind, c.subject) for c in plan.preflight]


@pytest.mark.parametrize(
    ("benchmark", "engine"),
    [("type: lm-eval", "sglang"), ("type: gsm8k", "vllm"), ("type: longbenchv2", "sglang")],
)
def test_a_cache_of_the_hub_is_used_offline(lab: Lab, benchmark: str, engine: str) -> None:
    """It is mounted writable, because its libraries lock it, and is checked; nothing is downloaded."""
    plan = lab.plan(f"{benchmark}, hf_home: /lustre/hf", engine=engine)
    step = bench(plan)
    assert ("/lustre/hf", "") in [(notation(m.source), m.flags) for m in step.mounts]
    assert ("path", "/lustre/hf", "benchmark.hf_home") in [(c.kind, c.subject, c.why) for c in plan.preflight]
    found = env(step)
    assert [found[n] for n in ("HF_HOME", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")] == [
        "/lustre/hf",
        "1",
        "1",
    ]
    assert "HF_HOME" not in env(bench(lab.plan(benchmark, engine=engine)))


@pytest.mark.parametrize("name", ["gpqa", "mmlu"])
def test_a_local_question_file_replaces_the_download(lab: Lab, name: str) -> None:
    """SGLang's evaluator has no option for it: the library replaces the address in the evaluator's program."""
    plan = lab.plan(f"type: {name}, dataset_path: /data/q.csv")
    words = argv(bench(plan).runs[0])
    assert (words[0], words[2], words[5:8]) == (
        "bench::evaluate_copy",
        "/data/q.csv",
        ["--", "python3", "-m"],
    )
    assert words[1].startswith("https://")
    assert words[1].endswith(".csv")
    assert "/data/q.csv" in [c.subject for c in plan.preflight]
    assert argv(bench(lab.plan(f"type: {name}")).runs[0])[0] == "bench::evaluate"


def test_a_path_below_a_mount_is_checked_on_the_host(lab: Lab) -> None:
    """A container path is translated to the host path of its mount."""
    plan = lab.plan(
        "type: trace-replay, trace_file: /traces/t.jsonl, concurrencies: [1]",
        more="extra_mount: ['/lustre/x:/traces']",
    )
    assert not [m for m in bench(plan).mounts if m.origin == "benchmark.trace_file"]
    assert "/lustre/x/t.jsonl" in [c.subject for c in plan.preflight]


def test_the_table_of_results_names_every_measured_run(lab: Lab) -> None:
    """``benchmark.tsv`` has GPUs by role, the head of the summary, and a row per rung with its load, all of it JSON."""
    plan = lab.plan(LADDER)
    (file,) = [f for f in plan.files if f.path == "benchmark.tsv"]
    gpus, head, *runs = [line.split("\t") for line in notation(file.content).splitlines()]
    assert gpus == ["gpus", "16", "8", "8", "0"]
    assert json.loads(f"{{{head[1]}}}")["gpus"] == {"total": 16, "prefill": 8, "decode": 8, "agg": 0}
    assert [r[:3] for r in runs] == [["run", "concurrency_2", "sglang"], ["run", "concurrency_4", "sglang"]]
    load = json.loads(f"{{{runs[1][4]}}}")
    assert (load["concurrency"], load["requests"], load["isl"], load["request_rate"]) == (4, 40, 128, "inf")


def test_manual_measures_nothing(lab: Lab) -> None:
    """The job has no terminal step and no results table."""
    plan = lab.plan("type: manual")
    assert not [s for s in plan.steps if s.terminal]
    assert "benchmark.tsv" not in [f.path for f in plan.files]


def test_retries_and_max_failed_share_reach_the_library(lab: Lab) -> None:
    """Both are variables of the benchmark's step."""
    found = env(bench(lab.plan(LADDER + ", retries: 2, max_failed_share: 0.25")))
    assert (found["SRT_BENCH_RETRIES"], found["SRT_BENCH_MAX_FAILED_SHARE"]) == ("2", "0.25")
