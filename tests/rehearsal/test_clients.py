"""The simulated load clients: what they send, the files they leave, how they fail."""

# ruff: noqa: S104 (engines listen on all interfaces; here that is one node)

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from programs import Programs

SERVER = (
    "python3",
    "-m",
    "sglang.launch_server",
    "--model-path",
    "/m",
    "--served-model-name",
    "m",
    "--host",
    "0.0.0.0",
)
SGLANG: tuple[str, ...] = (
    "python3",
    "-m",
    "sglang.bench_serving",
    "--host",
    "node0",
    "--port",
    "30000",
    "--model",
    "m",
    "--dataset-name",
    "random",
)
SGLANG += (
    "--random-input-len",
    "64",
    "--random-output-len",
    "16",
    "--num-prompts",
    "12",
    "--max-concurrency",
    "4",
)
AIPERF: tuple[str, ...] = (
    "aiperf",
    "profile",
    "-m",
    "m",
    "--tokenizer",
    "m",
    "--url",
    "http://node0:30000",
    "--streaming",
    "--isl",
    "64",
)
AIPERF += (
    "--osl",
    "16",
    "--concurrency",
    "4",
    "--request-count",
    "12",
    "--artifact-dir",
    "out",
    "--ui",
    "simple",
)


@pytest.fixture
def server(programs: Programs) -> Programs:
    """Start a server that clients can load."""
    programs.start(*SERVER, "--port", "30000")
    programs.eventually("/health", 30000)
    return programs


def result(programs: Programs, name: str) -> dict[str, Any]:
    """Read a JSON file that a client has left."""
    value = json.loads((programs.folder / name).read_text())
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("backend", ["sglang-oai", "sglang-oai-chat", "vllm"])
def test_sglang_s_client(server: Programs, backend: str) -> None:
    """`--output-file` gets a line of JSON per run, with the tokens that came out."""
    for _ in range(2):
        code, log = server.run(
            *SGLANG, "--backend", backend, "--seed", "1", "--disable-tqdm", "--output-file", "r.jsonl"
        )
        assert code == 0, log
    first, second = (json.loads(line) for line in (server.folder / "r.jsonl").read_text().splitlines())
    assert first["completed"] == second["completed"] == 12
    assert first["total_output_tokens"] == 12 * 16
    assert {
        "median_ttft_ms",
        "mean_tpot_ms",
        "p99_itl_ms",
        "mean_e2e_latency_ms",
        "output_throughput",
    } <= set(first)


@pytest.mark.parametrize("kind", ["completions", "chat"])
def test_aiperf(server: Programs, kind: str) -> None:
    """The report has aiperf's names, units and statistics."""
    code, log = server.run(*AIPERF, "--endpoint-type", kind)
    assert code == 0, log
    report = result(server, "out/profile_export_aiperf.json")
    assert report["total_output_tokens"] == {"unit": "tokens", "avg": 192.0}
    assert report["request_count"]["avg"] == 12.0
    assert set(report["time_to_first_token"]) >= {
        "unit",
        "avg",
        "p50",
        "p99",
        "min",
        "max",
        "std",
        "count",
        "sum",
    }
    assert (server.folder / "out" / "profile_export_aiperf.csv").read_text().startswith("Metric,avg")


@pytest.mark.parametrize(("bound", "good"), [("60000", 12.0), ("0", 0.0)])
def test_aiperf_counts_requests_within_bounds(server: Programs, bound: str, good: float) -> None:
    """With --goodput, as the real one does: all bounds must be met; without it there is no such metric."""
    bounds = f"time_to_first_token:60000 inter_token_latency:{bound}"
    assert server.run(*AIPERF, "--endpoint-type", "chat", "--goodput", bounds)[0] == 0
    report = result(server, "out/profile_export_aiperf.json")
    assert report["good_request_count"]["avg"] == good
    rate = report["request_throughput"]["avg"]
    assert report["goodput"]["avg"] == pytest.approx(rate if good else 0)
    assert server.run(*AIPERF, "--endpoint-type", "chat")[0] == 0
    assert "goodput" not in result(server, "out/profile_export_aiperf.json")


