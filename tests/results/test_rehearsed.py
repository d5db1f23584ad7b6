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
from srtplan.results import load, timeline

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("health_check.interval_seconds=1",)


def run(recipe: str, folder: Path, *sets: str, faults: tuple[str, ...] = (), timeout: float = 100) -> Path:
    """Compile an example, rehearse it, and return its run directory."""
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
    assert ready["decode_0"] <= ready["frontend_0"] + 0.1
    assert {s.name for s in told.steps if not s.awaited} == {"benchmark"}


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
