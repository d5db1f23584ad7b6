"""What is broken or lacks something is said for that job, and hides no other; nothing of it is srtplan's own failure."""

from __future__ import annotations

import errno
import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jobs import EVENTS, PLAN, begun, job, record, unmeasured

from srtplan.results.draw import charts
from srtplan.results.read import load

Command = Callable[..., int]


def change(run_dir: Path, **values: object) -> None:
    """Write other values into a summary."""
    file = run_dir / "results" / "summary.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"runs": [1]}, "runs[0] is no object"),
        ({"runs": {}}, "runs is no list"),
        ({"runs": [record(2), {"status": "ok"}]}, "runs[1] has no name"),
        ({"runs": [record(2) | {"scores": [1]}]}, "runs[0].scores is no object"),
        ({"runs": [record(2) | {"concurrency": 0}]}, "runs[0].concurrency is 0, no number above 0"),
        ({"runs": [record(2) | {"concurrency": "x"}]}, "runs[0].concurrency is 'x', no number above 0"),
        ({"gpus": []}, "gpus is no object"),
        ({"gpus": {"total": "8"}}, "gpus.total is no whole number"),
        ({"parameters": "isl"}, "parameters is no object"),
    ],
)
def test_a_summary_of_another_shape_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: dict[str, Any], says: str, command: Command
) -> None:
    """With its file and what is wrong in it; the jobs beside it are shown, and the exit code is 1."""
    change(job(tmp_path, 1, record(2)), **values)
    job(tmp_path, 2, record(2))
    page = ("--html", tmp_path / "p.html") if "gpus" in values else ()
    assert command(tmp_path, *page) == 1
    out, err = capsys.readouterr()
    assert f"1/latest/results/summary.json: is no summary of ours: {says}" in err
    assert "dsr1 2" in out


@pytest.mark.parametrize("text", ['{"format": "srtplan.resu', "[" * 100_000, "\xff", ""])
def test_a_broken_summary_hides_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, command: Command
) -> None:
    """A file that was cut off has a line on stderr and the exit code 1; all others are shown."""
    for n in (1, 2, 3):
        job(tmp_path, n, record(2))
    (tmp_path / "2" / "attempt_0" / "results" / "summary.json").write_text(text, encoding="latin-1")
    assert command(tmp_path) == 1
    out, err = capsys.readouterr()
    assert ("dsr1 1" in out, "dsr1 2" in out, "dsr1 3" in out) == (True, False, True)
    assert [line.partition(":")[0] for line in err.splitlines()] == ["srtplan"]
    assert "2/latest/results/summary.json: cannot be read" in err


