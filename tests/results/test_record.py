"""record.awk: reports of all clients become records of one form, and reports without a result are detected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from effort import examples
from hypothesis import event, given, settings
from hypothesis import strategies as st
from records import (
    AIPERF,
    AIPERF_TIMES,
    AWKS,
    EVERY,
    LADDER,
    LIB,
    QUANTILES,
    SAMPLES,
    Figures,
    counts,
    figures,
    finite,
    reader,
    run,
    text,
)

from srtplan.benchmarks import custom
from srtplan.ir.shell import notation
from srtplan.plugin import ReportReader
from srtplan.plugin.readers import CLIENTS, FIGURES
from srtplan.rehearsal.simulated.aiperf import report as simulated_report
from srtplan.rehearsal.simulation.load import Result, Run

awks = pytest.mark.parametrize("awk", AWKS)
NUMBER = (
    st.integers(0, 10**9)
    | st.floats(0, 1e9, allow_subnormal=False)
    | st.sampled_from([float("nan"), float("inf"), None, "7", True])
)
LADDER_KEYS = [
    *(name for names in LADDER.values() for name in names),
    "num_prompts",
    *(f"{q}_{t}_ms" for t in ("ttft", "tpot", "itl", "e2el", "e2e_latency") for q in ("median", *QUANTILES)),
]
WHOLE = {"completed": 40, "duration": 2.5, "total_output_tokens": 300, "mean_ttft_ms": 4.5}
BARE = st.fixed_dictionaries({}, optional=dict.fromkeys(LADDER_KEYS, NUMBER))
LADDERS = st.tuples(
    st.sampled_from([{}, WHOLE]), BARE, st.none() | st.lists(st.integers(0, 9), max_size=60)
).map(
    lambda t: (
        t[0]
        | {k: v for k, v in t[1].items() if k not in t[0]}
        | ({"input_lens": t[2]} if t[2] is not None else {})
    )
)
STATISTICS = st.fixed_dictionaries({}, optional=dict.fromkeys(("avg", *QUANTILES), NUMBER))
AIPERF_KEYS = [
    *(name for names in AIPERF.values() for name in names),
    *AIPERF_TIMES.values(),
    "error_request_count",
]
ERRORS = st.lists(st.fixed_dictionaries({"count": st.integers(0, 9)}), max_size=3)
AIPERFS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(AIPERF_KEYS, STATISTICS) | {"error_summary": ERRORS}
)
AIPERF_WHOLE = {
    "request_count": {"avg": 40.0},
    "benchmark_duration": {"avg": 2.5},
    "total_osl": {"avg": 300.0},
    "time_to_first_token": {"avg": 4.5, "p50": 4.25},
}


def sample(name: str) -> bytes:
    """The content of a sample report."""
    return (SAMPLES / name).read_bytes()


def agree(record: dict[str, Any], expected: Figures) -> None:
    """Assert that every figure equals the one that Python computed."""
    for key in EVERY:
        value = expected[key]
        assert record[key] == (value if value is None else pytest.approx(value, rel=1e-8)), key


@awks
@settings(max_examples=examples(30), deadline=None)
@given(
    report=LADDERS,
    client=st.sampled_from(["sglang", "vllm", "trtllm"]),
    requests=st.none() | st.integers(0, 10**6),
    dataset=st.sampled_from([None, "/d.jsonl"]),
    gpus=st.tuples(st.integers(0, 64), st.integers(0, 64)),
    bound=st.sampled_from([0, 0.05, 1]),
)
def test_any_load_report_is_read_as_python_reads_it(
    awk: str, report: dict[str, Any], client: str, requests: int | None, dataset: str | None, gpus: tuple[int, int], bound: float
) -> None:  # fmt: skip
    """Figures and verdict equal Python's for any report, including NaN, text and missing values."""
    facts = {"concurrency": 4, "requests": requests, "dataset": dataset}
    verdict, record = run(
        text(report), client, awk=awk, facts=facts, gpus=gpus[0], decode=gpus[1], bound=str(bound)
    )
    expected = figures(report, client, facts=facts, gpus=gpus[0], decode=gpus[1])
    agree(record, expected)
    good = counts(expected, bound)
    event(f"counts: {good}")
    assert verdict.startswith("ok ") == good
    assert (record["status"], record["reason"] == "") == (("ok", True) if good else ("failed", False))


