"""Jobs that really ran, in the rehearsal: what they leave is what is read, compared and drawn."""

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
    """Compile an example or a recipe of one's own, rehearse it, and return its run directory."""
    (only,) = pipeline.compile_recipe(str(ROOT / "examples" / recipe), sets=(*QUICK, *sets))
    pipeline.write(pipeline.bundle(only.plan), folder / "bundle")
    out = io.StringIO()
    rehearse(folder / "bundle", work=folder / "out", faults=faults, stdout=out, timeout=timeout)
    (run_dir,) = folder.glob("out/*/attempt_0")
    assert (run_dir / "status.json").exists(), out.getvalue()
    return run_dir


@pytest.fixture(scope="module")
def disaggregated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job of two prefill and two decode workers behind two frontends; one decode worker is slow."""
    folder = tmp_path_factory.mktemp("disaggregated")
    return run("mocker-disagg.yaml", folder, faults=("decode_0:slow=3",))


def test_the_plans_of_two_jobs_that_ran_are_compared(
    disaggregated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Callable[..., int]
) -> None:
    """Each run has its own plan, whatever became of the bundle that it was started from."""
    other = run("mocker-disagg.yaml", tmp_path, "benchmark.isl=256", "backend.speedup_ratio=50")
    for started in (disaggregated, other):
        (started.parents[2] / "bundle" / "plan.json").write_text("{}")
    capsys.readouterr()
    assert command("--compare", disaggregated, other) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "warning: they differ in isl: 128 and 256" in lines
    assert any(line.startswith("concurrency_4 output_tokens_per_s_per_gpu ") for line in lines)
    assert "~ benchmark.parameters.isl: 128 -> 256" in lines
    assert "- steps.decode_* (2).argv: --speedup-ratio 100.0" in lines
    assert "+ steps.decode_* (2).argv: --speedup-ratio 50.0" in lines
    assert sum(line.startswith("~ files.benchmark.tsv.sha256: ") for line in lines) == 1
    assert not any("benchmark.runs.concurrency_4.result" in line for line in lines if "steps." not in line)


def test_workers_behind_frontends_have_ready_times(disaggregated: Path) -> None:
    """By the counts in the job's events: prefill is complete first, and the slow decode worker makes its mode wait."""
    told = timeline.read(disaggregated)
    assert told
    ready = {s.name: s.ready or 0 for s in told.steps}
    assert [(c.mode, c.wanted, c.points[-1][1]) for c in told.counts] == [("prefill", 2, 2), ("decode", 2, 2)]
    assert 0 < ready["prefill_0"] == ready["prefill_1"] < ready["decode_0"] == ready["decode_1"]
    assert ready["decode_0"] <= ready["frontend_0"] + 0.5  # a count is told a moment after
    assert {s.name for s in told.steps if not s.awaited} == {"benchmark"}


AGAIN = """
schema: 2
name: again
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


def test_what_was_started_again_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Callable[..., int]
) -> None:
    """A decode worker that crashes twice with one restart, and a benchmark whose first try fails: in timeline and table."""
    recipe = tmp_path / "again.yaml"
    recipe.write_text(AGAIN.replace("REPORT", str(Path(__file__).parent / "samples" / "vllm-0.33.0.json")))
    run_dir = run(recipe, tmp_path, faults=("decode_0:crash@5s",))
    (summary,) = load.load([run_dir])
    told = timeline.of(summary)
    assert told
    (decode,) = (s for s in told.steps if s.before)
    assert (decode.name, decode.exit_code, [s.exit_code for s in decode.before]) == ("decode_0", 1, [1])
    assert decode.before[0].ready
    assert not decode.awaited
    (bench,) = (s for s in told.steps if s.name == "benchmark")
    ((tried,), length) = told.retried, (bench.ended or 0) - bench.started
    assert (tried.name, tried.tries) == ("custom", 2)
    assert length - 3 < tried.end - tried.begin <= length
    capsys.readouterr()
    assert command(run_dir) == 0
    out = capsys.readouterr().out
    assert "  started again: decode_0 once (exit 1)\n" in out
    assert "after 2 tries" in out


def test_tests_know_what_a_run_leaves(disaggregated: Path, tmp_path: Path) -> None:
    """What ``jobs.py`` makes has no file that a real run lacks, and no key that its summary, plan or records lack."""
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
    """It has no summary: its plan, its status and its events say what there is to say."""
    run_dir = run("sglang-manual.yaml", tmp_path, timeout=5)
    capsys.readouterr()
    assert command(run_dir, "--pictures", tmp_path / "p") == 0
    out, err = capsys.readouterr()
    assert (
        out.splitlines()[1]
        == "manual, none: nothing to measure; the job: time_limit the time limit is near (USR1)"
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
