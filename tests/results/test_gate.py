"""The result gate: a job succeeds only with results, and results of earlier runs are kept."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from gate import GOOD, Gate, writes
from records import AWKS, LIB


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A benchmark of two runs that has not started."""
    return Gate(tmp_path).make()


def test_all_runs_make_a_complete_summary(gate: Gate) -> None:
    """Every run is listed in the planned order, with its figures per GPU and per user."""
    done = gate.bash(gate.call("concurrency_2", writes(GOOD)) + gate.call("concurrency_4", writes(GOOD)))
    assert done.returncode == 0, done.stderr
    summary = gate.summary()
    assert (summary["state"], summary["runs_ok"], summary["runs_planned"]) == ("complete", 2, 2)
    first, second = summary["runs"]
    assert (first["name"], first["concurrency"], second["concurrency"]) == ("concurrency_2", 2, 4)
    assert (first["output_tokens_per_s"], first["output_tokens_per_s_per_gpu"]) == (160, 20)
    assert (first["output_tokens_per_s_per_decode_gpu"], first["tokens_per_s_per_user"]) == (40, 250)
    assert "320 output tokens" in done.stdout


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        ("true", 80, "wrote no result"),
        ('mkdir "$F"', 80, "wrote no result"),
        ("exit 9", 9, "failed with 9"),
        (writes({"completed": 3, "total_output_tokens": 0}), 80, "no output tokens"),
        (writes({"completed": 3, "num_prompts": 9, "total_output_tokens": 5}), 80, "6 of 9 requests failed"),
        (writes("text"), 80, "no output tokens"),
    ],
)
def test_a_run_without_a_result_fails_the_step(gate: Gate, command: str, code: int, reason: str) -> None:
    """The step fails with the client's code or 80 and a reason; earlier runs are kept (W121, W122)."""
    done = gate.bash(
        gate.call("concurrency_2", writes(GOOD)) + gate.call("concurrency_4", command),
        SRT_BENCH_MAX_FAILED_SHARE="0.05",
    )
    assert (done.returncode, reason in done.stderr) == (code, True), done.stderr
    summary = gate.summary()
    assert (summary["state"], summary["runs_ok"]) == ("partial", 1)
    assert [r["status"] for r in summary["runs"]] == ["ok", "failed"]
    assert reason in summary["runs"][1]["reason"]
    assert (gate.run_dir / "run" / "benchmark.reason").read_text().startswith("concurrency_4: ")


def test_an_older_report_is_not_a_result(gate: Gate) -> None:
    """A report that existed before the run and was not rewritten is ignored (W121)."""
    gate.result("concurrency_2").write_text('{"completed": 1, "total_output_tokens": 9}')
    done = gate.bash("sleep 0.05\n" + gate.call("concurrency_2", "true"))
    assert (done.returncode, "the file is older than this run" in done.stderr) == (80, True)


def test_an_older_evaluation_in_tmp_is_not_a_result(gate: Gate, tmp_path: Path) -> None:
    """The report of another evaluation in /tmp is ignored and left in place (W121)."""
    old = tmp_path / "gsm8k_m.json"
    old.write_text('{"score": 1.0}')
    file = gate.result("concurrency_2")
    done = gate.bash(
        f"sleep 0.05\nbench::run concurrency_2 '{file}' sglang-eval bench::evaluate '{file}' '{tmp_path}/gsm8k_m' -- true\n"
    )
    assert (done.returncode, file.exists()) == (80, False)
    fresh = f'bash -c \'echo page >{tmp_path}/gsm8k_m.html; echo "{{\\"score\\": 0.5, \\"chars\\": 9}}" >{tmp_path}/gsm8k_m.json\''
    done = gate.bash(
        f"sleep 0.05\nbench::run concurrency_2 '{file}' sglang-eval bench::evaluate '{file}' '{tmp_path}/gsm8k_m' -- {fresh}\n"
    )
    assert done.returncode == 0, done.stderr
    assert gate.summary()["runs"][0]["score"] == 0.5
    assert file.with_suffix(".html").read_text() == "page\n"


ADDRESS = "https://host/questions.csv"
EVALUATOR = f"""
import sys
from tiny_eval import score  # a copy could not resolve a relative import
file = "{ADDRESS}"
if __name__ == "__main__":
    open(sys.argv[1] + "_m.json", "w").write('{{"score": %s, "chars": 2}}' % score(file))
"""


