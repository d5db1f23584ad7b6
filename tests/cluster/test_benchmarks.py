"""Benchmarks on a real Slurm against Dynamo's mocker: the real aiperf with a real trace file, the real lm_eval."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bundles import ROOT, compile_bundle, environment, own_folder, profile_for, submit
from parts import Rig
from slurm_cluster.client import Cluster

from srtplan.results import table
from srtplan.results.read import load

pytestmark = [pytest.mark.cluster, pytest.mark.parts, pytest.mark.xdist_group("cluster")]

BLOCK = 512
REQUESTS = 14


def trace(folder: Path) -> Path:
    """A trace in Mooncake's format: blocks of 512 tokens with their hashes; all requests share the first block."""
    rows = [
        {"timestamp": 100 * n, "input_length": BLOCK + 20 + n, "output_length": 12, "hash_ids": [0, n + 1]}
        for n in range(REQUESTS)
    ]
    path = folder / "trace.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def recipe(folder: Path, benchmark: str) -> Path:
    """The quickstart example with another benchmark."""
    head, _, _ = (ROOT / "examples" / "quickstart.yaml").read_text().partition("\nbenchmark:")
    path = folder / "recipe.yaml"
    path.write_text(f"{head}\nbenchmark: {{{benchmark}}}\n")
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "trace-replay, concurrencies: [3]",
        "mooncake-router, ttft_threshold_ms: 60000, itl_threshold_ms: 60000",
    ],
)
def test_a_whole_trace_is_sent(cluster: Cluster, rig: Rig, kind: str) -> None:
    """All requests of the trace complete with the requested number of tokens, and the table shows them."""
    name = kind.partition(",")[0]
    parts = own_folder(cluster, f"{name}-parts")
    benchmark = f"type: {kind}, trace_file: {trace(parts)}"
    folder = compile_bundle(cluster, name, str(recipe(parts, benchmark)), profile=profile_for(rig))
    run = submit(cluster, folder, env=environment(rig))
    run.job.wait(timeout=300)
    assert (run.job.state, run.job.exit_code) == ("COMPLETED", 0), run.explain()
    (summary,) = load.load([run.directory])
    (record,) = summary.records
    assert (summary.text("state"), summary.text("class")) == ("complete", "success")
    assert (record.number("completed"), record.number("failed")) == (REQUESTS, 0)
    assert record.number("output_tokens") == 12 * REQUESTS
    if "mooncake" in kind:  # a minute for every token is enough for all of them
        assert record.number("good_requests_per_s") == pytest.approx(
            record.number("requests_per_s"), rel=0.01
        )
    assert str(REQUESTS) in table.render([summary])


TASK = """
task: tiny
dataset_path: json
dataset_kwargs: {{data_files: {{test: {questions}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answered}}}}"
generation_kwargs: {{until: ["<|im_end|>"], max_gen_toks: 8}}
process_results: !function metrics.answered
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""
METRICS = """
def answered(doc, results):
    return {"acc": float(bool(results[0].strip()) == doc["answered"])}
"""


def tasks(folder: Path) -> Path:
    """A directory with a task of four questions; an answer with text is right, except for the last one: the score is 0.75."""
    path = folder / "tasks"
    path.mkdir()
    questions = [{"question": f"{n} + {n} =", "answered": n < 3} for n in range(4)]
    (path / "questions.jsonl").write_text("".join(json.dumps(q) + "\n" for q in questions))
    (path / "tiny.yaml").write_text(TASK.format(questions=path / "questions.jsonl"))
    (path / "metrics.py").write_text(METRICS)
    return path


@pytest.mark.parametrize("chat", [True, False])
def test_lm_eval_scores_a_task_of_the_recipe(cluster: Cluster, rig: Rig, chat: bool) -> None:  # noqa: FBT001
    """The real lm_eval reads a task from a local directory and calls either API; its score is in the summary."""
    parts = own_folder(cluster, "lm-eval-parts")
    benchmark = (
        f"type: lm-eval, tasks: [tiny], include_path: {tasks(parts)}, hf_home: {rig.hf_home}, num_concurrent: 2, "
        f"use_chat_template: {str(chat).lower()}"
    )
    folder = compile_bundle(cluster, "lm-eval", str(recipe(parts, benchmark)), profile=profile_for(rig))
    run = submit(cluster, folder, env=environment(rig))
    run.job.wait(timeout=300)
    assert (run.job.state, run.job.exit_code) == ("COMPLETED", 0), run.explain()
    (summary,) = load.load([run.directory])
    (record,) = summary.records
    assert (summary.text("state"), summary.text("class")) == ("complete", "success")
    assert (record.number("score"), record.scores) == (0.75, {"tiny/acc,none": 0.75})
    assert "tiny/acc,none" in table.render([summary])
