"""The simulated Dynamo (etcd, NATS, workers, frontend), the SGLang router, and nginx."""

# ruff: noqa: S104 (engines listen on all interfaces; here that is one node)

from __future__ import annotations

import socket
import time
from collections import Counter
from typing import Any

import pytest
from busy import patient
from programs import Programs, Running

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
# keys of an instance as Dynamo 1.4.2 writes them, and of a worker as sglang-router 0.3.2 does
INSTANCE = {
    "component", "endpoint", "namespace", "instance_id", "transport", "device_type", "request_plane_codec",
}  # fmt: skip
WORKER = {
    "id", "url", "model_id", "priority", "cost", "worker_type", "is_healthy", "load", "connection_mode", "metadata",
    "disable_health_check",
}  # fmt: skip


@pytest.fixture
def infra(programs: Programs) -> dict[str, str]:
    """Start etcd and NATS on node 0, and give the environment of workers and frontends."""
    etcd = programs.start(
        "etcd", "--listen-client-urls", "http://0.0.0.0:2379", "--listen-peer-urls", "http://0.0.0.0:2380"
    )
    nats = programs.start("nats-server", "--jetstream", "--port", "4222")
    etcd.says("ready to serve")
    nats.says("Server is ready")
    return {
        "ETCD_ENDPOINTS": "http://node0:2379",
        "NATS_SERVER": "nats://node0:4222",
        "DYN_REQUEST_PLANE": "nats",
    }


def worker(
    programs: Programs, env: dict[str, str], kind: str, *more: str, node: int = 1, port: int = 8081
) -> Running:
    """Start a Dynamo worker with its status server on a port."""
    argv = ("python3", "-m", f"dynamo.{kind}", "--model-path", "/m", "--served-model-name", "m", *more)
    return programs.start(*argv, node=node, env=env | {"DYN_SYSTEM_PORT": str(port)})


def generating(programs: Programs, node: int = 2) -> dict[str, int]:
    """Return how many instances generate, by component, as the bundle's probe counts them."""
    rows = programs.get("/health", 8000, node=node)[1]["instances"]
    return dict(Counter(row["component"] for row in rows if row["endpoint"] == "generate"))


def until(programs: Programs, wanted: dict[str, int], timeout: float = 10.0) -> None:
    """Wait until the frontend counts the wanted instances."""
    end = time.monotonic() + patient(timeout)
    while generating(programs) != wanted:
        assert time.monotonic() < end, f"{generating(programs)}\n{programs.logs()}"
        time.sleep(0.05)


def test_the_frontend_is_up_before_its_workers(programs: Programs, infra: dict[str, str]) -> None:
    """GET /health is 200 with no instance, /v1/models empty; workers add instances of the true form."""
    programs.start("python3", "-m", "dynamo.frontend", "--http-port=8000", node=2, env=infra)
    health = programs.eventually("/health", 8000, node=2)
    assert (health["status"], health["instances"]) == ("healthy", [])
    assert programs.get("/v1/models", 8000, node=2)[1]["data"] == []
    worker(programs, infra, "sglang", "--disaggregation-mode", "prefill")
    worker(programs, infra, "sglang", "--disaggregation-mode", "decode", port=8082)
    until(programs, {"prefill": 1, "backend": 1})
    rows: list[dict[str, Any]] = programs.get("/health", 8000, node=2)[1]["instances"]
    assert all(set(row) == INSTANCE for row in rows)
    assert any(row["endpoint"] != "generate" for row in rows), "other endpoints must not be counted"
    body = {"model": "m", "prompt": "a", "max_tokens": 4}
    assert programs.get("/v1/completions", 8000, node=2, body=body)[1]["usage"]["completion_tokens"] == 4
    assert programs.get("/v1/completions", 8000, node=2, body=body | {"model": "x"})[0] == 404


@pytest.mark.parametrize(
    ("kind", "mode", "component"),
    [
        ("sglang", (), "backend"),
        ("mocker", ("--disaggregation-mode", "decode"), "backend"),
        ("mocker", ("--disaggregation-mode", "prefill"), "prefill"),
        ("vllm", ("--is-decode-worker",), "backend"),
        ("vllm", ("--is-prefill-worker",), "prefill"),
        ("trtllm", ("--disaggregation-mode", "prefill"), "prefill"),
        ("trtllm", (), "tensorrt_llm"),
    ],
)
def test_the_component_tells_the_mode(
    programs: Programs, infra: dict[str, str], kind: str, mode: tuple[str, ...], component: str
) -> None:
    """Each engine registers under the component that the real one has."""
    programs.start("python3", "-m", "dynamo.frontend", "--http-port", "8000", node=2, env=infra)
    programs.eventually("/health", 8000, node=2)
    worker(programs, infra, kind, *mode)
    until(programs, {component: 1})