@awks
@settings(max_examples=examples(30), deadline=None)
@given(
    whole=st.booleans(),
    report=AIPERFS,
    gpus=st.tuples(st.integers(0, 64), st.integers(0, 64)),
    bound=st.sampled_from([0, 0.05, 1]),
)
def test_any_report_of_aiperf_is_read_as_python_reads_it(
    awk: str, report: dict[str, Any], gpus: tuple[int, int], bound: float, *, whole: bool
) -> None:
    """Figures and verdict equal Python's for aiperf's own names, statistics and units."""
    report |= AIPERF_WHOLE if whole else {}
    verdict, record = run(text(report), "aiperf", awk=awk, gpus=gpus[0], decode=gpus[1], bound=str(bound))
    expected = figures(report, "aiperf", gpus=gpus[0], decode=gpus[1])
    agree(record, expected)
    good = counts(expected, bound)
    event(f"counts: {good}")
    assert verdict.startswith("ok ") == good


@awks
@settings(max_examples=examples(25), deadline=None)
@given(
    scores=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8),
        st.floats(0, 1),
        max_size=6,
    ),
    score=st.floats(0.01, 1),
)
def test_scores_keep_any_name(awk: str, scores: dict[str, float], score: float) -> None:
    """Names with quotes, slashes, tildes and any letters are unchanged."""
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
    ("name", "client", "facts"),
    [
        ("aiperf-0.13.0.json", "aiperf", {}),
        ("aiperf-0.13.0-trace.json", "aiperf", {}),
        ("aiperf-0.13.0-goodput.json", "aiperf", {}),
        ("sglang-0.5.23.jsonl", "sglang", {"requests": 10}),
        ("sglang-0.5.11-custom.jsonl", "sglang", {"requests": 10, "dataset": "/d.jsonl"}),
        ("vllm-0.33.0.json", "vllm", {}),
        ("vllm-0.33.0-chat-goodput.json", "vllm", {}),
        ("trtllm-1.x-documented.json", "trtllm", {}),
    ],
)
@awks
def test_every_figure_of_a_real_report_is_read(
    awk: str, name: str, client: str, facts: dict[str, Any]
) -> None:
    """All figures equal those of the report, and no figure that the client measures is missing."""
    facts = {"concurrency": 2} | facts
    verdict, record = run(sample(name), client, awk=awk, facts=facts, gpus=8, decode=3, bound="0.1")
    assert verdict.startswith("ok "), verdict
    expected = figures(json.loads(sample(name)), client, facts=facts, gpus=8, decode=3)
    agree(record, expected)
    if "trace" not in name and "custom" not in name:
        assert {k for k in EVERY if record[k] is None} <= {"good_requests_per_s", "accept_length", "score"}


