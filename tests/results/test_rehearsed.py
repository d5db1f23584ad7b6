"""Read, compare and draw the results of jobs that ran in the rehearsal."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from jobs import PLAN, job, record, unmeasured

from srtplan import pipeline
from srtplan.rehearsal import rehearse
from srtplan.results.read import load, timeline

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
QUICK = ("health_check.interval_seconds=1",)


def run(
    recipe: str | Path, folder: Path, *sets: str, faults: tuple[str, ...] = (), timeout: float = 600
) -> Path:
    """Compile and rehearse an example or another recipe, and return its run directory."""
    (only,) = pipeline.compile_recipe(str(ROOT / "examples" / recipe), sets=(*QUICK, *sets))
    pipeline.write(pipeline.bundle(only.plan), folder / "bundle")
    out = io.StringIO()
    rehearse(folder / "bundle", work=folder / "out", faults=faults, stdout=out, timeout=timeout)
    (run_dir,) = folder.glob("out/*/attempt_0")
    assert (run_dir / "status.json").exists(), out.getvalue()
    return run_dir


@pytest.fixture(scope="module")
def disaggregated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a job with 2 prefill and 2 decode workers behind 2 frontends; one decode worker is slow."""
    folder = tmp_path_factory.mktemp("disaggregated")
    return run("mocker-disagg.yaml", folder, faults=("decode_0:slow=3",))


def test_the_plans_of_two_finished_jobs_are_compared(
    disaggregated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Callable[..., int]
) -> None:
    """The run's own copy of the Plan is compared, even if the original bundle has changed."""
    other = run("mocker-disagg.yaml", tmp_path, "benchmark.isl=256", "backend.speedup_ratio=50")
    for started in (disaggregated, other):
        (started.parents[2] / "bundle" / "plan.json").write_text("{}")
    capsys.readouterr()
    assert command("--compare", disaggregated, other) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "warning: not the same workload or hardware: isl: 128 and 256" in lines
    assert any(line.startswith("concurrency_4 output_tokens_per_s_per_gpu ") for line in lines)
    assert "~ benchmark.parameters.isl: 128 -> 256" in lines
    assert "- steps.decode_* (2).argv: --speedup-ratio 100.0" in lines
    assert "+ steps.decode_* (2).argv: --speedup-ratio 50.0" in lines
    assert sum(line.startswith("~ files.benchmark.tsv.sha256: ") for line in lines) == 1
    assert not any("benchmark.runs.concurrency_4.result" in line for line in lines if "steps." not in line)


def test_workers_behind_frontends_have_ready_times(disaggregated: Path) -> None:
    """Ready times follow from worker counts in the events: prefill first, decode after its slow worker."""
    job_timeline = timeline.read_timeline(disaggregated)
    assert job_timeline
    ready = {s.name: s.ready or 0 for s in job_timeline.steps}
    assert [(c.mode, c.wanted, c.points[-1][1]) for c in job_timeline.counts] == [
        ("prefill", 2, 2),
        ("decode", 2, 2),
    ]
    assert 0 < ready["prefill_0"] == ready["prefill_1"] < ready["decode_0"] == ready["decode_1"]
    assert ready["decode_0"] <= ready["frontend_0"] + 0.5  # a count is reported a moment later
    assert {s.name for s in job_timeline.steps if not s.awaited} == {"benchmark"}


RETRYING = """
schema: 2
name: retrying
engine: {type: mocker, speedup_ratio: 100}
model: {path: "hf:Qwen/Qwen3-0.6B", container: "nvcr.io#nvidia/ai-dynamo/vllm-runtime:1.0.0", precision: fp16}
resources: {gpu_type: h100, gpus_per_node: 8}
roles:
  prefill: {workers: 1, nodes: 1}
  decode: {workers: 2, nodes: 1, critical: false, restart: {max_restarts: 1, backoff_seconds: 1}}
frontend: {type: dynamo}
dynamo: {install: false, request_plane: nats}
benchmark:
  type: custom
  retries: 1
  result: r.json
  result_format: vllm
  command: 'cd $SRT_RESULTS_DIR; sleep 6; if [ -e tried ]; then cp REPORT r.json; else touch tried; exit 3; fi'
"""


def test_restarts_and_retries_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Callable[..., int]
) -> None:
    """The timeline and the table show a worker that crashes twice with one restart, and a benchmark's failed first try."""
    recipe = tmp_path / "retrying.yaml"
    recipe.write_text(RETRYING.replace("REPORT", str(Path(__file__).parent / "samples" / "vllm-0.33.0.json")))
    run_dir = run(recipe, tmp_path, faults=("decode_0:crash@5s",))
    (summary,) = load.load([run_dir])
    job_timeline = timeline.timeline_of(summary)
    assert job_timeline
    (decode,) = (s for s in job_timeline.steps if s.before)
    assert (decode.name, decode.exit_code, [s.exit_code for s in decode.before]) == ("decode_0", 1, [1])
    assert decode.before[0].ready
    assert not decode.awaited
    (bench,) = (s for s in job_timeline.steps if s.name == "benchmark")
    ((tried,), length) = job_timeline.retried, (bench.ended or 0) - bench.started
    assert (tried.name, tried.tries) == ("custom", 2)
    assert length - 3 < tried.end - tried.begin <= length
    capsys.readouterr()
    assert command(run_dir) == 0
    out = capsys.readouterr().out
    assert "  restarted: decode_0 once (exit 1)\n" in out
    assert "after 2 tries" in out


def test_sample_jobs_match_real_runs(disaggregated: Path, tmp_path: Path) -> None:
    """``jobs.py`` creates no file and no key of a summary, Plan or record that a real run lacks."""
    made = job(tmp_path, 1, record(4), events="{}\n")
    assert {p.relative_to(made) for p in made.rglob("*.json*")} <= {
        p.relative_to(disaggregated) for p in disaggregated.rglob("*.json*")
    }
    for file in ("results/summary.json", "bundle/plan.json"):
        ours, theirs = (json.loads((d / file).read_text()) for d in (made, disaggregated))
        assert set(ours) <= set(theirs)
        for name, found in zip(ours.get("runs", ()), theirs.get("runs", ()), strict=True):
            assert set(name) <= set(found)
    ours, theirs = ((d / "bundle" / "plan.json").read_text() for d in (made, disaggregated))
    assert set(json.loads(ours)["steps"][0]) == set(json.loads(theirs)["steps"][0])


def test_a_job_that_serves_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Callable[..., int]
) -> None:
    """Without a summary, the job is shown from its Plan, status and events."""
    run_dir = run("sglang-manual.yaml", tmp_path, timeout=5)
    capsys.readouterr()
    assert command(run_dir, "--pictures", tmp_path / "p") == 0
    out, err = capsys.readouterr()
    assert (
        out.splitlines()[1]
        == "manual: no benchmark; job ended with time_limit: the time limit is near (USR1)"
    )
    assert [line.partition(" ")[0] for line in err.splitlines()] == ["wrote"]
    (picture,) = (tmp_path / "p").iterdir()
    assert picture.name == f"timeline_sglang-serve_{run_dir.parent.name}.png"
    made = unmeasured(tmp_path, 1, **PLAN)
    status, real = (json.loads((d / "status.json").read_text()) for d in (made, run_dir))
    assert set(status) <= set(real)
    (summary,) = load.load([run_dir])
    assert (summary.text("engine"), summary.gpus) == (
        "sglang",
        {"total": 16, "prefill": 0, "decode": 0, "agg": 16},
    )
