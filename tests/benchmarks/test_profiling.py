"""Profiling in the plan: environment, the nsys prefix, calls at planned ports around the benchmark, and what is refused."""

from __future__ import annotations

import json
import re

import pytest
from bench_lab import LADDER, Lab, argv, bench, env

from srtplan import pipeline
from srtplan.ir.plan import Plan, Step
from srtplan.ir.shell import notation

BOTH = "prefill: {start_step: 10, stop_step: 15}, decode: {start_step: 200, stop_step: 400}"
NSYS = f"profiling: {{type: nsys, {BOTH}}}"
TORCH = f"profiling: {{type: torch, {BOTH}}}"
TIMED = "profiling: {type: nsys-time, delay_secs: 600, duration_secs: 30}"


def worker(plan: Plan, name: str) -> Step:
    """A worker's step."""
    return next(s for s in plan.steps if s.name == name)


def words(step: Step) -> list[str]:
    """Its command."""
    return [notation(w) for w in step.argv]


def test_torch_writes_into_the_run_and_is_started_with_a_window_per_mode(lab: Lab) -> None:
    """The variable names a folder of the run; each mode gets its own steps, at every worker's system port."""
    plan = lab.plan(LADDER, more=TORCH)
    found = env(worker(plan, "decode_1"))
    assert found["SGLANG_TORCH_PROFILER_DIR"] == "${LOG_DIR}/profiles/decode"
    assert (found["PROFILE_TYPE"], found["PROFILING_MODE"], found["PROFILE_DECODE_START_STEP"]) == (
        "torch",
        "decode",
        "200",
    )
    runs = bench(plan).runs
    assert [r.name for r in runs] == [
        "profile_start_prefill", "profile_start_decode", "warmup_2", "concurrency_2", "warmup_4", "concurrency_4",
        "profile_stop_prefill", "profile_stop_decode", "profile_traces",
    ]  # fmt: skip
    kind, body, *urls = argv(runs[1])[1:]
    assert kind == "dynamo"
    assert json.loads(body) == {"start_step": 200, "num_steps": 200, "activities": ["CPU", "GPU", "MEM"]}
    system = [p.port("system") for p in plan.processes if p.mode == "decode"]
    assert urls == [f"http://${{IP[1]}}:{port}" for port in system]


def test_nsys_stands_before_the_command(lab: Lab) -> None:
    """Its report lies in the run, named after node, mode, worker and GPUs; dynamo's workers fork before they exec."""
    plan = lab.plan(LADDER, more=f"profiling: {{type: nsys, {BOTH}, extra_nsys_args: ['--sample=none']}}")
    command = words(worker(plan, "decode_1"))
    end = command.index("python3")
    assert command[:2] == ["nsys", "profile"]
    assert command[end - 2 : end] == ["-o", "/logs/profiles/decode/node1_decode_w1_profile_gpu4-5-6-7"]
    assert " ".join(command[2 : end - 2]) == (
        "-t cuda,nvtx --cuda-graph-trace=node -c cudaProfilerApi --capture-range-end stop --force-overwrite true "
        "--trace-fork-before-exec=true --sample=none"
    )
    assert json.loads(argv(bench(plan).runs[0])[2])["activities"] == ["CUDA_PROFILER"]
    assert ["profile::directory", "/logs/profiles/decode"] in [
        [notation(w) for w in c] for c in worker(plan, "decode_1").preamble
    ]


def test_workers_behind_the_router_are_called_at_their_own_port(lab: Lab) -> None:
    """Each at the port that the plan gave it, not at one for all (W125)."""
    plan = lab.plan(LADDER, frontend="sglang", more=NSYS)
    _, kind, _, *urls = argv(bench(plan).runs[1])
    http = [p.port("http") for p in plan.processes if p.mode == "decode"]
    assert kind == "http"
    assert urls == [f"http://${{IP[1]}}:{port}" for port in http]
    assert len(set(urls)) == 2
    assert "--trace-fork-before-exec=true" not in words(worker(plan, "decode_1"))


def test_nsys_by_the_clock_needs_no_calls(lab: Lab) -> None:
    """It records after a delay, leaves the worker alive, and the job waits for the report."""
    plan = lab.plan(LADDER, more=TIMED)
    command = " ".join(words(worker(plan, "prefill_0")))
    assert "--delay 600 --duration 30 --kill none" in command
    assert "cudaProfilerApi" not in command
    assert [r.name for r in bench(plan).runs if r.name.startswith("profile")] == ["profile_traces"]


def test_trtllm_counts_its_steps_itself(lab: Lab) -> None:
    """A window in a variable, a report per rank, no calls."""
    plan = lab.plan(LADDER, engine="trtllm", more=NSYS)
    step = worker(plan, "prefill_0")
    assert (env(step)["TLLM_PROFILE_START_STOP"], env(step)["TLLM_LLMAPI_ENABLE_NVTX"]) == ("10-15", "1")
    assert "/logs/profiles/prefill/node0_prefill_w0_profile_rank%q{SLURM_PROCID}" in words(step)
    assert [r.name for r in bench(plan).runs if r.name.startswith("profile")] == ["profile_traces"]