@pytest.mark.parametrize(
    ("name", "figure", "value"),
    [
        ("aiperf-0.13.0-goodput.json", "good_requests_per_s", 10.610882484468526),
        ("aiperf-0.13.0-goodput.json", "tpot_ms_p99", 0.9561939989473685),
        ("aiperf-0.13.0-goodput.json", "itl_ms_p99", 3.5041220699999998),
        ("vllm-0.33.0-chat-goodput.json", "good_requests_per_s", 19.94174226063852),
        ("trtllm-1.x-documented.json", "good_requests_per_s", 1.8823529411764706),
        ("trtllm-1.x-documented.json", "failed", 1),
        ("sglang-0.5.23.jsonl", "total_tokens_per_s_per_gpu", 9238.666609665474 / 8),
        ("sglang-0.5.23.jsonl", "e2e_ms_p50", 29.843472000266047),
        ("sglang-0.5.11-custom.jsonl", "failed", 0),
    ],
)
def test_some_figures_by_hand(name: str, figure: str, value: float) -> None:
    """Both readers could have the same error, so these figures were read from the reports by hand."""
    facts = {"concurrency": 2, "requests": 10} | ({"dataset": "/d.jsonl"} if "custom" in name else {})
    record = run(sample(name), name.partition("-")[0], facts=facts)[1]
    assert record[figure] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "client", "found"),
    [
        ("sglang-eval-0.5.11-gsm8k.json", "sglang-eval", (0, 823.4542483524057, 0.11658206900028745)),
        ("lm-eval-0.4.13.json", "lm-eval", (0, None, 11.963050805999956)),
        ("lm-eval-0.4.13-gsm8k-documented.json", "lm-eval", (0.5, None, 61.5)),
    ],
)
@awks
def test_a_real_evaluation_is_read(awk: str, name: str, client: str, found: tuple[float | None, ...]) -> None:
    """The record has the score, token rate and duration; lm-eval writes its seconds as a string."""
    verdict, record = run(sample(name), client, awk=awk)
    assert verdict.startswith("ok "), verdict
    assert (record["score"], record["output_tokens_per_s"], record["duration_s"]) == found


def test_all_records_have_the_same_keys() -> None:
    """A record has every key with every client; unknown values are null."""
    clients = {
        "aiperf-0.13.0.json": "aiperf",
        "sglang-0.5.23.jsonl": "sglang",
        "lm-eval-0.4.13.json": "lm-eval",
    }
    shapes = {tuple(run(sample(name), client)[1]) for name, client in clients.items()}
    assert len(shapes) == 1


@awks
def test_scores_of_lm_eval_are_named_by_task_and_metric(awk: str) -> None:
    """The record has every metric of every task, without standard errors and counts, and marks lower-is-better metrics."""
    record = run(sample("lm-eval-0.4.13-gsm8k-documented.json"), "lm-eval", awk=awk)[1]
    assert record["scores"] == {
        "gsm8k/exact_match,flexible-extract": 0.875,
        "gsm8k/exact_match,strict-match": 0.825,
        "wikitext/bits_per_byte,none": 0.625,
        "wikitext/word_perplexity,none": 11.25,
        "zz_group/acc,none": 0.5,
        "zz_group/acc_norm,none": 0.75,
    }
    assert list(record["scores"]) == sorted(record["scores"])
    assert record["lower_is_better"] == ["wikitext/bits_per_byte,none", "wikitext/word_perplexity,none"]
    assert run(sample("lm-eval-0.4.13.json"), "lm-eval", awk=awk)[1]["lower_is_better"] == []


@pytest.mark.parametrize(
    ("results", "score"),
    [
        ({"gsm8k": {"exact_match,flexible-extract": 0.9, "exact_match,strict-match": 0.8}}, 0.8),
        ({"t": {"exact_match,flexible-extract": 0.9, "exact_match,get_response": 0.8}}, 0.8),
        ({"t": {"acc,none": 0.1, "exact_match,none": 0.2}}, 0.2),
        ({"t": {"a_metric,none": 0.1, "acc_norm,none": 0.2, "acc,none": 0.3}}, 0.3),
        ({"t": {"a_loss,none": 9.0, "b_f1,none": 0.4}}, 0.4),
        ({"b": {"acc,none": 0.1}, "a": {"bleu": 0.6}}, 0.6),
        ({"a_leaf": {"acc,none": 0.1}, "group": {"acc,none": 0.7}}, 0.7),
        ({"ifeval": {"inst_level_loose_acc,none": 0.1, "prompt_level_strict_acc,none": 0.5}}, 0.5),
    ],
)
@awks
def test_the_score_is_the_most_significant_metric(awk: str, results: dict[str, Any], score: float) -> None:
    """Exact match and accuracy come first, strict before flexible, higher-is-better before lower, groups before tasks."""
    report = {
        "results": results,
        "groups": {"group": {}},
        "n-samples": {"t": {"effective": 3}},
        "higher_is_better": {"t": {"a_loss": False}},
    }
    assert run(text(report), "lm-eval", awk=awk)[1]["score"] == score


