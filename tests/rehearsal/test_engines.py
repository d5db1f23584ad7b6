"""The simulated engines: their HTTP interfaces, where they listen, and how several ranks meet."""

# ruff: noqa: S104 (engines listen on all interfaces; here that is one node)

from __future__ import annotations

import json
import os
import urllib.request

import pytest
from programs import Programs

SGLANG = (
    "python3",
    "-m",
    "sglang.launch_server",
    "--model-path",
    "/model",
    "--served-model-name",
    "m",
    "--host",
    "0.0.0.0",
)


def test_sglang_answers_as_the_router_asks(programs: Programs) -> None:
    """/health is 200 once loaded; server and model info have the keys that the router copies."""
    server = programs.start(*SGLANG, "--port", "30000", "--tensor-parallel-size", "4")
    programs.eventually("/health", 30000)
    server.says("The server is fired up and ready to roll!")
    assert programs.get("/health_generate", 30000)[0] == 200
    for path in ("/get_server_info", "/server_info"):
        info = programs.get(path, 30000)[1]
        assert (info["tp_size"], info["dp_size"], info["served_model_name"]) == (4, 1, "m")
    for path in ("/get_model_info", "/model_info"):
        assert programs.get(path, 30000)[1]["model_path"] == "/model"
    assert programs.get("/v1/models", 30000)[1]["data"][0]["id"] == "m"
    assert programs.get("/nothing", 30000)[0] == 404


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
def test_completions_have_the_tokens_that_were_asked_for(programs: Programs, path: str) -> None:
    """An answer that is not streamed says how many tokens came out; an unknown model is 404."""
    programs.start(*SGLANG, "--port", "30000")
    programs.eventually("/health", 30000)
    body = {
        "model": "m",
        "prompt": "a b c",
        "messages": [{"role": "user", "content": "a b c"}],
        "max_tokens": 7,
    }
    status, answer = programs.get(path, 30000, body=body)
    assert status == 200
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}
    assert programs.get(path, 30000, body=body | {"model": "other"})[0] == 404


