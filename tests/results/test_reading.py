"""srtplan results: what it finds, and how it tells it as text, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobs import EVENTS, job, lost, record

from srtplan.cli.main import main
from srtplan.results import compare, export, front, load, plandiff, table, timeline
from srtplan.results.model import Record


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A directory of two jobs, the second with a rung that failed."""
    job(tmp_path, 9, record(2), record(4, user=80, gpu=70), events=EVENTS)
    job(
        tmp_path,
        10,
        record(2, user=120, gpu=40),
        lost(4),
        **{"class": "no_result", "cause": "c4: no output tokens"},
    )
    return tmp_path


def command(*args: object) -> int:
    """The exit code of ``srtplan results ...``."""
    with pytest.raises(SystemExit) as ended:
        main(["results", *map(str, args)])
    return int(ended.value.code or 0)


def test_jobs_are_found_however_they_are_named(two: Path) -> None:
    """A file, a run, a job, a directory of jobs (by number); each once."""
    named = [two / "9" / "attempt_0" / "results" / "summary.json", two / "9" / "attempt_0", two / "9", two]
    assert [[s.text("job_id") for s in load.load([n])] for n in named] == [["9"], ["9"], ["9"], ["9", "10"]]
    assert len(load.load(named)) == 2


@pytest.mark.parametrize(
    ("make", "says"), [(lambda p: p / "none", "no such run"), (lambda p: p, "no results/summary.json")]
)
def test_nothing_to_show_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: object, says: str
) -> None:
    """With a sentence on stderr, and exit code 1."""
    assert command(make(tmp_path)) == 1  # type: ignore[operator]
    out, err = capsys.readouterr()
    assert (out, says in err) == ("", True)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "srtplan.results/9"}'])
def test_another_format_is_refused(tmp_path: Path, text: str) -> None:
    """Broken or foreign files are named."""
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(load.ResultsError, match=r"summary\.json"):
        load.load([tmp_path / "summary.json"])


def test_the_table_has_a_row_per_rung_and_says_what_failed(
    two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns that nobody fills are left out; a partial ladder is marked."""
    assert command(two) == 0
    text = capsys.readouterr().out
    assert "dsr1 9  org/m with sglang behind dynamo, 8 GPUs (prefill 4 decode 4)" in text
    assert "sa-bench isl 1024 osl 128, partial: 1 of 2 runs; the job: no_result c4: no output tokens" in text
    assert "score" not in text
    assert [line.split()[-4:] for line in text.splitlines() if "failed" in line] == [
        ["failed", "no", "output", "tokens"]
    ]


def test_scores_have_a_column_where_there_are_some(tmp_path: Path) -> None:
    """An evaluation is shown by its score."""
    run = {
        "name": "gsm8k",
        "status": "ok",
        "reason": "",
        "tries": 2,
        "score": 0.95,
        "scores": {"score:std": 0.1},
    }
    (summary,) = load.load([job(tmp_path, 1, run)])
    heads, cells = table.rows(summary)
    assert heads == ["run", "score", ""]
    assert cells == [["gsm8k", "0.9500", "after 2 tries"]]


def test_csv_has_a_row_per_planned_rung(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the job's own columns, units in the names, and the Pareto front."""
    assert command(two, "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(r["job_id"], r["run"], r["status"]) for r in rows] == [
        ("9", "concurrency_2", "ok"), ("9", "concurrency_4", "ok"),
        ("10", "concurrency_2", "ok"), ("10", "concurrency_4", "failed"),
    ]  # fmt: skip
    assert (rows[0]["gpus_decode"], rows[0]["ttft_ms_p99"], rows[3]["ttft_ms_p99"]) == ("4", "240.0", "")
    assert [r["on_pareto_front"] for r in rows] == ["true", "true", "true", "false"]


def test_json_has_everything_and_the_front(two: Path) -> None:
    """The summaries as they are, with where they lie."""
    data = json.loads(export.to_json(load.load([two])))
    assert [s["job_id"] for s in data["summaries"]] == ["9", "10"]
    assert [(p["job_id"], p["concurrency"]) for p in data["pareto_front"]] == [("10", 2), ("9", 2), ("9", 4)]


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), max_size=12))
def test_the_front_is_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    """No point of the front is beaten in both; every other point is beaten or equalled by one of the front."""
    records = [Record({"tokens_per_s_per_user": x, "output_tokens_per_s_per_gpu": y}) for x, y in points]
    best = [front.point(r) for r in front.front(records)]
    assert len(set(best)) == len(best)
    for x, y in best:  # type: ignore[misc]
        assert not any(a >= x and b >= y and (a, b) != (x, y) for a, b in points)
    for x, y in points:
        assert any(a >= x and b >= y for a, b in best)  # type: ignore[misc]


