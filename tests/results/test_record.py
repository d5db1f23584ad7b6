"""record.awk: reports of every client become one shape, and what is no result is found out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from records import AWKS, SAMPLES, finite, ladder, ladder_reason, run, text

awks = pytest.mark.parametrize("awk", AWKS)
NUMBER = (
    st.integers(0, 10**9)
    | st.floats(0, 1e9, allow_subnormal=False)
    | st.sampled_from([float("nan"), float("inf"), None, "7", True])
)
KEYS = [
    "completed",
    "failed",
    "num_prompts",
    "duration",
    "total_input_tokens",
    "total_output_tokens",
    "request_throughput",
    "output_throughput",
    "total_token_throughput",
    "mean_ttft_ms",
    "median_ttft_ms",
    "p99_ttft_ms",
    "median_tpot_ms",
    "std_tpot_ms",
    "p95_itl_ms",
    "mean_e2el_ms",
    "p90_e2el_ms",
]
REPORTS = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, NUMBER))


def sample(name: str) -> bytes:
    """A real report."""
    return (SAMPLES / name).read_bytes()


@awks
@settings(max_examples=60, deadline=None)
@given(
    report=REPORTS,
    requests=st.none() | st.integers(0, 10**6),
    gpus=st.integers(0, 64),
    bound=st.sampled_from([0, 0.05, 1]),
)
def test_any_load_report_is_read_as_python_reads_it(
    awk: str, report: dict[str, Any], requests: int | None, gpus: int, bound: float
) -> None:
    """Figures, derived figures and the verdict agree with Python for every report, NaN, text and holes included."""
    facts = {"concurrency": 4, "requests": requests}
    verdict, record = run(text(report), "vllm", awk=awk, facts=facts, gpus=gpus, bound=str(bound))
    expected = ladder(report, requests, gpus)
    for key, value in expected.items():
        assert record[key] == (value if value is None else pytest.approx(value, rel=1e-8)), key
    good = ladder_reason(expected, bound)
    event(f"counts: {good}")
    assert verdict.startswith("ok ") == good
    assert (record["status"], record["reason"] == "") == (("ok", True) if good else ("failed", False))


@awks
@settings(max_examples=40, deadline=None)
@given(
    scores=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8),
        st.floats(0, 1),
        max_size=6,
    ),
    score=st.floats(0.01, 1),
)
def test_scores_of_any_name_survive(awk: str, scores: dict[str, float], score: float) -> None:
    """Names with quotes, slashes, tildes and any letters come back as they were."""
    own = {
        k: v
        for k, v in scores.items()
        if k not in ("score", "mean_score", "latency", "output_throughput", "chars")
    }
    report = json.dumps(own | {"score": score, "chars": 5.0}, ensure_ascii=False).encode()
    verdict, record = run(report, "sglang-eval", awk=awk)
    assert verdict.startswith("ok score ")
    expected = own | {"chars": 5.0}
    shown = {"".join("?" if c < " " and c not in "\n\t" else c for c in k): v for k, v in expected.items()}
    if len(shown) == len(expected):
        assert record["scores"] == pytest.approx(shown)


@pytest.mark.parametrize(
    ("name", "client", "figures"),
    [
        (
            "aiperf-0.13.0.json",
            "aiperf",
            {"completed": 40, "output_tokens": 7680, "ttft_ms_p50": 28.213950999999998},
        ),
        ("aiperf-0.13.0-trace.json", "aiperf", {"output_tokens": 306, "failed": 0}),
        (
            "aiperf-0.13.0-goodput.json",
            "aiperf",
            {"completed": 12, "good_requests_per_s": 10.610882484468526},
        ),
        ("sglang-0.5.23.jsonl", "sglang", {"completed": 10, "output_tokens": 282, "failed": 0}),
        (
            "sglang-eval-0.5.11-gsm8k.json",
            "sglang-eval",
            {"score": 0, "output_tokens_per_s": 823.4542483524057},
        ),
        ("lm-eval-0.4.13.json", "lm-eval", {"score": 0}),
    ],
)
@awks
def test_real_reports_are_understood(awk: str, name: str, client: str, figures: dict[str, float]) -> None:
    """Reports that the clients really wrote give their figures, and count."""
    verdict, record = run(sample(name), client, awk=awk, facts={"concurrency": 2, "requests": 10})
    assert verdict.startswith("ok "), verdict
    assert {k: record[k] for k in figures} == figures


def test_all_records_have_the_same_keys() -> None:
    """Whoever reads summary.json finds every key with every client, null where nothing is known."""
    clients = {
        "aiperf-0.13.0.json": "aiperf",
        "sglang-0.5.23.jsonl": "sglang",
        "lm-eval-0.4.13.json": "lm-eval",
    }
    shapes = {tuple(run(sample(name), client)[1]) for name, client in clients.items()}
    assert len(shapes) == 1


def test_lm_evals_scores_have_names_of_task_and_metric() -> None:
    """Every metric is there, standard errors and counts are not."""
    assert run(sample("lm-eval-0.4.13.json"), "lm-eval")[1]["scores"] == {"tiny_sums/exact_match,none": 0.0}


def test_several_rounds_have_a_mean_score() -> None:
    """With ``--repeat`` SGLang's evaluator writes ``mean_score`` and texts instead of ``score``."""
    report = {"chars": 812.5, "scores": ["0.701", "0.699"], "mean_score": 0.7, "latency": 9.5}
    verdict, record = run(text(report), "sglang-eval")
    assert (verdict, record["score"], record["duration_s"]) == ("ok score 0.7", 0.7, 9.5)


