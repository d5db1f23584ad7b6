"""Calls of workers' HTTP interface: profiling starts, stops, notices refusals, waits for traces; decode is slowed down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from gate import Gate

pytestmark = pytest.mark.slow


@define
class Worker:
    """What was asked of it, and how it answers by path."""

    url: str
    asked: list[tuple[str, Any]] = field(factory=list)
    answers: dict[str, tuple[int, str]] = field(factory=dict)


@pytest.fixture
def worker() -> Iterator[Worker]:
    """An HTTP server that answers 200 unless it is told otherwise."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.asked.append((self.path, json.loads(body)))
            status, text = found.answers.get(self.path, (200, '{"status": "ok"}'))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Worker(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A run directory."""
    return Gate(tmp_path).make()


def test_a_worker_with_its_own_server_is_called_there(gate: Gate, worker: Worker) -> None:
    """The body goes to /start_profile as it stands."""
    done = gate.bash(
        f"profile::start http '{{\"start_step\": 3}}' {worker.url}\nprofile::stop http {worker.url}\n"
    )
    assert done.returncode == 0, done.stderr
    assert worker.asked == [("/start_profile", {"start_step": 3}), ("/stop_profile", {})]


def test_dynamos_later_path_is_found(gate: Gate, worker: Worker) -> None:
    """A version that does not know /engine/start_profile is asked at /engine/control/start_profile."""
    worker.answers["/engine/start_profile"] = (404, "no such route")
    done = gate.bash(f"profile::start dynamo '{{}}' {worker.url}\n")
    assert done.returncode == 0, done.stderr
    assert [path for path, _ in worker.asked] == ["/engine/start_profile", "/engine/control/start_profile"]


@pytest.mark.parametrize("answer", [(500, "boom"), (200, '{"status": "error", "message": "boom"}')])
def test_a_refusal_is_a_failure_with_its_words(gate: Gate, worker: Worker, answer: tuple[int, str]) -> None:
    """Also one that comes with status 200 (W125); a worker that does not answer at all likewise."""
    worker.answers["/start_profile"] = answer
    done = gate.bash(f"bench::run profile_start '' '' profile::start http '{{}}' {worker.url}\n")
    assert (done.returncode, "boom" in done.stderr) == (1, True)
    done = gate.bash("profile::start http '{}' http://127.0.0.1:9\n")
    assert (done.returncode, "did not start" in done.stderr) == (1, True)


def test_a_window_that_has_passed_is_no_failure(gate: Gate, worker: Worker) -> None:
    """SGLang stops by itself after its steps, and then refuses to be stopped."""
    worker.answers["/stop_profile"] = (500, "not in progress")
    done = gate.bash(f"profile::start http '{{}}' {worker.url}\nprofile::stop http {worker.url}\n")
    assert (done.returncode, "had ended" in done.stdout) == (0, True)


def test_a_run_that_fails_stops_the_recording(gate: Gate, worker: Worker) -> None:
    """Workers do not go on recording while the job stops."""
    done = gate.bash(f"profile::start http '{{}}' {worker.url}\nbench::run x '' '' false\n")
    assert done.returncode == 1
    assert [path for path, _ in worker.asked] == ["/start_profile", "/stop_profile"]


def test_traces_are_waited_for_until_they_are_quiet(gate: Gate) -> None:
    """A trace that still grows is not complete."""
    script = """
    profiles="${RUN_DIR}/profiles"; mkdir "${profiles}"
    (for i in 1 2 3; do sleep 1; printf x >>"${profiles}/t.json"; done) &
    profile::await_traces "${profiles}" all 1 1 '*.json'
    wc -c <"${profiles}/t.json"
    """
    done = gate.bash(script, SRT_PROFILE_QUIET_S="2", SRT_PROFILE_WAIT_S="20")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "3"


OWED = (
    "prefill 1 1 'prefill/*.trace.json*' decode_0 1 1 'decode/node*_decode_w0_*.nsys-rep' "
    "decode_1 1 1 'decode/node*_decode_w1_*.nsys-rep'"
)


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ([], ["prefill has 0 of 1", "decode_0 has 0 of 1", "decode_1 has 0 of 1"]),
        (["prefill/a.trace.json.gz"], ["decode_0 has 0 of 1", "decode_1 has 0 of 1"]),
        (["prefill/memory.pickle", "decode/node1_decode_w0_x.nsys-rep"], ["prefill has 0 of 1", "decode_1 has 0 of 1"]),
        (["prefill/a.trace.json", "decode/node1_decode_w0_x.nsys-rep", "decode/node1_decode_w11_x.nsys-rep"],
         ["decode_1 has 0 of 1"]),
        (["prefill/a.trace.json", "decode/node1_decode_w0_x.nsys-rep", "decode/node2_decode_w1_x.nsys-rep"], []),
    ],
)  # fmt: skip
def test_every_worker_owes_a_trace(gate: Gate, files: list[str], missing: list[str]) -> None:
    """A profile of some of the workers is none: who has left nothing is named, and what is empty does not count."""
    folder = gate.run_dir / "profiles [of a] run"
    for name in [*files, "decode/node2_decode_w9_empty.nsys-rep"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("" if "empty" in name else "x")
    done = gate.bash(
        f'profile::await_traces "${{RUN_DIR}}/profiles [of a] run" {OWED}\n',
        SRT_PROFILE_WAIT_S="2",
        SRT_PROFILE_QUIET_S="0",
    )
    assert done.returncode == (1 if missing else 0), done.stderr
    said = done.stderr.partition(" s: ")[2].strip().split("; ")
    assert [text.partition(" (")[0] for text in said if text] == missing


def test_a_mode_owes_as_many_traces_as_it_has_workers(gate: Gate) -> None:
    """Torch's traces do not bear their worker's name, so they are counted."""
    folder = gate.run_dir / "profiles" / "decode"
    folder.mkdir(parents=True)
    (folder / "1.trace.json.gz").write_text("x")
    wait = "profile::await_traces \"${RUN_DIR}/profiles\" decode 2 4 'decode/*.trace.json*'\n"
    done = gate.bash(wait, SRT_PROFILE_WAIT_S="1", SRT_PROFILE_QUIET_S="0")
    assert (done.returncode, "decode has 1 of 2" in done.stderr) == (1, True)
    (folder / "2.trace.json.gz").write_text("x")
    done = gate.bash(wait, SRT_PROFILE_WAIT_S="3", SRT_PROFILE_QUIET_S="0")
    assert done.returncode == 0
    assert done.stderr == "warning: decode has 2 traces of 4 ranks (decode/*.trace.json*)\n"
    for name in ("3.trace.json", "4.trace.json"):
        (folder / name).write_text("x")
    assert gate.bash(wait, SRT_PROFILE_WAIT_S="3", SRT_PROFILE_QUIET_S="0").stderr == ""


@pytest.mark.parametrize(
    ("command", "wait", "code"), [("sleep 2", "1", 0), ("true", "3", 0), ("exit 7", "3", 7)]
)
def test_workers_are_slowed_down_and_let_go(
    gate: Gate, worker: Worker, command: str, wait: str, code: int
) -> None:
    """After the wait, or when the load is over; the client's code stays."""
    done = gate.bash(f"bench::slowed 0.5 {wait} {worker.url} -- bash -c '{command}'\n")
    assert done.returncode == code, done.stderr
    assert worker.asked == [
        ("/slow_down", {"forward_sleep_time": 0.5}),
        ("/slow_down", {"forward_sleep_time": None}),
    ]


def test_a_worker_that_cannot_be_slowed_down_fails_the_run(gate: Gate, worker: Worker) -> None:
    """The load is not sent: its figures would be of something else."""
    worker.answers["/slow_down"] = (404, "")
    done = gate.bash(f"bench::run x '' '' bench::slowed 0.5 9 {worker.url} -- echo sent\n")
    assert done.returncode != 0
    assert "sent" not in done.stdout.splitlines()