def test_vllm_gets_its_window_as_an_option(lab: Lab) -> None:
    """The call only starts what the server was configured to record."""
    plan = lab.plan(LADDER, engine="vllm", more=TORCH)
    command = words(worker(plan, "prefill_0"))
    config = json.loads(command[command.index("--profiler-config") + 1])
    assert config == {
        "profiler": "torch", "torch_profiler_dir": "${LOG_DIR}/profiles/prefill", "delay_iterations": 10, "max_iterations": 5,
    }  # fmt: skip
    assert argv(bench(plan).runs[0])[:3] == ["profile::start", "dynamo", "{}"]


def test_every_worker_is_waited_for(lab: Lab) -> None:
    """By its own name with nsys, by number and mode with torch; whatever starts the recording."""
    traces = {
        more: argv(bench(lab.plan(LADDER, engine=engine, more=more)).runs[-1])[1:]
        for engine, more in (("sglang", NSYS), ("sglang", TORCH), ("sglang", TIMED))
    }
    assert all(words[0] == "/logs/profiles" for words in traces.values())
    named = [
        word
        for mode, i in (("prefill", 0), ("decode", 0), ("decode", 1))
        for word in (f"{mode}_{i}", "1", "1", f"{mode}/node*_{mode}_w{i}_profile_*.nsys-rep")
    ]
    assert traces[NSYS][1:] == traces[TIMED][1:] == named
    assert traces[TORCH][1:] == [
        *("prefill", "1", "8", "prefill/*.trace.json*"),
        *("decode", "2", "8", "decode/*.trace.json*"),
    ]


def test_a_worker_over_several_nodes_is_one(lab: Lab) -> None:
    """Whichever of its processes records."""
    wide = "resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: 2, agg_workers: 1}"
    path = lab.file(LADDER, more="profiling: {type: torch, aggregated: {}}")
    path.write_text(re.sub(r"resources: .*", wide, path.read_text()))
    (only,) = pipeline.compile_recipe(str(path))
    assert argv(bench(only.plan).runs[-1])[2:] == ["agg", "1", "16", "agg/*.trace.json*"]


def test_a_window_has_the_defaults_of_srtctl(lab: Lab) -> None:
    """From step 0 to 50, where only one end is said."""
    plan = lab.plan(
        LADDER, more="profiling: {type: torch, prefill: {start_step: 40}, decode: {stop_step: 9}}"
    )
    bodies = [json.loads(argv(r)[2]) for r in bench(plan).runs[:2]]
    assert [(b["start_step"], b["num_steps"]) for b in bodies] == [(40, 10), (0, 9)]


def test_without_profiling_nothing_is_added(lab: Lab) -> None:
    """No variable, no prefix, no call."""
    plan = lab.plan(LADDER)
    assert not [k for k in env(worker(plan, "decode_0")) if k.startswith("PROFIL")]
    assert words(worker(plan, "decode_0"))[0] == "python3"
    assert len(bench(plan).runs) == 4


@pytest.mark.parametrize(
    ("engine", "benchmark", "profiling", "rule", "part"),
    [
        ("trtllm", LADDER, TORCH, "SP710", "trtllm cannot be profiled with torch"),
        ("mocker", LADDER, NSYS, "SP710", "mocker cannot be profiled"),
        ("sglang", "type: manual", NSYS, "SP710", "sends no requests"),
        (
            "sglang",
            LADDER,
            "profiling: {type: nsys, prefill: {start_step: 1, stop_step: 2}}",
            "SP711",
            "decode workers",
        ),
        ("sglang", LADDER, f"profiling: {{type: nsys, {BOTH}, aggregated: {{}}}}", "SP711", "no agg workers"),
        (
            "sglang",
            LADDER,
            "profiling: {type: torch, prefill: {start_step: 9, stop_step: 9}, decode: {}}",
            "SP712",
            "from step 9 to 9",
        ),
        (
            "sglang",
            LADDER,
            "profiling: {type: torch, prefill: {start_step: 60}, decode: {}}",
            "SP712",
            "from step 60 to 50",
        ),
        ("sglang", LADDER, "profiling: {type: nsys-time, delay_secs: 9}", "SP713", "duration_secs"),
        (
            "sglang",
            LADDER,
            "profiling: {type: nsys-time, delay_secs: 9, duration_secs: 0}",
            "SP713",
            "must be at least 1",
        ),
        ("sglang", LADDER, "profiling: {type: perf}", "SP113", "one of"),
    ],
)
def test_what_would_record_nothing_is_refused(
    lab: Lab, engine: str, benchmark: str, profiling: str, rule: str, part: str
) -> None:
    """With the reason: the profiler, the traffic, the window."""
    model = "hf:org/m" if engine == "mocker" else "/models/m"
    found = lab.refused(benchmark, engine=engine, more=profiling, model=model)
    assert [r for r, m in found if r == rule and part in m], found


def test_a_profiler_of_the_recipes_own_is_refused(lab: Lab) -> None:
    """vLLM's option follows from ``profiling``."""
    backend = ", vllm_config: {prefill: {profiler-config: '{}'}}"
    assert lab.refused(LADDER, engine="vllm", backend=backend, more=NSYS)[0][0] == "SP502"


def test_a_recording_longer_than_the_benchmark_is_warned_of(lab: Lab) -> None:
    """``benchmark_duration_secs`` is what the benchmark is expected to take."""
    longer = "profiling: {type: nsys-time, delay_secs: 1, duration_secs: 301}"
    assert "SP713" in lab.warned(LADDER, more=longer)
    assert "SP713" not in lab.warned(LADDER, more=longer.replace("}", ", benchmark_duration_secs: 400}"))