@pytest.mark.parametrize(
    ("client", "report", "says"),
    [
        ("sglang", b"", "no JSON"),
        ("sglang", b'{"completed": 3', "no JSON"),
        ("vllm", text({"completed": 10, "total_output_tokens": 0}), "no output tokens"),
        ("vllm", text({"completed": 0, "total_output_tokens": 5}), "no request was completed"),
        ("vllm", text({"completed": 90, "failed": 10, "total_output_tokens": 5}), "10 of 100 requests failed"),
        ("trtllm", text({"completed": 90, "num_prompts": 100, "total_output_tokens": 5}), "10 of 100 requests failed"),
        ("aiperf", text({"total_osl": {"avg": 9}, "was_cancelled": True}), "cancelled"),
        ("aiperf", text({"total_osl": {"avg": 9}, "is_complete": False}), "not complete"),
        ("aiperf", text({"total_osl": {"avg": 9}, "request_count": {"avg": 4},
                         "error_summary": [{"count": 2}, {"count": 1}]}), "3 of 7 requests failed"),
        ("sglang-eval", text({"latency": 3}), "no score"),
        ("sglang-eval", text({"score": 0.25, "chars": 0.0}), "answered nothing"),
        ("lm-eval", text({"results": {}}), "no score"),
    ],
)  # fmt: skip
def test_what_is_no_result_is_found_out(client: str, report: bytes, says: str) -> None:
    """Empty, broken, cancelled, without tokens, with too many failures: the reason is said (W121, W122)."""
    verdict, record = run(report, client)
    assert verdict.startswith("bad ")
    assert says in verdict
    assert (record["status"], record["reason"]) == ("failed", verdict.removeprefix("bad "))


def test_an_evaluation_whose_requests_all_failed_is_no_result() -> None:
    """A real case: the evaluator of SGLang 0.5.23 sends what Dynamo refuses, scores 0 and exits with 0."""
    verdict, _ = run(sample("sglang-eval-0.5.23-no-tokens.json"), "sglang-eval")
    assert verdict == "bad no answer had tokens"


def test_the_reason_of_the_shell_comes_first() -> None:
    """A client that failed keeps its reason, and the figures that it left all the same."""
    verdict, record = run(sample("sglang-0.5.23.jsonl"), "sglang", reason="failed with 3")
    assert (verdict, record["reason"], record["output_tokens"]) == ("bad failed with 3", "failed with 3", 282)


def test_numbers_stay_as_the_client_wrote_them() -> None:
    """Nothing is rounded on the way."""
    report = {"completed": 1, "total_output_tokens": 3, "median_ttft_ms": 0.1 + 0.2}
    assert finite(run(text(report), "vllm")[1]["ttft_ms_p50"]) == 0.1 + 0.2
