"""HTTP calls to workers: starting and stopping profilers, rejected calls, waiting for traces, slowing down decode."""

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
    """The requests that a worker received, and its answers by path."""

    url: str
    requests: list[tuple[str, Any]] = field(factory=list)
    answers: dict[str, tuple[int, str]] = field(factory=dict)


@pytest.fixture
def worker() -> Iterator[Worker]:
    """An HTTP server that answers 200 to every path without a configured answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.requests.append((self.path, json.loads(body)))
            status, text = found.answers.get(self.path, (200, '{"status": "ok"}'))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

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
    """A bundle and a run directory."""
    return Gate(tmp_path).make()


def test_a_worker_is_called_on_its_own_server(gate: Gate, worker: Worker) -> None:
    """The body is sent to /start_profile unchanged."""
    done = gate.bash(
        f"profile::start http '{{\"start_step\": 3}}' {worker.url}\nprofile::stop http {worker.url}\n"
    )
    assert done.returncode == 0, done.stderr
    assert worker.requests == [("/start_profile", {"start_step": 3}), ("/stop_profile", {})]


def test_the_newer_path_of_dynamo_is_used(gate: Gate, worker: Worker) -> None:
    """If a version lacks /engine/start_profile, /engine/control/start_profile is called."""
    worker.answers["/engine/start_profile"] = (404, "no such route")
    done = gate.bash(f"profile::start dynamo '{{}}' {worker.url}\n")
    assert done.returncode == 0, done.stderr
    assert [path for path, _ in worker.requests] == ["/engine/start_profile", "/engine/control/start_profile"]


@pytest.mark.parametrize("answer", [(500, "boom"), (200, '{"status": "error", "message": "boom"}')])
def test_a_rejected_call_fails_with_the_workers_message(
    gate: Gate, worker: Worker, answer: tuple[int, str]
) -> None:
    """An error in the body of a 200 response counts (W125), and so does a worker that does not answer."""
    worker.answers["/start_profile"] = answer
    done = gate.bash(f"bench::run profile_start '' '' profile::start http '{{}}' {worker.url}\n")
    assert (done.returncode, "boom" in done.stderr) == (1, True)
    done = gate.bash("profile::start http '{}' http://127.0.0.1:9\n")
    assert (done.returncode, "did not start" in done.stderr) == (1, True)


def test_a_profile_that_stopped_by_itself_is_not_a_failure(gate: Gate, worker: Worker) -> None:
    """SGLang stops by itself after its steps, and then rejects the call to stop."""
    worker.answers["/stop_profile"] = (500, "not in progress")
    done = gate.bash(f"profile::start http '{{}}' {worker.url}\nprofile::stop http {worker.url}\n")
    assert (done.returncode, "had already stopped" in done.stdout) == (0, True)


def test_a_failed_run_stops_the_profilers(gate: Gate, worker: Worker) -> None:
    """Workers stop recording before the job stops."""
    done = gate.bash(f"profile::start http '{{}}' {worker.url}\nbench::run x '' '' false\n")
    assert done.returncode == 1
    assert [path for path, _ in worker.requests] == ["/start_profile", "/stop_profile"]


def test_a_growing_trace_is_awaited(gate: Gate) -> None:
    """A trace is complete once it stops growing."""
    script = """
    profiles="${RUN_DIR}/profiles"; mkdir "${profiles}"
    (for i in 1 2 3; do sleep 0.5; printf x >>"${profiles}/t.json"; done) &
    profile::await_traces "${profiles}" all 1 1 '*.json'
    wc -c <"${profiles}/t.json"
    """
    done = gate.bash(script, SRT_PROFILE_QUIET_S="5", SRT_PROFILE_WAIT_S="120")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "3"


EXPECTED = (
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
def test_every_worker_must_leave_a_trace(gate: Gate, files: list[str], missing: list[str]) -> None:
    """Workers without a trace are named; an empty file does not count."""
    folder = gate.run_dir / "profiles [of a] run"
    for name in [*files, "decode/node2_decode_w9_empty.nsys-rep"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("" if "empty" in name else "x")
    done = gate.bash(
        f'profile::await_traces "${{RUN_DIR}}/profiles [of a] run" {EXPECTED}\n',
        SRT_PROFILE_WAIT_S="2" if missing else "60",
        SRT_PROFILE_QUIET_S="0",
    )
    assert done.returncode == (1 if missing else 0), done.stderr
    messages = done.stderr.partition(" s: ")[2].strip().split("; ")
    assert [text.partition(" (")[0] for text in messages if text] == missing


def test_a_mode_must_leave_one_trace_per_worker(gate: Gate) -> None:
    """Torch's traces do not contain the worker's name, so they are counted."""
    folder = gate.run_dir / "profiles" / "decode"
    folder.mkdir(parents=True)
    (folder / "1.trace.json.gz").write_text("x")
    wait = "profile::await_traces \"${RUN_DIR}/profiles\" decode 2 4 'decode/*.trace.json*'\n"
    done = gate.bash(wait, SRT_PROFILE_WAIT_S="2", SRT_PROFILE_QUIET_S="0")
    assert (done.returncode, "decode has 1 of 2" in done.stderr) == (1, True)
    (folder / "2.trace.json.gz").write_text("x")
    done = gate.bash(wait, SRT_PROFILE_WAIT_S="60", SRT_PROFILE_QUIET_S="0")
    assert done.returncode == 0
    assert done.stderr == "warning: decode: 2 of 4 ranks wrote a trace (decode/*.trace.json*)\n"
    for name in ("3.trace.json", "4.trace.json"):
        (folder / name).write_text("x")
    assert gate.bash(wait, SRT_PROFILE_WAIT_S="60", SRT_PROFILE_QUIET_S="0").stderr == ""


@pytest.mark.parametrize(
    ("command", "wait", "code"), [("sleep 2", "1", 0), ("true", "3", 0), ("exit 7", "3", 7)]
)
def test_workers_are_slowed_down_for_a_while(
    gate: Gate, worker: Worker, command: str, wait: str, code: int
) -> None:
    """The delay is removed after the wait or after the load, and the client's exit code is kept."""
    done = gate.bash(f"bench::slowed 0.5 {wait} {worker.url} -- bash -c '{command}'\n")
    assert done.returncode == code, done.stderr
    assert worker.requests == [
        ("/slow_down", {"forward_sleep_time": 0.5}),
        ("/slow_down", {"forward_sleep_time": None}),
    ]


def test_a_worker_that_cannot_be_slowed_down_fails_the_run(gate: Gate, worker: Worker) -> None:
    """No load is sent, because its figures would be wrong."""
    worker.answers["/slow_down"] = (404, "")
    done = gate.bash(f"bench::run x '' '' bench::slowed 0.5 9 {worker.url} -- echo sent\n")
    assert done.returncode != 0
    assert "sent" not in done.stdout.splitlines()