def run_evaluator_copy(
    gate: Gate, tmp_path: Path, questions: Path, address: str = ADDRESS
) -> subprocess.CompletedProcess[str]:
    """Run an evaluator that reads ``address``, with a local file in its place."""
    package = tmp_path / "tiny_eval"
    package.mkdir()
    (package / "__init__.py").write_text("def score(path):\n    return open(path).read()\n")
    (package / "run.py").write_text(EVALUATOR)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "tiny_eval.py").write_text("raise SystemExit('planted')\n")
    file, prefix = gate.result("concurrency_2"), tmp_path / "report"
    command = f"bench::evaluate_copy {address} \"${{QUESTIONS}}\" '{file}' '{prefix}' -- python3 -m tiny_eval.run '{prefix}'"
    return gate.bash(
        f"bench::run concurrency_2 '{file}' sglang-eval {command}\n",
        PYTHONPATH=str(tmp_path),
        TMPDIR=str(tmp_path / "tmp"),
        QUESTIONS=str(questions),
    )


def test_a_local_file_replaces_an_address(gate: Gate, tmp_path: Path) -> None:
    """A copy of the evaluator reads the file; the evaluator is not modified, and nothing in TMPDIR is imported or left."""
    questions = tmp_path / 'our "own" \\n & more.csv'
    questions.write_text("0.25")
    done = run_evaluator_copy(gate, tmp_path, questions)
    assert done.returncode == 0, done.stderr
    assert gate.summary()["runs"][0]["score"] == 0.25
    assert (tmp_path / "tiny_eval" / "run.py").read_text() == EVALUATOR
    assert [p.name for p in (tmp_path / "tmp").iterdir()] == ["tiny_eval.py"]


def test_an_evaluator_without_the_address_is_rejected(gate: Gate, tmp_path: Path) -> None:
    """Otherwise it would download its questions."""
    done = run_evaluator_copy(gate, tmp_path, tmp_path / "q.csv", "https://host/other.csv")
    assert (done.returncode, "does not read" in done.stderr) == (1, True)


def test_a_failed_run_is_retried(gate: Gate, tmp_path: Path) -> None:
    """``benchmark.retries`` repeats a failed run while the model stays loaded."""
    flaky = f"echo x >>{tmp_path}/tries; [[ $(wc -l <{tmp_path}/tries) -ge 3 ]] || exit 4; " + writes(GOOD)
    done = gate.bash(gate.call("concurrency_2", flaky), SRT_BENCH_RETRIES="2")
    assert done.returncode == 0, done.stderr
    assert gate.summary()["runs"][0]["tries"] == 3
    assert "failed with 4 (try 2 of 3)" in done.stderr


def test_retries_are_limited(gate: Gate) -> None:
    """After the last try the run fails, and its record has the number of tries."""
    done = gate.bash(gate.call("concurrency_2", "exit 4"), SRT_BENCH_RETRIES="1")
    assert (done.returncode, gate.summary()["runs"][0]["tries"]) == (4, 2)


def test_a_failed_warm_up_fails_the_step(gate: Gate) -> None:
    """A warm-up has no record, but no run starts after it failed."""
    done = gate.bash(
        'bench::run warmup_2 "" "" bash -c "exit 5"\n' + gate.call("concurrency_2", writes(GOOD))
    )
    assert done.returncode == 5
    assert (gate.run_dir / "run" / "benchmark.reason").read_text() == "warmup_2: failed with 5\n"
    assert not (gate.run_dir / "results" / "summary.json").exists()


@pytest.mark.parametrize(("command", "code", "status"), [("true", 0, "ok"), ("exit 3", 3, "failed")])
def test_a_command_without_a_result_is_in_the_summary(
    tmp_path: Path, command: str, code: int, status: str
) -> None:
    """The summary shows the command with its exit code; before it ran, its status is missing."""
    gate = Gate(tmp_path, runs=()).make()
    with (tmp_path / "bundle" / "files" / "benchmark.tsv").open("a") as table:
        table.write('run\tcustom\t-\t-\t"concurrency":null\n')
    assert gate.bash("results::summarize\n").returncode == 0
    assert [(r["status"], r["client"], r["result"]) for r in gate.summary()["runs"]] == [("missing", "", "")]
    done = gate.bash(f'bench::run custom "" "" bash -c "{command}"\n')
    assert done.returncode == code, done.stderr
    (record,) = gate.summary()["runs"]
    assert (record["status"], record["exit_code"], record["result"]) == (status, code, "")
    assert gate.summary()["runs_ok"] == (status == "ok")


