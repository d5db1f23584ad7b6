"""The result gate: success means results, and whatever there is stays."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from gate import GOOD, Gate, writes
from records import AWKS, LIB


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A run of two rungs that has not begun."""
    return Gate(tmp_path).make()


def test_a_whole_ladder_is_complete(gate: Gate) -> None:
    """Every rung is there with its figures per GPU and user, in the planned order."""
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
def test_a_rung_without_a_result_ends_the_step(gate: Gate, command: str, code: int, reason: str) -> None:
    """The step ends with the client's code or 80, says why, and the rungs before it are kept (W121, W122)."""
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


def test_a_report_of_an_earlier_run_is_not_taken(gate: Gate) -> None:
    """A file that lay there before and was not written again is no result (W121)."""
    gate.result("concurrency_2").write_text('{"completed": 1, "total_output_tokens": 9}')
    done = gate.bash("sleep 0.05\n" + gate.call("concurrency_2", "true"))
    assert (done.returncode, "the file is older than this run" in done.stderr) == (80, True)


def test_an_older_evaluation_in_tmp_is_not_taken(gate: Gate, tmp_path: Path) -> None:
    """The evaluator's report of another run, in /tmp, is left where it is (W121)."""
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
from tiny_eval import score  # what a copy could not import if it were relative
file = "{ADDRESS}"
if __name__ == "__main__":
    open(sys.argv[1] + "_m.json", "w").write('{{"score": %s, "chars": 2}}' % score(file))
"""


def copied(
    gate: Gate, tmp_path: Path, questions: Path, address: str = ADDRESS
) -> subprocess.CompletedProcess[str]:
    """Run an evaluator whose program has an address, with a file for it."""
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


def test_a_file_takes_the_place_of_an_address(gate: Gate, tmp_path: Path) -> None:
    """A copy of the evaluator reads it, whatever its name; the evaluator stays as it is, nothing in TMPDIR is imported or left."""
    questions = tmp_path / 'our "own" \\n & more.csv'
    questions.write_text("0.25")
    done = copied(gate, tmp_path, questions)
    assert done.returncode == 0, done.stderr
    assert gate.summary()["runs"][0]["score"] == 0.25
    assert (tmp_path / "tiny_eval" / "run.py").read_text() == EVALUATOR
    assert [p.name for p in (tmp_path / "tmp").iterdir()] == ["tiny_eval.py"]


def test_an_evaluator_without_that_address_is_refused(gate: Gate, tmp_path: Path) -> None:
    """Else it would fetch its questions after all."""
    done = copied(gate, tmp_path, tmp_path / "q.csv", "https://host/other.csv")
    assert (done.returncode, "does not read" in done.stderr) == (1, True)


def test_a_failed_run_is_tried_again(gate: Gate, tmp_path: Path) -> None:
    """``benchmark.retries`` gives a run further chances, with the model still loaded."""
    flaky = f"echo x >>{tmp_path}/tries; [[ $(wc -l <{tmp_path}/tries) -ge 3 ]] || exit 4; " + writes(GOOD)
    done = gate.bash(gate.call("concurrency_2", flaky), SRT_BENCH_RETRIES="2")
    assert done.returncode == 0, done.stderr
    assert gate.summary()["runs"][0]["tries"] == 3
    assert "failed with 4 (try 2 of 3)" in done.stderr


def test_retries_come_to_an_end(gate: Gate) -> None:
    """After the last try the run has failed, with how often it was tried."""
    done = gate.bash(gate.call("concurrency_2", "exit 4"), SRT_BENCH_RETRIES="1")
    assert (done.returncode, gate.summary()["runs"][0]["tries"]) == (4, 2)


def test_a_warm_up_that_fails_ends_the_ladder(gate: Gate) -> None:
    """A run without a result is no rung, but the ladder does not go on behind it."""
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
    """What ran and how it ended; before that it is missing."""
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


def test_what_never_ran_is_missing(gate: Gate) -> None:
    """A rung that the job did not come to stands in the summary without figures."""
    gate.bash(gate.call("concurrency_2", writes(GOOD)))
    assert gate.summary()["runs"][1] == {
        "name": "concurrency_4", "status": "missing", "reason": "", "client": "vllm",
        "result": "results/concurrency_4.json", "concurrency": 4,
    }  # fmt: skip


def test_the_end_of_the_job_is_in_the_summary(gate: Gate) -> None:
    """job.sh writes the summary once more, with class, code, cause and the traces that profilers left."""
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
    """Nothing was planned, nothing is written, nothing fails."""
    (gate.folder / "bundle" / "files" / "benchmark.tsv").unlink()
    assert gate.bash("results::summarize\n").returncode == 0
    assert not (gate.run_dir / "results" / "summary.json").exists()


def test_the_failing_command_is_reached_in_functions_too(gate: Gate) -> None:
    """aiperf that fails before it writes a report is a failed run with its code (W127)."""
    file = gate.result("concurrency_2")
    done = gate.bash(
        f"bench::run concurrency_2 '{file}' aiperf bench::aiperf '{file}' '{gate.folder}/a' -- bash -c 'exit 6'\n"
    )
    assert (done.returncode, gate.summary()["runs"][0]["exit_code"]) == (6, 6)


@pytest.mark.parametrize(
    ("tokenizer", "offline", "seen"),
    [("/models/m", "1", "-"), ("org/m", "1", "1"), ("/models/m", "", "-")],
)
def test_aiperf_loads_a_tokenizers_folder_where_the_job_is_offline(
    gate: Gate, tokenizer: str, offline: str, seen: str
) -> None:
    """Offline it would look for the folder on the hub; a name of the hub stays offline."""
    program = "bash -c 'echo \"seen ${HF_HUB_OFFLINE:--} ${OTHER}\"' --tokenizer"
    done = gate.bash(
        f"bench::aiperf /dev/null '{gate.folder}/a' -- {program} {tokenizer}\n",
        HF_HUB_OFFLINE=offline,
        OTHER="kept",
    )
    assert done.stdout.splitlines()[-1] == f"seen {seen} kept", done.stderr
    assert ("running aiperf without HF_HUB_OFFLINE" in done.stdout) == (offline not in (seen, ""))


def test_a_whole_trace_is_sent(gate: Gate) -> None:
    """As many requests as the trace has lines; empty ones do not count."""
    trace = gate.folder / "t.jsonl"
    trace.write_text('{"input_length": 1}\n\n{"input_length": 2}\n{"input_length": 3}')
    done = gate.bash(f"bench::aiperf_trace '{trace}' /dev/null '{gate.folder}/a' -- echo aiperf --x 1\n")
    assert done.stdout.splitlines()[-1] == "aiperf --x 1 --request-count 3"


@pytest.mark.parametrize(("sum_", "code"), [("good", 0), ("bad", 1)])
def test_a_trace_is_what_its_checksum_says(gate: Gate, sum_: str, code: int) -> None:
    """A file with another checksum ends the step before anything is measured."""
    trace = gate.folder / "t.jsonl"
    trace.write_text("{}\n")
    done = gate.bash(
        f"s=$(sha256sum '{trace}'); [[ {sum_} == good ]] || s=0000\nbench::verify '{trace}' \"${{s%% *}}\"\n"
    )
    assert done.returncode == code


def test_a_large_report_is_read_by_its_figures(gate: Gate) -> None:
    """A client that keeps every token's time leaves hundreds of megabytes; texts in it are not taken for figures."""
    big = {
        "generated_texts": ['say "completed": 99, "total_output_tokens": 1'],
        "itls": [[0.25] * 1000] * 2000,
    }
    gate.folder.joinpath("big.json").write_text(json.dumps(GOOD | big))
    done = gate.bash(gate.call("concurrency_2", f'cp {gate.folder}/big.json "$F"'))
    assert done.returncode == 0, done.stderr
    record = gate.summary()["runs"][0]
    assert (record["completed"], record["output_tokens"], record["tokens_per_s_per_user"]) == (10, 320, 250)


