"""srtplan results: finding runs, and printing them as text, CSV and JSON."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from busy import patient
from hypothesis import given
from hypothesis import strategies as st
from jobs import EVENTS, job, lines, lost, record, step

from srtplan.results import export, table
from srtplan.results.compare import pareto
from srtplan.results.draw import charts
from srtplan.results.read import load
from srtplan.results.read.model import Record

Command = Callable[..., int]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A directory with two jobs, the second with a failed run."""
    job(tmp_path, 9, record(2), record(4, user=80, gpu=70), events=EVENTS)
    job(
        tmp_path,
        10,
        record(2, user=120, gpu=40),
        lost(4),
        **{"class": "no_result", "cause": "c4: no output tokens"},
    )
    return tmp_path


def test_jobs_are_found_by_file_run_job_or_directory(two: Path) -> None:
    """A directory of jobs is ordered by job id, and a job that is named several times is loaded once."""
    named = [two / "9" / "attempt_0" / "results" / "summary.json", two / "9" / "attempt_0", two / "9", two]
    assert [[s.text("job_id") for s in load.load([n])] for n in named] == [["9"], ["9"], ["9"], ["9", "10"]]
    assert len(load.load(named)) == 2


@pytest.mark.parametrize(
    ("make", "says"), [(lambda p: p / "none", "run not found: "), (lambda p: p, "no results in ")]
)
def test_a_path_without_results_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: object, says: str, command: Command
) -> None:
    """The command prints a message on stderr and exits with 1."""
    assert command(make(tmp_path)) == 1  # type: ignore[operator]
    out, err = capsys.readouterr()
    assert (out, says in err) == ("", True)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "srtplan.results/9"}'])
def test_another_format_is_rejected(tmp_path: Path, text: str) -> None:
    """The error names the invalid file."""
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(load.ResultsError, match=r"summary\.json"):
        load.load([tmp_path / "summary.json"])


def test_the_table_has_a_row_per_run_and_shows_failures(
    two: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """Empty columns are left out, and a partial result is marked."""
    assert command(two) == 0
    text = capsys.readouterr().out
    assert "dsr1 9  org/m with sglang behind dynamo, 8 GPUs (prefill 4 decode 4)" in text
    assert (
        "sa-bench isl 1024 osl 128, partial: 1 of 2 runs; job ended with no_result: c4: no output tokens"
        in text
    )
    assert "score" not in text
    heads = text.splitlines()[2].split("  ")
    assert [h for h in heads if h.endswith(" ms")] == [
        f"{q} ms" for q in ("TTFT p50", "TTFT p99", "TPOT p50", "TPOT p99", "E2E p99")
    ]
    assert [line.split()[-4:] for line in text.splitlines() if "failed" in line] == [
        ["failed:", "no", "output", "tokens"]
    ]


def test_an_evaluation_has_a_score_column(tmp_path: Path) -> None:
    """The table of an evaluation shows its score and nothing that was not measured."""
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


def test_every_score_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command) -> None:
    """Each score is a row in the table and on the page, and a column in the CSV."""
    scores = {"gsm8k/exact_match,strict": 0.5, "wikitext/word_perplexity,none": 12.3456789}
    runs = [
        {"name": n, "status": "ok", "score": 0.5, "scores": s}
        for n, s in (("a", scores), ("b", {}), ("c", {"x": 1.0}))
    ]
    run_dir = job(tmp_path, 1, *runs)
    assert command(run_dir, "--html", tmp_path / "p.html") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[-4:] == [
        ["a", "c"], ["gsm8k/exact_match,strict", "0.5000", "-"], ["wikitext/word_perplexity,none", "12.3457", "-"], ["x", "-", "1.0000"],
    ]  # fmt: skip
    assert (
        '<td class="words">wikitext/word_perplexity,none</td><td>12.3457</td>'
        in (tmp_path / "p.html").read_text()
    )
    assert command(run_dir, "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [[r[f"scores.{k}"] for k in (*scores, "x")] for r in rows] == [
        ["0.5", "12.3456789", ""],
        ["", "", ""],
        ["", "", "1.0"],
    ]