def test_a_comparison_says_what_is_worse_in_percent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lower throughput and higher latency are worse; the difference of the plans stands below."""
    step = {"name": "decode_0", "argv": ["python3", "--mem", "0.8"], "env": {"A": "1"}}
    other = {**step, "argv": ["python3", "--mem", "0.9", "--new"]}
    a = job(tmp_path, 1, record(2), record(4), plan={"steps": [step, {**step, "name": "decode_1"}]})
    b = job(
        tmp_path,
        2,
        record(2, gpu=40, ttft=90),
        lost(4),
        plan={"steps": [other, {**other, "name": "decode_1"}]},
    )
    assert command("--compare", a, b) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "concurrency_2 output_tokens_per_s_per_gpu 50 40 -20.0 % worse" in lines
    assert "concurrency_2 ttft_ms_p99 240 180 -25.0 % better" in lines
    assert "concurrency_4: no result in dsr1 2" in lines
    assert "- steps.decode_* (2).argv: --mem 0.8" in lines
    assert "+ steps.decode_* (2).argv: --mem 0.9" in lines
    assert command("--compare", a, b, "--fail-above", 50) == 1, "a rung is lost"


@pytest.mark.parametrize(("percent", "code"), [(10, 1), (30, 0)])
def test_a_regression_can_fail_a_script(tmp_path: Path, percent: int, code: int) -> None:
    """``--fail-above`` is the largest regression that is still accepted."""
    a, b = job(tmp_path, 1, record(2)), job(tmp_path, 2, record(2, gpu=40))
    assert command("--compare", a, b, "--fail-above", percent) == code
    assert command("--compare", b, a, "--fail-above", percent) == 0


def test_a_comparison_takes_two(two: Path, tmp_path: Path) -> None:
    """One run, or three, are wrong usage."""
    assert command("--compare", two / "9") == 2
    job(tmp_path, 11, record(2))
    assert command("--compare", tmp_path) == 2


def test_equal_plans_differ_in_nothing(tmp_path: Path) -> None:
    """And a run without its bundle says that there is nothing to compare."""
    a, b = job(tmp_path, 1, record(2)), job(tmp_path, 2, record(2))
    assert plandiff.of_runs(a, b) == []
    (b / "bundle" / "plan.json").unlink()
    assert plandiff.of_runs(a, b)[0].startswith("(cannot be compared")
    assert "no difference" in compare.render(*load.load([a, b]), [], threshold=5)


def test_a_timeline_has_stages_and_the_lives_of_steps(two: Path) -> None:
    """Stages end where the next begins; a step has its start, ready time, end and exit code; broken lines are left out."""
    file = two / "9" / "attempt_0" / "events.jsonl"
    file.write_text(file.read_text() + '{"t": 206, "event": "st')
    told = timeline.read(file.parent)
    assert told
    assert [(s.name, s.begin, s.end) for s in told.stages][:2] == [("preflight", 0.1, 2), ("worker", 2, 3)]
    decode, bench = told.steps
    assert (decode.started, decode.ready, decode.ended, decode.exit_code) == (2, 90, 200, 9)
    assert (bench.ready, bench.ended, told.end) == (None, None, 205)
    assert timeline.read(two / "10" / "attempt_0") is None
