"""srtplan results --compare: regressions, missing results, incomparable jobs, and differences between plans."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from jobs import job, lost, record

from srtplan.results.compare import comparison, plan_differences
from srtplan.results.read import load

Command = Callable[..., int]


def printed_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines on stdout, with runs of spaces collapsed."""
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def evaluated(folder: Path, job_id: int, scores: dict[str, float], score: float | None = None) -> Path:
    """Create a job with evaluation scores."""
    first = next(iter(scores.values()), None) if score is None else score
    return job(folder, job_id, {"name": "lm-eval", "status": "ok", "score": first, "scores": scores})


def test_a_comparison_shows_regressions_in_percent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """Lower throughput and higher latency are worse; differences between the plans follow."""
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
    lines = printed_lines(capsys)
    assert "concurrency_2 output_tokens_per_s_per_gpu 50 40 -20.0 % worse" in lines
    assert "concurrency_2 ttft_ms_p99 240 180 -25.0 % better" in lines
    assert "concurrency_4: no result in dsr1 2" in lines
    assert "- steps.decode_* (2).argv: --mem 0.8" in lines
    assert "+ steps.decode_* (2).argv: --mem 0.9" in lines
    assert not any(line.startswith("warning") for line in lines)
    assert command("--compare", a, b, "--fail-above", 50) == 1, "a run has no result"


@pytest.mark.parametrize(("percent", "code"), [(10, 1), (30, 0)])
def test_a_regression_can_fail_a_script(tmp_path: Path, percent: int, code: int, command: Command) -> None:
    """``--fail-above`` is the largest accepted regression."""
    a, b = job(tmp_path, 1, record(2)), job(tmp_path, 2, record(2, gpu=40))
    assert command("--compare", a, b, "--fail-above", percent) == code
    assert command("--compare", b, a, "--fail-above", percent) == 0


RATES = (
    "output_tokens_per_s",
    "input_tokens_per_s",
    "total_tokens_per_s",
    "requests_per_s",
    "good_requests_per_s",
)
PER_GPU = ("output_tokens_per_s_per_gpu", "total_tokens_per_s_per_gpu", "output_tokens_per_s_per_decode_gpu")
MORE = (*RATES, *PER_GPU, "tokens_per_s_per_user", "accept_length", "score")
LESS = tuple(
    f"{t}_ms_{q}" for t in ("ttft", "tpot", "itl", "e2e") for q in ("mean", "p50", "p90", "p95", "p99")
)


@pytest.mark.parametrize("name", [*MORE, *LESS])
def test_every_figure_with_a_direction_can_fail_a_script(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, command: Command
) -> None:
    """A figure fails only in its own direction, and the message names the figure and the run."""
    low, high = (job(tmp_path, n, record(2), record(4) | {name: v}) for n, v in ((1, 10.0), (2, 15.0)))
    before, after = (high, low) if name in MORE else (low, high)
    assert command("--compare", before, after, "--fail-above", 10) == 1
    out, err = capsys.readouterr()
    values, much = ("15 -> 10", "33.3") if name in MORE else ("10 -> 15", "50.0")
    where = f"srtplan: concurrency_4: worse by more than 10 % in dsr1 {1 if name in MORE else 2}"
    assert err == f"{where}: {name} {values} ({much} %)\n"
    (row,) = [line for line in out.splitlines() if line.split()[:2] == ["concurrency_4", name]]
    assert row.endswith("worse")
    assert command("--compare", after, before, "--fail-above", 10) == 0
    assert capsys.readouterr().err == ""


def test_failed_requests_count_as_a_share_of_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """One more failure in a thousand requests is within the limit, half of all requests is not."""
    none, one, half = (
        job(tmp_path, n, record(2) | {"completed": 1000 - f, "failed": f}) for n, f in enumerate((0, 1, 500))
    )
    assert command("--compare", none, one, "--fail-above", 5) == 0
    assert "failed_share" not in capsys.readouterr().out
    assert command("--compare", none, half, "--fail-above", 5) == 1
    assert (
        "concurrency_2: worse by more than 5 % in dsr1 2: failed_share 0 -> 0.5 (50.0 %)"
        in capsys.readouterr().err
    )


def test_secondary_figures_are_shown_if_they_add_information(tmp_path: Path) -> None:
    """A quantile that changed like the median and the 99th percentile is in the failure message, not in the table."""
    a, b = load.load(
        [job(tmp_path, 1, record(2)), job(tmp_path, 2, record(2, ttft=240) | {"itl_ms_p95": 99})]
    )
    shown = [
        line.split()[1]
        for line in comparison.render(a, b, [], threshold=5).splitlines()
        if "concurrency" in line
    ]
    assert shown == [
        *("output_tokens_per_s_per_gpu", "tokens_per_s_per_user", "requests_per_s"),
        *("ttft_ms_p50", "ttft_ms_p99", "tpot_ms_p50", "tpot_ms_p99", "itl_ms_p95", "e2e_ms_p99"),
    ]
    (line,) = comparison.failures(a, b, 50)
    names = ", ".join(f"ttft_ms_{q}" for q in ("mean", "p50", "p90", "p95", "p99"))
    assert re.sub(r" [^ ]+ -> [^ ]+ \([^)]+\)", "", line).endswith(f": {names}, itl_ms_p95")