def test_restarted_steps_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """The table and the page list restarted steps with counts and exit codes; a long list is cut off."""
    crashes = [("decode_0", "started", 0), ("decode_0", "ended", 1), ("decode_0", "started", 0)] * 2
    events = [*crashes, ("a", "started", 0), ("a", "ended", 2), *crashes]
    job(tmp_path, 1, record(2), events=lines(*(step(1, n, s, exit=code) for n, s, code in events)))
    assert command(tmp_path, "--html", tmp_path / "p.html") == 0
    assert "  restarted: decode_0 4 times (exit 1)\n" in capsys.readouterr().out
    assert "<p>restarted: decode_0 4 times (exit 1)</p>" in (tmp_path / "p.html").read_text()
    many = [step(1, f"w_{n}", s, exit=137) for n in range(20) for s in ("started", "ended", "started")]
    job(tmp_path, 2, record(2), events=lines(*many))
    assert command(tmp_path / "2") == 0
    (line,) = [o for o in capsys.readouterr().out.splitlines() if "restarted" in o]
    assert line.startswith("  restarted: w_0 once (exit 137), w_1 once (exit 137), ")
    assert line.endswith("w_7 once (exit 137), and 12 more steps")


def test_a_table_fits_a_narrow_terminal(two: Path) -> None:
    """A wide table is split into parts that each repeat the first column; a file or a pipe gets it in one piece."""
    summaries = load.load([two])
    whole, narrow = table.render(summaries), table.render(summaries, 80)
    assert max(map(len, whole.splitlines())) > 110
    body = [line for line in narrow.splitlines() if line.startswith("  ")]
    assert max(map(len, body)) <= 80
    assert sorted(set(whole.split())) == sorted(set(narrow.split()))
    assert [line.split()[0] for line in body] == ["conc", "2", "4"] * 5
    assert table.render(summaries, 200) == whole
    assert sorted(set(table.render(summaries, 1).split())) == sorted(set(whole.split()))


def test_the_command_uses_the_width_of_its_terminal(two: Path) -> None:
    """The table fits a terminal of 80 columns, and is not split in one of 200."""
    program = "from srtplan.cli.main import main; main()"
    env = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    shown = []
    for columns in (80, 200):
        terminal, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        argv = [sys.executable, "-c", program, "results", str(two / "9")]
        subprocess.run(argv, check=True, stdout=side, env=env, cwd=ROOT, timeout=patient(60))
        os.close(side)
        shown.append(os.read(terminal, 10_000).decode().splitlines()[2:])
        os.close(terminal)
    narrow, wide = shown
    assert (len(narrow), len(wide)) == (6, 3)
    assert max(map(len, narrow)) <= 80 < max(map(len, wide))


def test_wide_characters_take_two_columns() -> None:
    """Columns stay aligned below a Chinese name; a combining accent takes no column."""
    assert table.align([["", "a"], ["模型", "1"], ["e\u0301x", "22"]]) == [
        "       a",
        "模型   1",
        "e\u0301x    22",
    ]