def test_a_stream_ends_with_usage(programs: Programs) -> None:
    """Server-sent events: chunks with text, one with the usage and no choices, [DONE]."""
    programs.start(*SGLANG, "--port", "30000")
    programs.eventually("/health", 30000)
    body = {
        "model": "m",
        "prompt": "x",
        "max_tokens": 20,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    request = urllib.request.Request(
        f"http://{programs.address(0)}:30000/v1/completions", data=json.dumps(body).encode()
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        assert answer.headers["content-type"] == "text/event-stream"
        events = [line.removeprefix("data: ") for line in answer.read().decode().splitlines() if line]
    *chunks, usage, done = events
    assert done == "[DONE]"
    assert json.loads(usage)["usage"]["completion_tokens"] == 20
    assert json.loads(usage)["choices"] == []
    text = "".join(json.loads(chunk)["choices"][0]["text"] for chunk in chunks)
    assert len(text.split()) == 20


def test_a_decode_server_needs_the_bootstrap_port(programs: Programs) -> None:
    """A wrong bootstrap port, which the router would receive, makes requests fail as it does on the cluster."""
    programs.start(
        *SGLANG,
        "--port",
        "30000",
        "--disaggregation-mode",
        "prefill",
        "--disaggregation-bootstrap-port",
        "31000",
    )
    programs.start(*SGLANG, "--port", "30000", "--disaggregation-mode", "decode", node=1)
    programs.eventually("/health", 30000)
    programs.eventually("/health", 30000, node=1)
    body = {
        "model": "m",
        "prompt": "a",
        "max_tokens": 2,
        "bootstrap_host": programs.address(0),
        "bootstrap_room": 1,
    }
    assert programs.get("/v1/completions", 30000, node=1, body=body | {"bootstrap_port": 31000})[0] == 200
    status, answer = programs.get("/v1/completions", 30000, node=1, body=body | {"bootstrap_port": 31001})
    assert status == 500
    assert "bootstrap" in answer["error"]["message"]


def test_a_port_that_is_taken_ends_the_second_server(programs: Programs) -> None:
    """Two servers on one port of one node cannot be; on two nodes they can."""
    programs.start(*SGLANG, "--port", "30000")
    programs.eventually("/health", 30000)
    programs.start(*SGLANG, "--port", "30000", node=1)
    programs.eventually("/health", 30000, node=1)
    code, log = programs.run(*SGLANG, "--port", "30000")
    assert code == 1
    assert "address already in use" in log


def test_a_server_on_the_loopback_is_not_reached_from_outside(programs: Programs) -> None:
    """Without --host SGLang listens on 127.0.0.1: its own node finds it as localhost, no other does."""
    argv = [word for word in SGLANG if word not in ("--host", "0.0.0.0")]
    server = programs.start(*argv, "--port", "30000")
    server.says("fired up")
    assert programs.get("/health", 30000)[0] == 0
    bench = (
        "python3",
        "-m",
        "sglang.bench_serving",
        "--host",
        "127.0.0.1",
        "--port",
        "30000",
        "--num-prompts",
        "2",
    )
    assert programs.run(*bench, "--output-file", "x.jsonl")[0] == 0
    assert programs.run(*bench, "--output-file", "x.jsonl", node=1)[0] == 1


def test_ranks_meet_and_only_rank_0_serves(programs: Programs) -> None:
    """Rank 1 waits for rank 0 at --dist-init-addr; both go on together; a lost rank ends the other with 1."""
    meet = ("--dist-init-addr", f"{programs.address(0)}:29500", "--nnodes", "2", "--node-rank")
    second = programs.start(*SGLANG, "--port", "30000", *meet, "1", node=1)
    first = programs.start(*SGLANG, "--port", "30000", *meet, "0")
    programs.eventually("/health", 30000)
    second.says("ready, rank 0 serves")
    assert programs.get("/health", 30000, node=1)[0] == 0
    second.process.kill()
    assert first.ends() == 1
    assert "another rank of this worker has ended" in first.log


def test_vllm_ranks_meet_by_their_own_options(programs: Programs) -> None:
    """`vllm serve` over nodes: --headless ranks join at --master-addr."""
    meet = ("--master-addr", programs.address(0), "--nnodes", "2", "--node-rank")
    second = programs.start("vllm", "serve", "m", *meet, "1", "--headless", node=1)
    programs.start("vllm", "serve", "m", "--port", "8000", *meet, "0")
    programs.eventually("/health", 8000)
    assert programs.get("/v1/models", 8000)[1]["data"][0]["id"] == "m"
    assert second.stop() == 0


def test_trtllm_serve_behind_its_own_frontend(programs: Programs) -> None:
    """The frontend reads its YAML, waits for all servers, and lends its requests to one of each kind."""
    (programs.folder / "engine.yaml").write_text("tensor_parallel_size: 1\n")
    server = ("trtllm-serve", "m", "--host", "0.0.0.0", "--port", "6000", "--config", "engine.yaml")
    text = "context_servers:\n  num_instances: 1\n  urls:\n  - {0}:6000\ngeneration_servers:\n  urls:\n  - '{1}:6000'\n"
    text = text.format(programs.address(0), programs.address(1)) + "hostname: 0.0.0.0\nport: 8000\n"
    (programs.folder / "ser.yaml").write_text(text)
    frontend = programs.start(
        "trtllm-serve", "disaggregated", "--config", "ser.yaml", node=2, step="orchestrator"
    )
    programs.start(*server)
    assert programs.get("/health", 8000, node=2)[0] == 0
    programs.start(*server, node=1)
    programs.eventually("/health", 8000, node=2)
    body = {"model": "whatever", "prompt": "a", "max_tokens": 3}
    assert programs.get("/v1/completions", 8000, node=2, body=body)[1]["usage"]["completion_tokens"] == 3
    assert frontend.stop() == 0


def test_an_engine_file_must_exist(programs: Programs) -> None:
    """TensorRT-LLM ends with 1 if its configuration is not where the command line says."""
    code, log = programs.run("trtllm-serve", "m", "--config", "/logs/missing.yaml")
    assert (code, "FileNotFoundError: /logs/missing.yaml" in log) == (1, True)


def test_container_paths_are_found_by_the_mounts(programs: Programs) -> None:
    """Where there are no namespaces a program maps the paths of its command line by --container-mounts."""
    (programs.folder / "logs").mkdir()
    (programs.folder / "logs" / "engine.yaml").write_text("{}\n")
    mounts = {"SRT_REHEARSAL_MOUNTS": f"/nowhere:/model,{programs.folder}/logs:/logs"}
    server = programs.start("trtllm-serve", "m", "--config", "/logs/engine.yaml", env=mounts)
    server.says("Uvicorn running")


def test_profiling_leaves_a_trace(programs: Programs) -> None:
    """start and stop are POSTs; torch writes into the directory of the variable, nsys its report."""
    env = {"SGLANG_TORCH_PROFILER_DIR": str(programs.folder / "traces")}
    programs.start(*SGLANG, "--port", "30000", "--tp-size", "2", env=env, step="agg_0")
    report = programs.folder / "report"
    nsys = (
        "nsys",
        "profile",
        "-t",
        "cuda",
        "-c",
        "cudaProfilerApi",
        "--capture-range-end",
        "stop",
        "-o",
        str(report),
    )
    programs.start(*nsys, *SGLANG, "--port", "30000", node=1, step="wrapped")
    for node in (0, 1):
        programs.eventually("/health", 30000, node=node)
        assert programs.get("/start_profile", 30000, node=node)[0] == 404
        assert programs.get("/start_profile", 30000, node=node, body={"num_steps": 5})[0] == 200
        assert programs.get("/stop_profile", 30000, node=node, body={})[0] == 200
    traces = sorted((programs.folder / "traces").iterdir())
    assert [path.name for path in traces] == [f"agg_0-TP-{rank}.trace.json.gz" for rank in (0, 1)]
    assert all(path.stat().st_size > 0 for path in traces)
    assert report.with_suffix(".nsys-rep").exists()


def test_term_is_handled_and_said(programs: Programs) -> None:
    """A server that gets TERM says so, stops listening, says that it is done, and ends with 0."""
    server = programs.start(*SGLANG, "--port", "30000")
    programs.eventually("/health", 30000)
    assert server.stop() == 0
    assert "SIGTERM received: shutting down gracefully" in server.log
    assert "graceful shutdown complete" in server.log


def test_wrappers_and_tools_of_a_node(programs: Programs) -> None:
    """numactl runs what follows its options; nvidia-smi lists the step's GPUs; hostname and getent know the nodes."""
    numactl = ("numactl", "-m", "0,1", "trtllm-llmapi-launch", "python3", "-c", "print('ran')")
    assert programs.run(*numactl, step="wrapped")[1].endswith("ran\n")
    assert programs.run("nvidia-smi", "--list-gpus")[1].count("UUID") == 4
    assert programs.run("hostname", node=1)[1] == "node1\n"
    assert programs.run("getent", "ahostsv4", "node2")[1].split()[0] == programs.address(2)
    assert programs.run("python3", "-c", "print(1 + 1)")[1] == "2\n"


def test_nothing_leaves_this_machine(programs: Programs) -> None:
    """Installers, downloads and clones say what they would do, succeed, and put a file where one is looked for."""
    for argv in (
        ("pip", "install", "x"),
        ("python3", "-m", "pip", "install", "x"),
        ("apt-get", "update"),
        ("hf", "download", "x"),
    ):
        code, log = programs.run(*argv)
        assert (code, "would run" in log) == (0, True)
    assert programs.run("curl", "--fail", "--output", "t.jsonl", "https://example.org/t.jsonl")[0] == 0
    assert json.loads((programs.folder / "t.jsonl").read_text().splitlines()[0])["output_length"] > 0
    assert programs.run("git", "clone", "https://example.org/dynamo.git", "d")[0] == 0
    assert (programs.folder / "d" / "lib" / "bindings" / "python").is_dir()
    assert programs.run("maturin", "build", "--out", "wheels")[0] == 0
    assert list((programs.folder / "wheels").glob("*.whl"))
    assert programs.run("git", "--version")[1].startswith("git version") or not os.access(
        "/usr/bin/git", os.X_OK
    )