def test_a_run_is_not_compared_with_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """A run directory and its job's directory name the same run."""
    run_dir = job(tmp_path, 1, record(2))
    assert command("--compare", run_dir, run_dir.parent) == 2
    assert "--compare requires 2 different runs, found 1" in capsys.readouterr().err


def test_runs_with_nothing_in_common_fail_a_script(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """If nothing can be compared, the check fails."""
    assert (
        command("--compare", job(tmp_path, 1, lost(2)), job(tmp_path, 2, record(2)), "--fail-above", 5) == 1
    )
    assert "dsr1 1 and dsr1 2 have no run in common with figures" in capsys.readouterr().err


def test_lower_goodput_is_a_regression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    """Goodput is compared, can fall to 0, and is reported as missing if it is no longer measured."""
    good, less, none = (record(2) | {"good_requests_per_s": g} for g in (2.0, 1.5, None))
    a, b, c, zero = (
        job(tmp_path, n, r) for n, r in enumerate((good, less, none, good | {"good_requests_per_s": 0}))
    )
    assert command("--compare", a, b, "--fail-above", 10) == 1
    assert "concurrency_2 good_requests_per_s 2 1.5 -25.0 % worse" in printed_lines(capsys)
    assert command("--compare", a, c, "--fail-above", 10) == 1
    assert "concurrency_2: no good_requests_per_s in dsr1 2" in printed_lines(capsys)
    assert command("--compare", zero, a, "--fail-above", 10) == 0
    assert "concurrency_2 good_requests_per_s 0 2 +inf % better" in printed_lines(capsys)
    assert command("--compare", c, a, "--fail-above", 10) == 0


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("gsm8k/exact_match,strict-match", "better"),
        ("wikitext/word_perplexity,none", "worse"),
        ("lambada_openai/perplexity,none", "worse"),
        ("wikitext/bits_per_byte,none", "worse"),
        ("winogender/brier_score,none", "worse"),
        ("librispeech/wer,none", "worse"),
        ("race/acc_norm,none", "better"),
        ("error_analysis/acc,none", "better"),
        ("STEM", "better"),
        ("score:std", ""),
        ("chars", ""),
    ],
)
def test_less_is_better_for_some_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, mark: str, command: Command
) -> None:
    """Higher perplexity is worse, higher accuracy is better, and a standard deviation is neither."""
    a, b = evaluated(tmp_path, 1, {name: 0.5}), evaluated(tmp_path, 2, {name: 0.75})
    assert command("--compare", a, b, "--fail-above", 20) == (1 if mark == "worse" else 0)
    assert f"lm-eval scores.{name} 0.5 0.75 +50.0 % {mark}".rstrip() in printed_lines(capsys)
    assert command("--compare", b, a, "--fail-above", 20) == (1 if mark == "better" else 0)


def test_an_evaluator_can_mark_a_score_as_lower_is_better(tmp_path: Path) -> None:
    """The report decides the direction of a metric whose name does not tell it."""
    jobs = [evaluated(tmp_path, n, {"task/odd,none": v}) for n, v in ((1, 0.5), (2, 0.75))]
    for folder in jobs:
        (path,) = folder.rglob("summary.json")
        data = json.loads(path.read_text())
        data["runs"][0]["lower_is_better"] = ["task/odd,none"]
        path.write_text(json.dumps(data))
    assert [round(c.worse) for c in comparison.changes(*load.load(jobs))] == [50]


def test_every_score_is_compared_once(tmp_path: Path, command: Command) -> None:
    """All scores are compared; ``score`` repeats one of them and is left out."""
    a = evaluated(tmp_path, 1, {"a/acc,none": 0.9, "z/acc,none": 0.8})
    b = evaluated(tmp_path, 2, {"a/acc,none": 0.9, "z/acc,none": 0.2})
    found = comparison.changes(*load.load([a, b]))
    assert [(c.figure, round(c.worse)) for c in found] == [
        ("scores.a/acc,none", 0),
        ("scores.z/acc,none", 75),
    ]
    assert command("--compare", a, b, "--fail-above", 5) == 1