def test_csv_has_a_row_per_planned_run(
    two: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """A row has the job's values, figures with units in their names, and whether it is on the Pareto front."""
    assert command(two, "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(r["job_id"], r["run"], r["status"]) for r in rows] == [
        ("9", "concurrency_2", "ok"), ("9", "concurrency_4", "ok"),
        ("10", "concurrency_2", "ok"), ("10", "concurrency_4", "failed"),
    ]  # fmt: skip
    assert (rows[0]["gpus_decode"], rows[0]["ttft_ms_p99"], rows[3]["ttft_ms_p99"]) == ("4", "240.0", "")
    assert [r["on_pareto_front"] for r in rows] == ["true", "true", "true", "false"]


def test_a_list_is_one_cell_in_the_csv(tmp_path: Path) -> None:
    """List items are separated by semicolons, because names of scores contain commas."""
    run = {
        "name": "a",
        "status": "ok",
        "lower_is_better": ["w/ppl,none", "x/wer"],
        "odd": [1, None],
        "on": True,
    }
    job(tmp_path, 1, run, run | {"lower_is_better": []})
    rows = list(csv.DictReader(io.StringIO(export.to_csv(load.load([tmp_path])))))
    assert [r["lower_is_better"] for r in rows] == ["w/ppl,none;x/wer", ""]
    assert (rows[0]["odd"], rows[0]["on"]) == ("1;", "true")


def test_json_has_all_summaries_and_the_front(two: Path) -> None:
    """The JSON holds all summaries, and the points of the Pareto front."""
    data = json.loads(export.to_json(load.load([two])))
    assert [s["job_id"] for s in data["summaries"]] == ["9", "10"]
    assert [(p["job_id"], p["concurrency"]) for p in data["pareto_front"]] == [("10", 2), ("9", 2), ("9", 4)]


@pytest.mark.parametrize(
    "other",
    [
        {"benchmark": "sglang-bench"},
        {"model": "org/small"},
        {"parameters": {"isl": "8192", "osl": "128"}},
        {"parameters": {"isl": "1024", "osl": "1024"}},
        {"parameters": {"isl": "1024", "osl": "128", "trace_file": "/t.jsonl"}},
        {"gpu_type": "gb200"},
        {"precision": "fp4"},
        *(
            {"parameters": {"isl": "1024", "osl": "128", name: "x"}}
            for name in (
                *("dataset_path", "random_range_ratio", "use_chat_template", "request_rate", "client"),
                *("concurrency", "num_requests", "tasks", "num_shots", "limit", "an_option_of_tomorrow"),
            )
        ),
    ],
)
def test_every_workload_has_its_own_front(tmp_path: Path, other: dict[str, object]) -> None:
    """Only runs with the same benchmark, model and kind of GPU compete."""
    job(tmp_path, 1, record(2), record(4, user=90, gpu=40))
    job(tmp_path, 2, record(2, user=50, gpu=20), **other)
    job(tmp_path, 3, record(2, user=60, gpu=30), **other)
    summaries = load.load([tmp_path])
    rows = list(csv.DictReader(io.StringIO(export.to_csv(summaries))))
    assert [r["on_pareto_front"] for r in rows] == ["true", "false", "false", "true"]
    points = json.loads(export.to_json(summaries))["pareto_front"]
    assert [p["job_id"] for p in points] == ["1", "3"]
    assert points[0]["workload"] == {
        "benchmark": "sa-bench", "model": "org/m", "isl": "1024", "osl": "128", "gpu_type": "h100", "precision": "fp8",
    }  # fmt: skip
    assert points[1]["workload"] != points[0]["workload"]


def test_paths_and_sizes_do_not_separate_workloads(tmp_path: Path) -> None:
    """The model's path, the list of concurrencies and the number of GPUs are not part of the workload."""
    own = {"tokenizer": "/a", "total_gpus": "8", "concurrencies": "2", "custom_tokenizer": ""}
    job(tmp_path, 1, record(2), parameters={"isl": "1024", "osl": "128"} | own)
    job(tmp_path, 2, record(2, user=90, gpu=40))
    assert [p["job_id"] for p in json.loads(export.to_json(load.load([tmp_path])))["pareto_front"]] == ["1"]


def test_every_prefix_ratio_has_its_own_front(tmp_path: Path) -> None:
    """Runs of one job can have different workloads: a run with a longer shared prefix beats no other."""
    ratios = [record(20, user=50 + n, gpu=50 + n) | {"prefix_ratio": n / 10} for n in (1, 5, 9)]
    job(tmp_path, 1, *ratios)
    job(tmp_path, 2, *(r | {"tokens_per_s_per_user": 54} for r in ratios))
    summaries = load.load([tmp_path])
    points = json.loads(export.to_json(summaries))["pareto_front"]
    assert [(p["job_id"], p["workload"]["prefix_ratio"]) for p in points] == [
        ("2", "0.1"), ("1", "0.5"), ("1", "0.9"),
    ]  # fmt: skip
    figure = charts.throughput_chart(list(enumerate(summaries)), "x")
    assert figure
    assert [line.get_label() for line in figure.axes[0].get_lines()] == ["dsr1 1", "dsr1 2"], (
        "no front of one point"
    )


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), max_size=12))
def test_no_run_beats_the_front(points: list[tuple[int, int]]) -> None:
    """No point beats one of the front in both values; every other point is beaten or equalled by one of the front."""
    records = [Record({"tokens_per_s_per_user": x, "output_tokens_per_s_per_gpu": y}) for x, y in points]
    best = [pareto.operating_point(r) for r in pareto.pareto_front(records)]
    assert len(set(best)) == len(best)
    for x, y in best:  # type: ignore[misc]
        assert not any(a >= x and b >= y and (a, b) != (x, y) for a, b in points)
    for x, y in points:
        assert any(a >= x and b >= y for a, b in best)  # type: ignore[misc]