def test_a_wrong_address_of_etcd_never_gets_healthy(programs: Programs, infra: dict[str, str]) -> None:
    """A worker that cannot reach etcd gives up with 1, and is never registered."""
    infra |= {"SRT_REHEARSAL_CONNECT": "1"}
    lost = worker(programs, infra | {"ETCD_ENDPOINTS": "http://node1:2379"}, "mocker")
    unknown = worker(programs, infra | {"NATS_SERVER": "nats://nowhere:4222"}, "mocker", node=2)
    assert lost.ends() == 1
    assert "unable to connect to etcd at http://node1:2379" in lost.log
    assert unknown.ends() == 1
    assert "Name or service not known: nowhere" in unknown.log


def test_workers_leave_at_once_or_with_their_lease(programs: Programs, infra: dict[str, str]) -> None:
    """TERM withdraws an instance at once; a killed worker's vanishes within seconds; the etcd's end ends all."""
    frontend = programs.start("python3", "-m", "dynamo.frontend", "--http-port", "8000", node=2, env=infra)
    programs.eventually("/health", 8000, node=2)
    first, second = worker(programs, infra, "mocker"), worker(programs, infra, "mocker", port=8082)
    third = worker(programs, infra, "mocker", port=8083)
    until(programs, {"backend": 3})
    assert first.stop() == 0
    until(programs, {"backend": 2}, timeout=1.0)
    second.process.kill()
    until(programs, {"backend": 1}, timeout=4.0)
    programs.started[0].process.kill()
    assert (frontend.ends(), third.ends()) == (1, 1)


def test_the_status_server_tells_when_a_worker_is_ready(programs: Programs, infra: dict[str, str]) -> None:
    """DYN_SYSTEM_PORT answers /health with 503 while the worker loads, then 200; profiling is called there."""
    worker(programs, infra | {"SRT_REHEARSAL_LOAD": "1"}, "sglang")
    programs.eventually("/health", 8081, node=1, status=503)
    programs.eventually("/health", 8081, node=1)
    assert programs.get("/engine/start_profile", 8081, node=1, body={})[0] == 200
    assert programs.get("/engine/unknown", 8081, node=1, body={})[0] == 404


def test_ports_of_a_worker_are_taken(programs: Programs, infra: dict[str, str]) -> None:
    """KV events and side channel are really bound: the same port twice on a node ends the second worker."""
    events = '{"publisher": "zmq", "topic": "kv-events", "endpoint": "tcp://*:5550"}'
    worker(programs, infra, "sglang", "--kv-events-config", events).says("registered")
    second = worker(programs, infra, "sglang", "--kv-events-config", events, port=8082)
    assert second.ends() == 1
    assert "address already in use" in second.log


def test_the_router_lists_workers_once_they_answer(programs: Programs) -> None:
    """/workers has counts by kind and rows of the true form; requests go through a prefill and a decode server."""
    router: tuple[str, ...] = ("python", "-m", "sglang_router.launch_router", "--pd-disaggregation")
    router += ("--prefill", f"http://{programs.address(0)}:30000", "31000")
    router += ("--decode", f"http://{programs.address(1)}:30000", "--host", "0.0.0.0", "--port", "8000")
    programs.start(*router, node=2)
    empty = programs.eventually("/workers", 8000, node=2)
    assert empty == {
        "workers": [],
        "total": 0,
        "stats": {"prefill_count": 0, "decode_count": 0, "regular_count": 0},
    }
    body = {"model": "m", "prompt": "a", "max_tokens": 3}
    assert programs.get("/v1/completions", 8000, node=2, body=body)[0] == 503
    programs.start(
        *SERVER,
        "--port",
        "30000",
        "--disaggregation-mode",
        "prefill",
        "--disaggregation-bootstrap-port",
        "31000",
    )
    programs.start(*SERVER, "--port", "30000", "--disaggregation-mode", "decode", node=1)
    found = wait_for_workers(programs, {"prefill_count": 1, "decode_count": 1, "regular_count": 0})
    assert all(set(row) - {"bootstrap_port"} == WORKER for row in found["workers"])
    assert programs.get("/v1/completions", 8000, node=2, body=body)[1]["usage"]["completion_tokens"] == 3
    assert programs.get("/v1/models", 8000, node=2)[1]["data"][0]["id"] == "m"