@pytest.mark.parametrize("where", [".", "2", "2/latest/results/summary.json"])
def test_what_may_not_be_read_hides_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str, command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A folder of jobs has jobs of others, which are private."""
    for n in (1, 2, 3):
        job(tmp_path / "jobs", n, record(2))
    private = tmp_path / "jobs" / where

    def guarded(look: Callable[[Path], bool]) -> Callable[[Path], bool]:
        def asked(self: Path) -> bool:
            if self == private or (where != "." and self.is_relative_to(private)):
                raise PermissionError(errno.EACCES, "Permission denied", str(self))
            return look(self)

        return asked

    monkeypatch.setattr(Path, "is_file", guarded(Path.is_file))
    if where != ".":
        monkeypatch.setattr(
            Path, "is_dir", guarded(Path.is_dir)
        )  # it raises for a link into a private folder
    assert command(tmp_path / "jobs") == 1
    out, err = capsys.readouterr()
    assert "cannot be read: Permission denied" in err
    shown = where != "."
    assert ("dsr1 1" in out, "dsr1 2" in out, "dsr1 3" in out) == (shown, False, shown)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["--csv", "--json", None])
def test_figures_that_are_no_numbers_are_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str | None, command: Command
) -> None:
    """NaN, numbers beyond all bounds, text where a number is meant, halves of characters: none stops anything."""
    odd = record(2) | {"ttft_ms_p50": float("nan"), "e2e_ms_p99": 10**400, "completed": "many", "failed": [1]}
    odd |= {"tpot_ms_p50": float("inf"), "status": "ok", "scores": {"a": None, "b": float("nan"), "c": 0.5}}
    run_dir = job(tmp_path, 1, odd, name="\ud800x", profiles=[1, None], events=EVENTS, cause=None)
    (run_dir / "events.jsonl").write_text(
        EVENTS + '[1]\n{"t": "x"}\n{"t": 300, "event": "probes", "workers": 3}\n'
    )
    assert command(tmp_path, "--html", tmp_path / "p.html", *filter(None, [form])) == 0
    assert capsys.readouterr().out
    (summary,) = load.load([tmp_path])
    assert [summary.records[0].number(k) for k in ("ttft_ms_p50", "e2e_ms_p99", "completed")] == [None] * 3
    assert summary.records[0].scores == {"c": 0.5}


@pytest.mark.slow
def test_the_page_goes_where_it_is_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """Its folder is made; where that cannot be, a sentence says so."""
    run_dir = job(tmp_path / "jobs", 1, record(2))
    assert command(run_dir, "--html", tmp_path / "a" / "b" / "x.html") == 0
    assert (tmp_path / "a" / "b" / "x.html").exists()
    (tmp_path / "file").touch()
    capsys.readouterr()
    assert command(run_dir, "--html", tmp_path / "file" / "x.html") == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["$x_$", r"\frac", "_hidden", "a\nb\x01c", "x" * 300, "--><script>", "模型"])
def test_any_name_of_a_job_can_be_drawn(tmp_path: Path, name: str, command: Command) -> None:
    """No formula, no name that a legend leaves out, nothing that breaks a page."""
    job(tmp_path, 1, record(2), record(4), name=name, model=name, events=EVENTS)
    assert (
        command(tmp_path, "--html", tmp_path / "p.html", "--pictures", tmp_path / "p", "--format", "svg") == 0
    )
    drawn = list((tmp_path / "p").iterdir())
    assert len(drawn) == 3
    assert all(ET.parse(p).getroot().tag.endswith("svg") for p in drawn)  # noqa: S314 -- our own
    figure = charts.throughput(list(enumerate(load.load([tmp_path]))), "x")
    assert figure
    (text,) = (t.get_text() for t in figure.legends[0].get_texts())
    assert text.isprintable()
    assert not text.startswith("_"), "older versions of matplotlib leave such a name out"


def test_a_lost_link_is_no_lost_job(tmp_path: Path) -> None:
    """Without ``latest``, or with one that leads nowhere, it is the newest attempt that left something."""
    job(tmp_path, 1, record(2))
    folder = tmp_path / "1"
    for n in (2, 10):
        shutil.copytree(folder / "attempt_0", folder / f"attempt_{n}")
        change(folder / f"attempt_{n}", attempt=f"attempt_{n}")
    (folder / "attempt_11").mkdir()
    for link in ("nowhere", None):
        (folder / "latest").unlink()
        if link:
            (folder / "latest").symlink_to(link)
            assert not (folder / "latest").exists()
            continue
    for named in (folder, tmp_path):
        assert [s.text("attempt") for s in load.load([named])] == ["attempt_10"]


def test_a_job_that_left_nothing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """Among others it is passed over in a sentence; what is no job is not spoken of; alone it is an error."""
    job(tmp_path, 1, record(2))
    begun(tmp_path, 2, PLAN)
    (tmp_path / "notes").mkdir()
    assert command(tmp_path) == 0
    assert (
        capsys.readouterr().err
        == f"srtplan: {tmp_path}/2: no results/summary.json and no status.json in it\n"
    )
    assert command(tmp_path / "2") == 1
    assert "no results/summary.json" in capsys.readouterr().err


def test_a_job_that_serves_is_shown_without_a_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """From its plan and its status: what it was, how it ended, and its timeline."""
    run_dir = unmeasured(tmp_path, 7)
    assert command(tmp_path, "--pictures", tmp_path / "p") == 0
    out, err = capsys.readouterr()
    assert out == (
        "sglang-router-1p1d 7  Qwen/Qwen3-32B with sglang behind sglang, 16 GPUs (prefill 8 decode 8)\n"
        "manual, none: nothing to measure; the job: cancelled received TERM\n"
    )
    assert err == f"wrote {tmp_path}/p/timeline_sglang-router-1p1d_7.png\n"
    assert command(run_dir, "--csv") == 0
    assert command(run_dir, "--html", tmp_path / "p.html") == 0
    (run_dir / "bundle" / "plan.json").unlink()
    (run_dir / "status.json").unlink()
    (summary,) = load.load([tmp_path])
    assert (summary.label, summary.text("class"), summary.gpus["total"]) == (" 7", "running", 0)


def test_a_job_without_results_that_should_have_some_is_said_to_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """It is shown as far as it came, with a sentence on stderr."""
    unmeasured(tmp_path, 7, **PLAN)
    assert command(tmp_path) == 0
    out, err = capsys.readouterr()
    assert "sa-bench isl 1024 osl 128, none: 0 of 2 runs; the job: cancelled received TERM\n" in out
    assert (
        err
        == f"srtplan: {tmp_path}/7/latest: no results/summary.json: there are no results, only how the job went\n"
    )