def test_repeated_evaluations_have_a_mean_score() -> None:
    """With ``--repeat``, SGLang's evaluator writes ``mean_score`` and strings instead of ``score``."""
    report = {"chars": 812.5, "scores": ["0.701", "0.699"], "mean_score": 0.7, "latency": 9.5}
    verdict, record = run(text(report), "sglang-eval")
    assert (verdict, record["score"], record["duration_s"]) == ("ok score 0.7", 0.7, 9.5)


LM_EVAL = {"results": {"a": {"acc,none": 0.5}}}


@pytest.mark.parametrize(
    ("client", "report", "says"),
    [
        ("sglang", b"", "not valid JSON"),
        ("sglang", b'{"completed": 3', "not valid JSON"),
        ("vllm", text({"completed": 10, "total_output_tokens": 0}), "no output tokens"),
        ("vllm", text({"completed": 0, "total_output_tokens": 5}), "no request completed"),
        ("vllm", text({"completed": 90, "failed": 10, "total_output_tokens": 5}), "10 of 100 requests failed"),
        ("trtllm", text({"completed": 90, "num_prompts": 100, "total_output_tokens": 5}), "10 of 100 requests failed"),
        ("vllm", text({"total_output_tokens": 9}), "no number of completed requests"),
        ("vllm", text({k: v for k, v in WHOLE.items() if k != "duration"}), "no duration"),
        ("sglang", text(WHOLE | {"duration": 0.0}), "no duration"),
        ("trtllm", text({k: v for k, v in WHOLE.items() if k != "mean_ttft_ms"}), "no time to the first token"),
        ("vllm", text(WHOLE | {"failed": -3}), "negative number of failed"),
        ("vllm", text({"completed": 3e9, "failed": 5e9, "total_output_tokens": 5}), "5000000000 of 8000000000 requests"),
        ("vllm", text(WHOLE).replace(b"2.5", b"1e999"), "no duration"),
        ("sglang", text(WHOLE | {"total_output_tokens_retokenized": 0}), "no text received"),
        ("sglang", text(WHOLE | {"mean_ttft_ms": 0.0, "median_ttft_ms": 0.0}), "time to the first token is 0"),
        ("aiperf", text(AIPERF_WHOLE | {"time_to_first_token": {"avg": 0}}), "time to the first token is 0"),
        ("aiperf", text({"total_osl": {"avg": 9}, "was_cancelled": True}), "cancelled"),
        ("aiperf", text({"total_osl": {"avg": 9}, "is_complete": False}), "incomplete"),
        ("aiperf", text({"total_osl": {"avg": 9}}), "no number of completed requests"),
        ("aiperf", text(AIPERF_WHOLE | {"benchmark_duration": {}}), "no duration"),
        ("aiperf", text(AIPERF_WHOLE | {"time_to_first_token": {"p99": 3}}), "no time to the first token"),
        ("aiperf", text({"total_osl": {"avg": 9}, "request_count": {"avg": 4},
                         "error_summary": [{"count": 2}, {"count": 1}]}), "3 of 7 requests failed"),
        ("sglang-eval", text({"latency": 3}), "no score"),
        ("sglang-eval", text({"score": 0.25, "chars": 0.0}), "returned no text"),
        ("sglang-eval", text({"score": 0, "output_throughput": 0, "latency": 3}), "the model returned no tokens"),
        ("lm-eval", text({"results": {}}), "no score"),
        ("lm-eval", text(LM_EVAL), "no sample counts"),
        ("lm-eval", text(LM_EVAL | {"n-samples": {"a": {"original": 9, "effective": 0}}}), "no sample of a was evaluated"),
        ("lm-eval", text(LM_EVAL | {"n-samples": {"b": {"effective": 3}, "a/x": {"effective": 0}}}), "no sample of a/x"),
        ("lm-eval", text({"results": {"a": {"acc,none": 0.5, "sample_len": 0}}}), "no sample of a was evaluated"),
    ],
)  # fmt: skip
@awks
def test_a_report_without_a_result_is_detected(awk: str, client: str, report: bytes, says: str) -> None:
    """The reason is named: empty, broken, cancelled, no tokens, counts or times, too many failures (W121, W122)."""
    verdict, record = run(report, client, awk=awk)
    assert verdict.startswith("bad ")
    assert says in verdict
    assert (record["status"], record["reason"]) == ("failed", verdict.removeprefix("bad "))