def test_a_wrong_bootstrap_port_of_the_router_shows(programs: Programs) -> None:
    """The router passes on the port in its arguments; if the worker listens elsewhere, requests fail."""
    router: tuple[str, ...] = ("python", "-m", "sglang_router.launch_router", "--pd-disaggregation")
    router += ("--prefill", f"http://{programs.address(0)}:30000", "31000")
    router += ("--decode", f"http://{programs.address(1)}:30000", "--host", "0.0.0.0", "--port", "8000")
    programs.start(*router, node=2)
    programs.start(
        *SERVER,
        "--port",
        "30000",
        "--disaggregation-mode",
        "prefill",
        "--disaggregation-bootstrap-port",
        "30001",
    )
    programs.start(*SERVER, "--port", "30000", "--disaggregation-mode", "decode", node=1)
    wait_for_workers(programs, {"prefill_count": 1, "decode_count": 1, "regular_count": 0})
    body = {"model": "m", "prompt": "a", "max_tokens": 3}
    assert programs.get("/v1/completions", 8000, node=2, body=body)[0] == 500


def test_grpc_workers_are_only_reached_by_grpc_urls(programs: Programs) -> None:
    """A worker with --grpc-mode is listed under grpc://, and never under http://."""
    programs.start(*SERVER, "--port", "30000", "--grpc-mode")
    for node, scheme in ((1, "http"), (2, "grpc")):
        url = f"{scheme}://{programs.address(0)}:30000"
        argv = (
            "python",
            "-m",
            "sglang_router.launch_router",
            "--worker-urls",
            url,
            "--host",
            "0.0.0.0",
            "--port",
            "8000",
        )
        programs.start(*argv, node=node)
    wait_for_workers(programs, {"prefill_count": 0, "decode_count": 0, "regular_count": 1})
    assert programs.get("/workers", 8000, node=1)[1]["total"] == 0


def wait_for_workers(programs: Programs, stats: dict[str, int]) -> Any:
    """Wait until the router on node 2 has these counts and return its answer."""
    end = time.monotonic() + patient(10)
    while True:
        found = programs.eventually("/workers", 8000, node=2)
        if found["stats"] == stats:
            return found
        assert time.monotonic() < end, f"{found}\n{programs.logs()}"
        time.sleep(0.05)


def test_nginx_gives_connections_to_all_that_listen(programs: Programs) -> None:
    """Round robin over the servers of the upstream; one that refuses is passed over; none is 502."""
    (programs.folder / "nginx.conf").write_text(
        "events { }\nhttp {\n  # server 9.9.9.9:1;\n  upstream all {\n    server node0:8080;\n    server "
        f"{programs.address(1)}:8080;\n  }}\n  server {{ listen 8000; location / {{ proxy_pass http://all; }} }}\n}}\n"
    )
    nginx = programs.start("nginx", "-c", str(programs.folder / "nginx.conf"), "-g", "daemon off;", node=2)
    nginx.says("listening")
    assert programs.get("/health", 8000, node=2)[0] == 502
    programs.start(*SERVER, "--port", "8080", "--served-model-name", "first")
    programs.eventually("/health", 8000, node=2)
    assert programs.get("/health", 8000, node=2)[0] == 200
    programs.start(*SERVER, "--port", "8080", "--served-model-name", "second", node=1)
    programs.eventually("/health", 8080, node=1)
    names = {programs.get("/v1/models", 8000, node=2)[1]["data"][0]["id"] for _ in range(4)}
    assert names == {"first", "second"}


def test_nginx_refuses_a_bad_configuration(programs: Programs) -> None:
    """A missing file and one without an upstream end it with 1."""
    assert programs.run("nginx", "-c", "/nowhere/nginx.conf")[0] == 1
    (programs.folder / "empty.conf").write_text("events { }\n")
    assert programs.run("nginx", "-t", "-c", str(programs.folder / "empty.conf"))[0] == 1


def test_infra_answers_its_own_clients(programs: Programs, infra: dict[str, str]) -> None:
    """etcd has /health and /version; NATS greets with INFO."""
    assert infra
    assert programs.get("/health", 2379)[1]["health"] == "true"
    assert "etcdserver" in programs.get("/version", 2379)[1]
    with socket.create_connection((programs.address(0), 4222), timeout=5) as nats:
        assert nats.recv(4096).startswith(b"INFO {")
        nats.sendall(b"CONNECT {}\r\nPING\r\n")
        assert nats.recv(4096) == b"PONG\r\n"
