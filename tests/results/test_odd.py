"""Broken and incomplete jobs are reported, do not hide other jobs and never crash srtplan."""

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
    """Replace values of a summary."""
    file = run_dir / "results" / "summary.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"runs": [1]}, "'runs[0]' must be an object"),
        ({"runs": {}}, "'runs' must be a list"),
        ({"runs": [record(2), {"status": "ok"}]}, "'runs[1].name' must be a string"),
        ({"runs": [record(2) | {"scores": [1]}]}, "'runs[0].scores' must be an object"),
        ({"runs": [record(2) | {"concurrency": 0}]}, "'runs[0].concurrency' must be a number above 0, not 0"),
        (
            {"runs": [record(2) | {"concurrency": "x"}]},
            "'runs[0].concurrency' must be a number above 0, not 'x'",
        ),
        ({"gpus": []}, "'gpus' must be an object"),
        ({"gpus": {"total": "8"}}, "'gpus.total' must be an integer"),
        ({"parameters": "isl"}, "'parameters' must be an object"),
    ],
)
def test_a_summary_with_wrong_types_is_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: dict[str, Any], says: str, command: Command
) -> None:
    """The message names the file and the error; other jobs are shown, and the exit code is 1."""
    change(job(tmp_path, 1, record(2)), **values)
    job(tmp_path, 2, record(2))
    page = ("--html", tmp_path / "p.html") if "gpus" in values else ()
    assert command(tmp_path, *page) == 1
    out, err = capsys.readouterr()
    assert f"1/latest/results/summary.json is not a valid summary: {says}" in err
    assert "dsr1 2" in out


@pytest.mark.parametrize("text", ['{"format": "srtplan.resu', "[" * 100_000, "\xff", ""])
def test_a_broken_summary_does_not_hide_other_jobs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, command: Command
) -> None:
    """A truncated file is reported on stderr with exit code 1; all other jobs are shown."""
    for n in (1, 2, 3):
        job(tmp_path, n, record(2))
    (tmp_path / "2" / "attempt_0" / "results" / "summary.json").write_text(text, encoding="latin-1")
    assert command(tmp_path) == 1
    out, err = capsys.readouterr()
    assert ("dsr1 1" in out, "dsr1 2" in out, "dsr1 3" in out) == (True, False, True)
    assert [line.partition(":")[0] for line in err.splitlines()] == ["srtplan"]
    assert "cannot read" in err
    assert "2/latest/results/summary.json: " in err


