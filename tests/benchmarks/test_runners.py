"""Every benchmark from recipe to summary.json in a rehearsal: compiled, run, results checked and collected."""

from __future__ import annotations

import io
import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from bench_lab import LADDER, Lab
from slurm_cluster.client import eventually

from srtplan import pipeline
from srtplan.rehearsal import processes, rehearse
from srtplan.results.read import load, timeline

pytestmark = pytest.mark.slow


@frozen
class Ended:
    """A rehearsed job: its exit code, run directory and output."""

    code: int
    run_dir: Path
    output: str

    @property
    def summary(self) -> dict[str, Any]:
        """Return summary.json."""
        found: dict[str, Any] = json.loads((self.run_dir / "results" / "summary.json").read_text())
        return found

    @property
    def log(self) -> str:
        """Return the benchmark's log."""
        return (self.run_dir / "logs" / "benchmark.out").read_text()


def run(lab: Lab, benchmark: str, **kwargs: object) -> Ended:
    """Rehearse a recipe with this benchmark."""
    kwargs = {"split": False} | kwargs
    pipeline.write(pipeline.bundle(lab.plan(benchmark, **kwargs)), lab.folder / "bundle")
    out = io.StringIO()
    code = rehearse(lab.folder / "bundle", work=lab.folder / "out", stdout=out, timeout=600)
    return Ended(code, next((lab.folder / "out").glob("*/attempt_0")), out.getvalue())