@pytest.mark.parametrize(
    ("client", "facts", "more", "failed"),
    [
        ("sglang", {"requests": 100, "dataset": "/d.jsonl"}, {"input_lens": [1] * 40}, 0),
        ("sglang", {"requests": 100, "dataset": "/d.jsonl"}, {"input_lens": [1] * 80}, 40),
        ("sglang", {"requests": 100, "dataset": "/d.jsonl"}, {}, None),
        ("trtllm", {"requests": 100, "dataset": "/d.jsonl"}, {"num_prompts": 100}, None),
        ("vllm", {"requests": 100, "dataset": "/d.jsonl"}, {"num_prompts": 100}, 60),
        ("sglang", {"requests": 100}, {}, 60),
    ],
)
def test_only_sent_requests_can_fail(
    client: str, facts: dict[str, Any], more: dict[str, Any], failed: int | None
) -> None:
    """SGLang's client sends at most one request per row of its data set, vLLM's repeats rows; unknown counts are ignored."""
    verdict, record = run(text(WHOLE | more), client, facts=facts)
    assert (record["failed"], verdict.startswith("ok ")) == (failed, not failed)


def test_an_evaluation_without_successful_requests_is_not_a_result() -> None:
    """Dynamo rejects the requests of SGLang 0.5.23's evaluator, which then scores 0 and exits with 0."""
    verdict, _ = run(sample("sglang-eval-0.5.23-no-tokens.json"), "sglang-eval")
    assert verdict == "bad the model returned no tokens"


@awks
def test_large_counts_are_printed_in_full(awk: str) -> None:
    """mawk's ``%d`` is limited to 2^31."""
    verdict, record = run(text(WHOLE | {"total_output_tokens": 5 * 10**9}), "vllm", awk=awk)
    assert verdict.startswith("ok 5000000000 output tokens")
    assert record["output_tokens"] == 5 * 10**9


def test_real_and_simulated_aiperf_report_failed_requests() -> None:
    """Both report failed requests in the same way, and the gate detects them."""
    real = json.loads(sample("aiperf-0.13.0-failed.json"))
    good = Result(ttft=0.031, latency=0.031, gaps=[0.0], input_tokens=9, output_tokens=5)
    simulated = simulated_report(Run([good] * 6 + [Result(error="HTTP 500: no")] * 3, 0.16))
    for report in (real, simulated):
        verdict, record = run(text(report), "aiperf")
        assert verdict == "bad 3 of 9 requests failed, more than 5 %"
        assert (record["completed"], record["failed"], record["output_tokens"]) == (6, 3, 30)
    names = ("request_count", "completed_request_count", "error_request_count", "request_error_rate")
    assert {n: simulated[n] for n in names} == {n: real[n] for n in names}
    assert [e["count"] for e in simulated["error_summary"]] == [e["count"] for e in real["error_summary"]]
    assert "error_request_count" not in simulated_report(Run([good], 0.16))
    assert "error_request_count" not in json.loads(sample("aiperf-0.13.0.json"))