def test_a_large_report_tells_how_many_were_sent(gate: Gate) -> None:
    """The last list of the prompts' lengths counts, one in a text does not; what was never sent has not failed."""
    texts = [json.dumps({"input_lens": [1] * 99})]
    first, last = ({"input_lens": [7] * n, "itls": [[0.25] * 1000] * 1000} for n in (50, 12))
    lines = [json.dumps(GOOD | {"generated_texts": texts} | more) for more in (first, last)]
    gate.folder.joinpath("big.json").write_text("\n".join(lines) + "\n")
    done = gate.bash(gate.call("concurrency_2", f'cp {gate.folder}/big.json "$F"', client="sglang"))
    record = gate.summary()["runs"][0]
    assert (record["completed"], record["failed"]) == (10, 2), done.stderr


FILL = {"itls": [[0.25] * 1000] * 1800}
"""What makes a report large."""
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
def test_half_of_a_large_report_is_no_result(gate: Gate, report: str) -> None:
    """A file that was cut off is noticed, however large, and wherever it ends."""
    gate.folder.joinpath("big.json").write_text(report)
    done = gate.bash(gate.call("concurrency_2", f'cp {gate.folder}/big.json "$F"'))
    assert (done.returncode, "not valid JSON" in done.stderr) == (80, True)


LENGTHS = {"input_lens": [7] * 12, "outputs": {"input_lens": [1] * 99, "completed": 98}}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("awk", AWKS)
def test_the_figures_of_a_large_report_are_those_of_its_last_document(
    tmp_path: Path, awk: str, *, indent: int | None
) -> None:
    """Its own members, not those of a value within, of a text, or of a run before; in any layout."""
    before = GOOD | {"completed": 3, "failed": 5, "input_lens": [1] * 50}
    report = {"config": {"duration": 9, "all": [{"failed": 4}]}} | TEXTS | GOOD | LENGTHS | {"e": 1.5e-3}
    file = tmp_path / "r.jsonl"
    file.write_text("\n".join(json.dumps(d, indent=indent) for d in (before, report)) + "\n")
    done = subprocess.run([*awk.split(), "-f", LIB / "reduce.awk", file], capture_output=True, check=True)
    assert json.loads(done.stdout) == GOOD | {"sent": 12, "e": 1.5e-3, "reduced": 1}
