"""Every flag that srtplan passes to a client exists in that client.

``clients.json`` holds the options of the clients' own argument parsers, by program and version, taken from their ``--help``; the
installed aiperf parses srtplan's command lines itself.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from bench_lab import LADDER, Lab, argv, bench
from corpus import unavailable
from parts import find_rig

KNOWN: dict[str, list[str]] = json.loads((Path(__file__).parent / "clients.json").read_text())
SGLANG = "type: sa-bench, isl: 128, osl: 32, concurrencies: [2], client: "
IMAGE = ", container_image: /other.sqsh"
PROGRAMS = {
    "sglang.bench_serving": (
        f"{SGLANG}sglang, use_chat_template: true",
        f"{SGLANG}sglang, dataset_name: custom, dataset_path: /d.jsonl",
        "type: sglang-bench, isl: 1, osl: 1, concurrencies: [1], use_chat_template: true",
    ),
    "vllm bench serve": (
        f"{SGLANG}vllm{IMAGE}, use_chat_template: true",
        f"{SGLANG}vllm{IMAGE}, dataset_name: custom, dataset_path: /d.jsonl, use_chat_template: false",
    ),
    "aiperf profile": (
        f"{SGLANG}aiperf, req_rate: 4",
        f"{SGLANG}aiperf, dataset_name: custom, dataset_path: /d.jsonl, reuse_http_connections: true",
        "type: router, isl: 400",
        "type: trace-replay, trace_file: /t.jsonl, concurrencies: [2]",
        "type: trace-replay, trace_file: /t.jsonl, concurrencies: [2], aiperf_args: {num-requests: 3}",
        "type: mooncake-router, trace_file: /t.jsonl",
    ),
    "lm_eval": (
        "type: lm-eval, num_fewshot: 2, limit: 3, max_tokens: 9, include_path: /tasks",
        "type: lm-eval, tasks: [mmlu], use_chat_template: false",
        "type: gsm8k, client: lm-eval, temperature: 0.5",
    ),
    "sglang.test.run_eval": (
        "type: gsm8k, dataset_path: /d.jsonl, temperature: 0.5, top_k: 4",
        "type: gpqa",
        "type: gpqa, dataset_path: /d.csv",
        "type: mmlu",
        "type: longbenchv2, num_examples: 3, categories: [Code], dataset_path: /d.csv",
    ),
}
ABSENT = {("sglang.test.run_eval 0.5.7", "gsm8k"), ("sglang.test.run_eval 0.5.23", "gpqa"),
          ("sglang.test.run_eval 0.5.23", "mmlu"), ("sglang.test.run_eval 0.5.23", "longbenchv2")}  # fmt: skip
"""Versions that do not have an evaluation at all; docs/reference/benchmarks.md says so."""


def flags(words: list[str]) -> set[str]:
    """Return the long options of a command, without their values."""
    return {w.partition("=")[0] for w in words if w.startswith("--") and w != "--"}


@pytest.mark.parametrize("client", KNOWN)
def test_every_flag_exists_in_the_client(lab: Lab, client: str) -> None:
    """An unknown flag would fail the run after an hour of loading."""
    program, _, version = client.rpartition(" ")
    tried = 0
    for benchmark in PROGRAMS[program]:
        if (f"{program} {version}", benchmark.split()[1].rstrip(",")) in ABSENT:
            continue
        for run in bench(lab.plan(benchmark)).runs:
            assert flags(argv(run)) <= set(KNOWN[client]), benchmark
            tried += 1
    assert tried


PARSE = """
import json, sys
from aiperf.cli import app
for words in json.load(sys.stdin):
    try:
        app.parse_args(words, exit_on_error=False)
    except BaseException as error:
        sys.exit(f"{words}: {error!r}")
"""


@pytest.mark.parts
def test_aiperfs_parser_accepts_our_command_lines(lab: Lab) -> None:
    """Names, values and combinations are valid; one process parses all of them, because aiperf takes seconds to load."""
    venv = find_rig()
    if venv is None:
        unavailable("the rig of real parts is not installed; run tests/rig/install")
    (lab.folder / "t.jsonl").write_text("{}\n")
    known = {
        "/t.jsonl": str(lab.folder / "t.jsonl"), "/d.jsonl": str(lab.folder / "t.jsonl"), "${IP[0]}": "127.0.0.1",
        "${RUN_DIR}": str(lab.folder),
    }  # fmt: skip
    commands = [
        [replaced(word, known) for word in words[words.index("aiperf") + 1 :]]
        for benchmark in PROGRAMS["aiperf profile"]
        for words in (argv(run) for run in bench(lab.plan(benchmark)).runs)
    ]
    assert len(commands) >= len(PROGRAMS["aiperf profile"])
    done = subprocess.run(
        [venv / "bin" / "python3", "-c", PARSE], input=json.dumps(commands), capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def replaced(word: str, known: dict[str, str]) -> str:
    """Return a word with the plan's files and references replaced by those of this machine."""
    for text, value in known.items():
        word = word.replace(text, value)
    return word


def test_the_shared_test_recipe_has_known_flags(lab: Lab) -> None:
    """The recipe that most tests use passes only flags that the client knows."""
    assert flags(argv(bench(lab.plan(LADDER)).runs[0])) <= set(KNOWN["sglang.bench_serving 0.5.7"])