def test_a_score_without_a_name_is_compared_as_score(tmp_path: Path) -> None:
    """SGLang's evaluator writes one score and other numbers next to it; a missing number is reported."""
    a, b = (evaluated(tmp_path, n, {"score:std": 0.1}, score) for n, score in ((1, 0.8), (2, 0.6)))
    found = comparison.changes(*load.load([a, b]))
    assert [(c.figure, round(c.worse)) for c in found] == [("score", 25), ("scores.score:std", 0)]
    one, other = load.load([a, evaluated(tmp_path, 3, {"x": 1.0}, 0.6)])
    assert comparison.missing_results(one, other) == ["lm-eval: no scores.score:std in dsr1 3"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"parameters": {"isl": "8192", "osl": "128"}}, "isl: 1024 and 8192"),
        ({"parameters": {"isl": "1024"}}, "osl: 128 and -"),
        ({"benchmark": "sglang-bench"}, "benchmark: sa-bench and sglang-bench"),
        ({"gpus": {"total": 8, "prefill": 2, "decode": 6}}, "prefill GPUs: 4 and 2; decode GPUs: 4 and 6"),
        ({"gpus": {"total": 16, "prefill": 4, "decode": 4}}, "GPUs: 8 and 16"),
        ({"model": "org/other", "precision": "fp4"}, "model: org/m and org/other; precision: fp8 and fp4"),
        ({"parameters": {"isl": "1024", "osl": "128", "client": "vllm"}}, "client: - and vllm"),
        (
            {"parameters": {"isl": "1024", "osl": "128", "command": "x" * 80}},
            f"- and {'x' * 28}...{'x' * 28}",
        ),
    ],
)
def test_a_comparison_warns_about_different_conditions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], says: str, command: Command
) -> None:
    """Jobs with different workloads or hardware are not comparable."""
    gpus = {"gpus": {"total": 8, "prefill": 4, "decode": 4}}
    a, b = job(tmp_path, 1, record(2), **gpus), job(tmp_path, 2, record(2), **gpus | change)
    assert command("--compare", a, b) == 0
    (warning,) = [line for line in printed_lines(capsys) if "warning" in line]
    assert says in warning


def test_long_conditions_that_look_alike_are_named(tmp_path: Path) -> None:
    """Two long commands that differ only in the middle are reported by name."""
    parameters = [{"command": "x" * 40 + c + "x" * 40} for c in "ab"]
    a, b = (job(tmp_path, n, record(2), parameters=p) for n, p in enumerate(parameters))
    assert comparison.differing_conditions(*load.load([a, b])) == ["command"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--fail-above 5", "--fail-above requires --compare"),
        ("--threshold 5", "--threshold requires --compare"),
        ("--format svg", "--format requires --pictures"),
        ("--csv --json", "--csv and --json cannot be used together"),
        *((f"--compare {o}", f"--compare and {o.split()[0]} cannot be used together") for o in (
            "--csv", "--json", "--html p.html", "--pictures p")),
        ("--compare --fail-above nan", "0 or more"),
        ("--compare --fail-above -1", "0 or more"),
        ("--compare --threshold nan", "0 or more"),
    ],
)  # fmt: skip
def test_options_without_effect_are_usage_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: str, says: str, command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Nothing is printed and nothing is written, so that a script does not rely on an ignored option."""
    monkeypatch.chdir(tmp_path)
    runs = [job(tmp_path / "jobs", n, record(2)) for n in (1, 2)]
    assert command(*runs, *options.split()) == 2
    out, err = capsys.readouterr()
    assert (out, says in err) == ("", True), err
    assert [p.name for p in tmp_path.iterdir()] == ["jobs"]


def test_a_comparison_requires_two_runs(tmp_path: Path, command: Command) -> None:
    """One or three runs are a usage error; a broken run fails with 1."""
    runs = [job(tmp_path, n, record(2)) for n in (1, 2, 3)]
    assert command("--compare", runs[0]) == 2
    assert command("--compare", tmp_path) == 2
    (runs[1] / "results" / "summary.json").write_text("{")
    assert command("--compare", *runs[:2]) == 1


def test_equal_plans_have_no_differences(tmp_path: Path) -> None:
    """The Plan is read from the run or the job's directory; if it is missing or invalid, a note says so."""
    a, b = job(tmp_path, 1, record(2)), job(tmp_path, 2, record(2))
    assert plan_differences.diff_runs(a, b) == []
    (b.parent / "bundle").mkdir()
    (b / "bundle" / "plan.json").rename(b.parent / "bundle" / "plan.json")
    assert plan_differences.diff_runs(a, b) == []
    (b.parent / "bundle" / "plan.json").write_text("[1]")
    assert plan_differences.diff_runs(a, b) == [
        f"(not compared: bundle/plan.json is missing or invalid in {b})"
    ]
    assert "no difference" in comparison.render(*load.load([a, b]), [], threshold=5)