def test_a_run_that_never_started_is_missing(gate: Gate) -> None:
    """A run that the job did not reach is in the summary without figures."""
    gate.bash(gate.call("concurrency_2", writes(GOOD)))
    assert gate.summary()["runs"][1] == {
        "name": "concurrency_4", "status": "missing", "reason": "", "client": "vllm",
        "result": "results/concurrency_4.json", "concurrency": 4,
    }  # fmt: skip


def test_the_end_of_the_job_is_in_the_summary(gate: Gate) -> None:
    """At the end, job.sh rewrites the summary with exit class, code, cause and the traces of profilers."""
    traces = gate.run_dir / "logs" / "profiles" / "decode"
    traces.mkdir(parents=True)
    (traces / 'a "b".json.gz').write_text("x")
    done = gate.bash("CLASS=time_limit CODE=78 CAUSE='the \"limit\"\nis near'\nresults::summarize\n")
    assert done.returncode == 0, done.stderr
    summary = gate.summary()
    assert (summary["class"], summary["code"], summary["cause"]) == ("time_limit", 78, 'the "limit"\nis near')
    assert summary["profiles"] == ['logs/profiles/decode/a "b".json.gz']
    assert (summary["job_id"], summary["attempt"], summary["state"], summary["name"]) == (
        "7",
        "attempt_0",
        "none",
        "it's",
    )


def test_a_job_without_a_benchmark_has_no_summary(gate: Gate) -> None:
    """Without planned runs, no summary is written and nothing fails."""
    (gate.folder / "bundle" / "files" / "benchmark.tsv").unlink()
    assert gate.bash("results::summarize\n").returncode == 0
    assert not (gate.run_dir / "results" / "summary.json").exists()


def test_the_exit_code_of_a_client_in_a_function_is_kept(gate: Gate) -> None:
    """If aiperf fails before it writes a report, the run fails with its exit code (W127)."""
    file = gate.result("concurrency_2")
    done = gate.bash(
        f"bench::run concurrency_2 '{file}' aiperf bench::aiperf '{file}' '{gate.folder}/a' -- bash -c 'exit 6'\n"
    )
    assert (done.returncode, gate.summary()["runs"][0]["exit_code"]) == (6, 6)


@pytest.mark.parametrize(
    ("tokenizer", "offline", "seen"),
    [("/models/m", "1", "-"), ("org/m", "1", "1"), ("/models/m", "", "-")],
)
def test_aiperf_loads_a_local_tokenizer_in_an_offline_job(
    gate: Gate, tokenizer: str, offline: str, seen: str
) -> None:
    """With HF_HUB_OFFLINE, aiperf would look for the directory on the hub; a hub name stays offline."""
    program = "bash -c 'echo \"seen ${HF_HUB_OFFLINE:--} ${OTHER}\"' --tokenizer"
    done = gate.bash(
        f"bench::aiperf /dev/null '{gate.folder}/a' -- {program} {tokenizer}\n",
        HF_HUB_OFFLINE=offline,
        OTHER="kept",
    )
    assert done.stdout.splitlines()[-1] == f"seen {seen} kept", done.stderr
    assert ("running aiperf without HF_HUB_OFFLINE" in done.stdout) == (offline not in (seen, ""))


def test_a_whole_trace_is_sent(gate: Gate) -> None:
    """The number of requests is the number of non-empty lines in the trace."""
    trace = gate.folder / "t.jsonl"
    trace.write_text('{"input_length": 1}\n\n{"input_length": 2}\n{"input_length": 3}')
    done = gate.bash(f"bench::aiperf_trace '{trace}' /dev/null '{gate.folder}/a' -- echo aiperf --x 1\n")
    assert done.stdout.splitlines()[-1] == "aiperf --x 1 --request-count 3"