@pytest.mark.parametrize("where", [".", "2", "2/latest/results/summary.json"])
def test_an_unreadable_job_does_not_hide_other_jobs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str, command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A directory of jobs can contain private jobs of other users."""
    for n in (1, 2, 3):
        job(tmp_path / "jobs", n, record(2))
    private = tmp_path / "jobs" / where

    def guarded(look: Callable[[Path], bool]) -> Callable[[Path], bool]:
        def guard(self: Path) -> bool:
            if self == private or (where != "." and self.is_relative_to(private)):
                raise PermissionError(errno.EACCES, "Permission denied", str(self))
            return look(self)

        return guard

    monkeypatch.setattr(Path, "is_file", guarded(Path.is_file))
    if where != ".":
        monkeypatch.setattr(
            Path, "is_dir", guarded(Path.is_dir)
        )  # it raises for a link into a private directory
    assert command(tmp_path / "jobs") == 1
    out, err = capsys.readouterr()
    assert "srtplan: cannot read " in err
    assert ": Permission denied" in err
    shown = where != "."
    assert ("dsr1 1" in out, "dsr1 2" in out, "dsr1 3" in out) == (shown, False, shown)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["--csv", "--json", None])
def test_figures_that_are_not_numbers_are_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str | None, command: Command
) -> None:
    """NaN, huge numbers, text in place of a number and lone surrogates are treated as missing."""
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
def test_the_page_is_written_to_the_given_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """Missing directories are created; an error is reported if that fails."""
    run_dir = job(tmp_path / "jobs", 1, record(2))
    assert command(run_dir, "--html", tmp_path / "a" / "b" / "x.html") == 0
    assert (tmp_path / "a" / "b" / "x.html").exists()
    (tmp_path / "file").touch()
    capsys.readouterr()
    assert command(run_dir, "--html", tmp_path / "file" / "x.html") == 1
    assert f"srtplan: cannot write {tmp_path / 'file'}" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["$x_$", r"\frac", "_hidden", "a\nb\x01c", "x" * 300, "--><script>", "模型"])
def test_any_name_of_a_job_can_be_drawn(tmp_path: Path, name: str, command: Command) -> None:
    """A name is not taken for a formula, is not left out of the legend, and does not break the page."""
    job(tmp_path, 1, record(2), record(4), name=name, model=name, events=EVENTS)
    assert (
        command(tmp_path, "--html", tmp_path / "p.html", "--pictures", tmp_path / "p", "--format", "svg") == 0
    )
    drawn = list((tmp_path / "p").iterdir())
    assert len(drawn) == 3
    assert all(ET.parse(p).getroot().tag.endswith("svg") for p in drawn)  # noqa: S314 -- our own
    figure = charts.throughput_chart(list(enumerate(load.load([tmp_path]))), "x")
    assert figure
    (text,) = (t.get_text() for t in figure.legends[0].get_texts())
    assert text.isprintable()
    assert not text.startswith("_"), "older versions of matplotlib leave such a name out"


def test_a_job_is_found_without_its_latest_link(tmp_path: Path) -> None:
    """If ``latest`` is missing or dangling, the newest attempt with results is used."""
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


def test_a_job_without_any_results_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """Among other jobs it is a note, alone it is an error; directories that are not jobs are ignored."""
    job(tmp_path, 1, record(2))
    begun(tmp_path, 2, PLAN)
    (tmp_path / "notes").mkdir()
    assert command(tmp_path) == 0
    assert (
        capsys.readouterr().err == f"srtplan: {tmp_path}/2 has neither results/summary.json nor status.json\n"
    )
    assert command(tmp_path / "2") == 1
    assert f"no results in {tmp_path}/2: " in capsys.readouterr().err


def test_a_job_that_serves_is_shown_without_a_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """The Plan and the status show what it was and how it ended; the timeline is drawn."""
    run_dir = unmeasured(tmp_path, 7)
    assert command(tmp_path, "--pictures", tmp_path / "p") == 0
    out, err = capsys.readouterr()
    assert out == (
        "sglang-router-1p1d 7  Qwen/Qwen3-32B with sglang behind sglang, 16 GPUs (prefill 8 decode 8)\n"
        "manual: no benchmark; job ended with cancelled: received TERM\n"
    )
    assert err == f"wrote {tmp_path}/p/timeline_sglang-router-1p1d_7.png\n"
    assert command(run_dir, "--csv") == 0
    assert command(run_dir, "--html", tmp_path / "p.html") == 0
    assert '<span class="state unmeasured">no benchmark</span>' in (tmp_path / "p.html").read_text()
    (run_dir / "bundle" / "plan.json").unlink()
    (run_dir / "status.json").unlink()
    (summary,) = load.load([tmp_path])
    assert (summary.label, summary.text("class"), summary.gpus["total"]) == (" 7", "running", 0)


def test_missing_results_of_a_benchmark_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """The job is shown as far as it is known, with a note on stderr."""
    unmeasured(tmp_path, 7, **PLAN)
    assert command(tmp_path) == 0
    out, err = capsys.readouterr()
    assert "sa-bench isl 1024 osl 128, none: 0 of 2 runs; job ended with cancelled: received TERM\n" in out
    assert (
        err == f"srtplan: {tmp_path}/7/latest has no results/summary.json: "
        "only the job's timeline and exit class are shown\n"
    )