def test_sglang_s_client_sends_no_more_than_there_is(server: Programs) -> None:
    """Of a data set with five rows five prompts are sent, and the details count them."""
    (server.folder / "d.jsonl").write_text('{"conversations": []}\n' * 5)
    argv = [word if word != "random" else "custom" for word in SGLANG]
    argv += ["--dataset-path", "d.jsonl", "--output-details", "--output-file", "r.jsonl"]
    code, log = server.run(*argv, "--backend", "sglang-oai")
    assert code == 0, log
    report = result(server, "r.jsonl")
    assert (report["completed"], len(report["input_lens"])) == (5, 5)


def test_aiperf_replays_a_trace(server: Programs) -> None:
    """Without --request-count the trace's lines are the requests."""
    (server.folder / "t.jsonl").write_text('{"input_length": 1}\n' * 5)
    argv = [word for word in AIPERF if word not in ("--request-count", "12")]
    code, log = server.run(
        *argv, "--endpoint-type", "chat", "--input-file", "t.jsonl", "--custom-dataset-type", "mooncake_trace"
    )
    assert code == 0, log
    assert result(server, "out/profile_export_aiperf.json")["request_count"]["avg"] == 5.0


@pytest.mark.parametrize(
    "program", [("vllm", "bench", "serve"), ("python3", "-m", "tensorrt_llm.serve.scripts.benchmark_serving")]
)
def test_vllm_s_client_and_tensorrt_llm_s(server: Programs, program: tuple[str, ...]) -> None:
    """Both have the same options and the same result file."""
    argv = (
        *program,
        "--backend",
        "openai",
        "--base-url",
        "http://node0:30000",
        "--model",
        "m",
        "--num-prompts",
        "6",
    )
    argv += (
        "--random-input-len",
        "32",
        "--random-output-len",
        "8",
        "--save-result",
        "--result-dir",
        "deep/er",
    )
    code, log = server.run(*argv, "--result-filename", "r.json", "--ignore-eos", step="client")
    assert code == 0, log
    report = result(server, "deep/er/r.json")
    assert (report["completed"], report["total_output_tokens"], report["num_prompts"]) == (6, 48, 6)


def test_a_long_run_is_short_here_and_reported_in_full(server: Programs) -> None:
    """A rehearsal sends a few of many requests, says so, and lets them stand for all."""
    argv = [*SGLANG[: SGLANG.index("--num-prompts")], "--num-prompts", "5000", "--max-concurrency", "512"]
    code, log = server.run(*argv, "--backend", "sglang-oai", "--output-file", "r.jsonl")
    assert code == 0
    assert "stand for 5000, 512 at a time" in log
    report = result(server, "r.jsonl")
    assert (report["completed"], report["total_output_tokens"]) == (5000, 80000)


@pytest.mark.parametrize(
    "argv", [(*SGLANG, "--backend", "sglang-oai", "--output-file", "r"), (*AIPERF, "--endpoint-type", "chat")]
)
def test_a_client_fails_if_all_requests_do(programs: Programs, argv: tuple[str, ...]) -> None:
    """Nobody listens: exit 1."""
    assert programs.run(*argv)[0] == 1


def test_a_client_fails_for_a_model_that_is_not_served(server: Programs) -> None:
    """A wrong model name is a 404 for each request, and exit 1."""
    argv = [word if word != "m" else "other" for word in SGLANG]
    code, log = server.run(
        *argv, "--backend", "sglang-oai", "--warmup-requests", "0", "--output-file", "r.jsonl"
    )
    assert code == 1
    assert "The model `other` does not exist" in log


def test_an_evaluation_leaves_its_score(server: Programs) -> None:
    """run_eval asks a few questions and writes /tmp/NAME_MODEL.json."""
    (server.folder / "tmp").mkdir()
    argv = (
        "python3",
        "-m",
        "sglang.test.run_eval",
        "--base-url",
        "http://node0:30000",
        "--eval-name",
        "gpqa",
    )
    mounts = {"SRT_REHEARSAL_MOUNTS": f"{server.folder}/tmp:/tmp"}  # noqa: S108 (where run_eval writes)
    assert server.run(*argv, "--num-examples", "8", env=mounts)[0] == 0
    report = result(server, str(Path("tmp") / "gpqa_m.json"))
    assert report["score"] == 1.0
    assert report["output_throughput"] > 0