@pytest.mark.parametrize(("sum_", "code"), [("good", 0), ("bad", 1)])
def test_a_trace_must_match_its_checksum(gate: Gate, sum_: str, code: int) -> None:
    """A wrong checksum fails the step before anything is measured."""
    trace = gate.folder / "t.jsonl"
    trace.write_text("{}\n")
    done = gate.bash(
        f"s=$(sha256sum '{trace}'); [[ {sum_} == good ]] || s=0000\nbench::verify '{trace}' \"${{s%% *}}\"\n"
    )
    assert done.returncode == code


def test_figures_of_a_large_report_are_read(gate: Gate) -> None:
    """A report with the time of every token has hundreds of megabytes; texts in it are not taken for figures."""
    big = {
        "generated_texts": ['say "completed": 99, "total_output_tokens": 1'],
        "itls": [[0.25] * 1000] * 2000,
    }
    gate.folder.joinpath("big.json").write_text(json.dumps(GOOD | big))
    done = gate.bash(gate.call("concurrency_2", f'cp {gate.folder}/big.json "$F"'))
    assert done.returncode == 0, done.stderr
    record = gate.summary()["runs"][0]
    assert (record["completed"], record["output_tokens"], record["tokens_per_s_per_user"]) == (10, 320, 250)


def test_a_large_report_has_the_number_of_sent_requests(gate: Gate) -> None:
    """The last list of prompt lengths counts, not one in a text; requests that were never sent have not failed."""
    texts = [json.dumps({"input_lens": [1] * 99})]
    first, last = ({"input_lens": [7] * n, "itls": [[0.25] * 1000] * 1000} for n in (50, 12))
    lines = [json.dumps(GOOD | {"generated_texts": texts} | more) for more in (first, last)]
    gate.folder.joinpath("big.json").write_text("\n".join(lines) + "\n")
    done = gate.bash(gate.call("concurrency_2", f'cp {gate.folder}/big.json "$F"', client="sglang"))
    record = gate.summary()["runs"][0]
    assert (record["completed"], record["failed"]) == (10, 2), done.stderr


FILL = {"itls": [[0.25] * 1000] * 1800}
"""A value that makes a report large."""
TEXTS = {"generated_texts": ['a "completed": 7} ] {', "a \\", '"]', "}"]}


@pytest.mark.parametrize(
    "report",
    [
        json.dumps(GOOD | FILL)[:-9],
        json.dumps(GOOD | FILL)[:-1],
        json.dumps(GOOD | FILL | {"text": "and so on }"})[:-2],
        json.dumps(GOOD | FILL) + "\n" + json.dumps(GOOD | TEXTS)[:-5],
        json.dumps(GOOD | FILL) + "\n{",
        json.dumps(GOOD | FILL)[:-1] + "]",
        "[" + json.dumps(GOOD | FILL),
    ],
)
def test_a_truncated_large_report_is_not_a_result(gate: Gate, report: str) -> None:
    """A truncated report is detected wherever it ends."""
    gate.folder.joinpath("big.json").write_text(report)
    done = gate.bash(gate.call("concurrency_2", f'cp {gate.folder}/big.json "$F"'))
    assert (done.returncode, "not valid JSON" in done.stderr) == (80, True)


LENGTHS = {"input_lens": [7] * 12, "outputs": {"input_lens": [1] * 99, "completed": 98}}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("awk", AWKS)
def test_a_large_report_is_reduced_to_its_last_document(
    tmp_path: Path, awk: str, *, indent: int | None
) -> None:
    """Only top-level members of the last document count, in any layout: not nested values, texts or earlier runs."""
    before = GOOD | {"completed": 3, "failed": 5, "input_lens": [1] * 50}
    report = {"config": {"duration": 9, "all": [{"failed": 4}]}} | TEXTS | GOOD | LENGTHS | {"e": 1.5e-3}
    file = tmp_path / "r.jsonl"
    file.write_text("\n".join(json.dumps(d, indent=indent) for d in (before, report)) + "\n")
    done = subprocess.run([*awk.split(), "-f", LIB / "reduce.awk", file], capture_output=True, check=True)
    assert json.loads(done.stdout) == GOOD | {"sent": 12, "e": 1.5e-3, "reduced": 1}