def trace(lab: Lab) -> Path:
    """Write a trace of five requests in Mooncake's format."""
    path = lab.folder / "trace.jsonl"
    rows = [
        {"timestamp": 50 * n, "input_length": 40 + n, "output_length": 8, "hash_ids": [n]} for n in range(5)
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


CASES = {
    "sa-bench with sglang": (LADDER, {}, ["concurrency_2", "concurrency_4"]),
    "sa-bench with vllm": (LADDER, {"engine": "vllm"}, ["concurrency_2", "concurrency_4"]),
    "sa-bench with trtllm": (LADDER, {"engine": "trtllm"}, ["concurrency_2", "concurrency_4"]),
    "sa-bench with aiperf": (LADDER, {"engine": "mocker", "model": "hf:org/m"}, ["concurrency_2", "concurrency_4"]),
    "sglang-bench": ("type: sglang-bench, isl: 64, osl: 8, concurrencies: [2]", {}, ["concurrency_2"]),
    "gsm8k": ("type: gsm8k", {}, ["gsm8k"]),
    "gsm8k with lm-eval": ("type: gsm8k", {"engine": "vllm"}, ["gsm8k"]),
    "gpqa": ("type: gpqa", {}, ["gpqa"]),
    "gpqa with questions of its own": ("type: gpqa, dataset_path: FOLDER/q.csv", {}, ["gpqa"]),
    "mmlu": ("type: mmlu", {}, ["mmlu"]),
    "longbenchv2": ("type: longbenchv2", {}, ["longbench_v2"]),
    "lm-eval": ("type: lm-eval, tasks: [gsm8k, ifeval]", {}, ["lm-eval"]),
    "router": ("type: router, isl: 64, osl: 8, num_requests: 6, prefix_ratios: [0, 0.5]", {"frontend": "sglang"}, ["prefix_0", "prefix_0.5"]),
    "custom": ("type: custom, result: r.txt, command: 'curl -sf $SRT_FRONTEND_URL/v1/models >$SRT_RESULTS_DIR/r.txt'", {}, ["custom"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_benchmark_runs_from_recipe_to_summary(lab: Lab, case: str) -> None:
    """It exits with 0, and the summary contains every planned run with its figures or scores."""
    benchmark, kwargs, names = CASES[case]
    (lab.folder / "q.csv").write_text("Question\n")
    ended = run(lab, benchmark.replace("FOLDER", str(lab.folder)), **kwargs)
    assert ended.code == 0, ended.output[-3000:] + ended.log[-2000:]
    summary = ended.summary
    assert (summary["state"], summary["class"], summary["code"]) == ("complete", "success", 0)
    assert [r["name"] for r in summary["runs"]] == names
    for record in summary["runs"]:
        if record["evaluation"]:
            assert record["score"] is not None
            assert record["client"] == "lm-eval" or record["output_tokens_per_s"] > 0
        elif record["client"]:
            assert (
                min(
                    record["output_tokens_per_s"],
                    record["output_tokens_per_s_per_gpu"],
                    record["ttft_ms_p50"],
                )
                > 0
            )
    (found,) = load.load([ended.run_dir.parent])
    told = timeline.read_timeline(found.run_dir)
    assert told is not None
    assert {"benchmark", "stop"} <= {s.name for s in told.stages}


@pytest.mark.parametrize("kind", ["type: trace-replay, concurrencies: [2]", "type: mooncake-router"])
def test_a_trace_is_replayed_to_its_end(lab: Lab, kind: str) -> None:
    """A local trace of five requests: five are completed."""
    ended = run(lab, f"{kind}, trace_file: {trace(lab)}")
    assert ended.code == 0, ended.output[-3000:] + ended.log[-2000:]
    record = ended.summary["runs"][-1]
    assert (record["completed"], record["workload"]) == (5, "trace")
    assert (record["good_requests_per_s"] is None) == ("replay" in kind)


def test_a_recipe_can_limit_the_requests_of_a_trace(lab: Lab) -> None:
    """``request-count`` in aiperf's arguments limits the requests that are sent."""
    ended = run(
        lab,
        f"type: trace-replay, concurrencies: [2], trace_file: {trace(lab)}, aiperf_args: {{request-count: 3}}",
    )
    assert ended.code == 0, ended.output[-3000:] + ended.log[-2000:]
    assert ended.summary["runs"][-1]["completed"] == 3


def test_a_data_set_with_fewer_rows_than_prompts_has_no_failures(lab: Lab) -> None:
    """Prompts that were never sent do not count as failed."""
    (lab.folder / "rows.jsonl").write_text("{}\n" * 3)
    rows = f"type: sa-bench, dataset_name: custom, dataset_path: {lab.folder}/rows.jsonl, concurrencies: [2]"
    ended = run(lab, rows)
    (record,) = ended.summary["runs"]
    assert (ended.code, record["requests"], record["completed"], record["failed"]) == (0, 20, 3, 0)


QUIET = "\nenvironment: {SRT_PROFILE_QUIET_S: '1'}"
"""Traces are complete when they have not grown for a second, instead of ten."""


def test_torch_profiles_are_in_the_run_directory(lab: Lab) -> None:
    """Both modes are recorded, the traces are complete before the job ends, and the summary lists them."""
    more = "profiling: {type: torch, prefill: {start_step: 1, stop_step: 5}, decode: {start_step: 1, stop_step: 5}}"
    ended = run(lab, LADDER + ", num_warmup_mult: 0", split=True, more=more + QUIET)
    assert ended.code == 0, ended.output[-3000:] + ended.log[-2000:]
    folders = {Path(p).parent.as_posix() for p in ended.summary["profiles"]}
    assert folders == {"logs/profiles/prefill", "logs/profiles/decode"}
    assert all((ended.run_dir / p).stat().st_size for p in ended.summary["profiles"])


def test_nsys_reports_are_in_the_run_directory(lab: Lab) -> None:
    """Behind SGLang's router, workers are called on their own HTTP ports."""
    more = "profiling: {type: nsys, aggregated: {start_step: 1, stop_step: 5}}"
    ended = run(lab, LADDER + ", num_warmup_mult: 0", frontend="sglang", more=more + QUIET)
    assert ended.code == 0, ended.output[-3000:] + ended.log[-2000:]
    assert [p.rpartition(".")[2] for p in ended.summary["profiles"]] == ["nsys-rep", "nsys-rep"]


def test_the_exit_code_of_a_custom_benchmark_is_the_jobs(lab: Lab) -> None:
    """The cause is in job.log, status and summary."""
    ended = run(lab, "type: custom, command: exit 3")
    assert ended.code == 3
    assert "custom: failed with 3" in (ended.run_dir / "status.json").read_text()
    (record,) = ended.summary["runs"]
    assert (record["name"], record["reason"], record["exit_code"]) == ("custom", "failed with 3", 3)
    assert (ended.summary["state"], ended.summary["code"]) == ("none", 3)


def test_a_result_that_is_missing_fails_the_job(lab: Lab) -> None:
    """A command that succeeds without writing its result ends with 80, ``no_result``."""
    ended = run(lab, "type: custom, result: r.json, result_format: vllm, command: 'true'")
    assert (ended.code, ended.summary["class"], ended.summary["state"]) == (80, "no_result", "none")
    assert "wrote no result" in ended.summary["cause"]


def test_a_worker_that_dies_is_the_cause(lab: Lab) -> None:
    """The worker is the cause, not the client that fails with it; the interrupted run has no result, but its files are kept."""
    slow = "type: custom, result: r.txt, command: 'echo 1 >$SRT_RESULTS_DIR/r.txt; sleep 600'"
    with ThreadPoolExecutor() as pool:
        job = pool.submit(run, lab, slow)
        eventually(lambda: job.done() or bool(list(lab.folder.glob("out/*/attempt_0/results/r.txt"))), 60)
        assert not job.done(), job.result()
        kill(next(lab.folder.glob("out/*/attempt_0")), "agg_1")
        ended = job.result()
    assert ended.code == 74, ended.output[-2000:]
    assert (ended.summary["class"], ended.summary["state"]) == ("worker", "none")
    assert (ended.run_dir / "results" / "r.txt").read_text() == "1\n"


def kill(run_dir: Path, step: str) -> None:
    """Send SIGKILL to all processes of a step."""
    found = processes.with_marker(f"SRT_RUN_DIR={run_dir}") & processes.with_marker(f"SRT_STEP={step}")
    assert found
    processes.send(found, signal.SIGKILL)