def test_completed_requests_of_aiperf_exclude_failures() -> None:
    """aiperf's ``completed_request_count`` includes failed requests and is not used."""
    report = {k: v for k, v in AIPERF_WHOLE.items() if k != "request_count"}
    report["completed_request_count"] = {"avg": 9.0}
    verdict, record = run(text(report), "aiperf")
    assert (record["completed"], "no number of completed requests" in verdict) == (None, True)


def test_the_reason_from_the_shell_takes_precedence() -> None:
    """The record of a failed client has the client's reason, and the figures of its report."""
    verdict, record = run(sample("sglang-0.5.23.jsonl"), "sglang", reason="failed with 3")
    assert (verdict, record["reason"], record["output_tokens"]) == ("bad failed with 3", "failed with 3", 282)


@pytest.mark.parametrize("name", ["total_throughput", "total_token_throughput"])
def test_a_total_reported_by_the_client_is_used(name: str) -> None:
    """SGLang's and vLLM's clients name the total differently; it is computed only if it is missing."""
    report = WHOLE | {"input_throughput": 1.0, "output_throughput": 2.0, name: 77.0}
    assert run(text(report), "sglang")[1]["total_tokens_per_s"] == 77


def test_numbers_are_copied_without_rounding() -> None:
    """A number in the record has the digits that the client wrote."""
    report = {"completed": 1, "total_output_tokens": 3, "median_ttft_ms": 0.1 + 0.2}
    assert finite(run(text(report), "vllm")[1]["ttft_ms_p50"]) == 0.1 + 0.2


@awks
def test_a_plugin_says_where_the_figures_of_its_report_are(awk: str, tmp_path: Path) -> None:
    """Pointers become figures, in the units of the summary; keys with quotes and slashes are found."""
    places: dict[str, str | tuple[str, float]] = {
        "completed": '/ok "requests"', "duration_s": ("/took~1ms", 0.001), "output_tokens": "/tokens/0", "ttft_ms_p50": "/first",
    }  # fmt: skip
    made = ReportReader("mine", places).file
    (tmp_path / "files" / "readers").mkdir(parents=True)
    (tmp_path / "files" / made.path).write_text(notation(made.text))
    report = {'ok "requests"': 4, "took/ms": 2500, "tokens": [80], "first": 12.5}
    verdict, record = run(text(report), "mine", awk=awk, bundle=tmp_path)
    assert verdict.startswith("ok 80 output tokens, 32 tokens/s, TTFT 12 ms")
    assert record["completed"] == 4
    assert record["duration_s"] == 2.5
    assert record["output_tokens_per_s"] == 32
    assert run(text(report | {"tokens": []}), "mine", awk=awk, bundle=tmp_path)[0] == "bad no output tokens"


@pytest.mark.parametrize(
    ("name", "figures", "says"),
    [
        ("mine", {"complete": "/ok"}, "unknown figure 'complete'"),
        ("mine", {"completed": "ok"}, "'ok' is not a JSON pointer"),
        ("a/b", {}, "not a valid reader name"),
        ("vllm", {}, "not a valid reader name"),
    ],
)
def test_a_reader_with_a_slip_is_refused(name: str, figures: dict[str, str], says: str) -> None:
    """Names of figures and pointers are checked when the plugin is loaded."""
    with pytest.raises(ValueError, match=says):
        ReportReader(name, figures)


def test_figures_of_readers_are_those_of_the_record() -> None:
    """Every figure that a plugin may give stands in the record, and the other way around, but for those computed from them."""
    record = run(b"", "")[1]
    known = [
        k for k, v in record.items() if v is None and k != "reason" and not k.endswith(("_gpu", "_user"))
    ]
    assert known == list(FIGURES)


def test_the_library_reads_what_srtplan_says_it_reads() -> None:
    """Each client has its file, and each file a client; ``custom`` takes the reports of all of them."""
    files = {Path(reader(client)).name for client in CLIENTS}
    assert files == {p.name for p in (LIB / "readers").iterdir()}
    formats, _ = get_args(get_type_hints(custom.Options)["result_format"])
    assert set(get_args(formats)) == CLIENTS - {""}
