"""The rig of real parts: Dynamo with NATS and etcd, aiperf, the SGLang router and nginx run in the cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from parts import Rig
from slurm_cluster.client import Cluster, Job
from slurm_cluster.leftovers import Leftovers

pytestmark = [pytest.mark.cluster, pytest.mark.parts]

# wait_for SECONDS COMMAND...: until the command succeeds
WAIT_FOR = """
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= deadline)); then echo "not in time: $*"; exit 1; fi
    sleep 0.3
  done
}
"""
WORKER = """
import http.server, json, os, sys
class Worker(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"model_path": "m", "tp_size": 1, "is_generation": True})
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        room = "bootstrap_room" in asked
        choice = {"index": 0, "text": os.uname().nodename, "finish_reason": "stop", "room": room}
        self.answer({"id": "1", "object": "text_completion", "model": "m", "choices": [choice]})
    def answer(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Worker).serve_forever()
"""


class Script:
    """A batch script that is written step by step, as by hand."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.folder = folder
        self.env = rig.environment(infra="node0")
        self.srun = (
            f"srun --overlap --input=none --nodes=1 --ntasks=1 --container-image={rig.image}"
            f" --container-mounts={rig.hf_home}:{rig.hf_home}:ro,{folder}:/results"
        )
        self.lines = [WAIT_FOR]

    def add(self, *lines: str) -> None:
        """Add lines of shell."""
        self.lines += lines

    def step(self, node: str, command: str, *, end: str = "&") -> None:
        """Add a step on a node, in the background unless `end` says otherwise."""
        self.add(f"{self.srun} --nodelist={node} --output=%J-{node}.out {command} {end}")

    def run(self, cluster: Cluster, timeout: float) -> Job:
        """Run it on four nodes."""
        path = cluster.script("job.sh", "\n".join([*self.lines, ""]))
        options = ("--nodes=4", "--error=job.err")
        return cluster.sbatch(path, *options, cwd=self.folder, env=self.env).wait(timeout)


def logs(folder: Path) -> str:
    """Return the ends of the logs of all steps, for the message of a failure."""
    return "\n".join(f"== {path.name}\n{path.read_text()[-1500:]}" for path in sorted(folder.glob("*.out")))


@pytest.fixture
def folder(cluster: Cluster, request: pytest.FixtureRequest) -> Path:
    """Make a directory that all nodes see, for the logs and results of a test."""
    path: Path = cluster.shared / str(request.node.name)
    path.mkdir()
    return path


def completion(url: str, model: str) -> str:
    """Return a shell command that requests a completion and prints the answer on one line."""
    ask = json.dumps({"model": model, "prompt": "hello", "max_tokens": 8})
    return f"curl --silent --fail {url}/v1/completions -H 'Content-Type: application/json' -d '{ask}'"


def answers(job: Job) -> list[dict[str, Any]]:
    """Return the JSON lines that a job has printed."""
    return [json.loads(line) for line in job.output.splitlines() if line.startswith("{")]


def test_dynamo_serves_and_is_measured(
    cluster: Cluster, rig: Rig, folder: Path, leftovers: Leftovers
) -> None:
    """NATS, etcd, a frontend, a prefill and a decode mocker serve a completion and all requests of aiperf."""
    url, etcd = "http://node1:8000", "http://node0:2379"
    script = Script(rig, folder)
    script.step("node0", "nats-server -js -sd /opt/nats")
    script.step(
        "node0",
        f"etcd --data-dir /opt/etcd --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls {etcd}",
    )
    script.add(f"wait_for 20 curl -sf {etcd}/health", "wait_for 20 bash -c '</dev/tcp/node0/4222'")
    for node, mode in (("node2", "prefill"), ("node3", "decode")):
        words = f"--disaggregation-mode {mode} --speedup-ratio 10 --request-plane nats"
        script.step(node, f"python3 -m dynamo.mocker --model-path {rig.model} {words}")
    script.step("node1", "python3 -m dynamo.frontend --http-port 8000")
    script.add(
        f'workers() {{ curl -sf {url}/health | grep -oE \'"endpoint": ?"generate"\' | wc -l; }}',
        'both() { [[ "$(workers)" == 2 ]]; }',
        "wait_for 90 both",
        f"wait_for 20 {completion(url, rig.model)}",
        f"{completion(url, rig.model)}; echo",
    )
    words = "--streaming --concurrency 2 --request-count 8 --isl 32 --osl 8 --ui none --artifact-dir /results/aiperf"
    script.step(
        "node1",
        f"aiperf profile -m {rig.model} --tokenizer {rig.model} --url {url} --endpoint-type completions {words}",
        end="",
    )
    script.add("rc=$?", 'scancel --signal=TERM "${SLURM_JOB_ID}"', "wait", 'exit "${rc}"')
    script.env["TMPDIR"] = "/var/tmp"  # noqa: S108 (aiperf does not clear up, and /tmp is the node's)
    job = script.run(cluster, timeout=200)
    assert job.exit_code == 0, job.output + logs(folder)
    assert answers(job)[0]["choices"][0]["text"]
    measured = json.loads((folder / "aiperf" / "profile_export_aiperf.json").read_text())
    assert measured["request_count"]["avg"] == 8
    assert leftovers() == []


def test_the_sglang_router_counts_and_calls_its_workers(cluster: Cluster, rig: Rig, folder: Path) -> None:
    """A router in front of two workers lists them under /workers, and passes a completion to both."""
    url = "http://node1:8000"
    (folder / "worker.py").write_text(WORKER)
    script = Script(rig, folder)
    script.step("node2", "python3 /results/worker.py 30000")
    script.step("node3", "python3 /results/worker.py 30001")
    words = "--pd-disaggregation --prefill http://node2:30000 31000 --decode http://node3:30001"
    script.step("node1", f"python3 -m sglang_router.launch_router --host 0.0.0.0 --port 8000 {words}")
    script.add(
        f"both() {{ curl -sf {url}/workers | grep -q '\"decode_count\":1'; }}",
        "wait_for 60 both",
        f"curl -sf {url}/workers; echo",
        f"{completion(url, 'm')}; echo",
    )
    job = script.run(cluster, timeout=100)
    assert job.exit_code == 0, job.output + logs(folder)
    workers, completed = answers(job)
    assert (workers["stats"]["prefill_count"], workers["stats"]["decode_count"]) == (1, 1)
    choice = {"index": 0, "text": "node3", "finish_reason": "stop", "room": True}
    assert completed["choices"] == [choice]
    asked = "".join(path.read_text() for path in folder.glob("*.out")).count(
        '"POST /v1/completions HTTP/1.1" 200'
    )
    assert asked == 2


def test_nginx_runs_in_the_container(cluster: Cluster, rig: Rig, folder: Path) -> None:
    """Debian's nginx starts in the image with its MIME types, its user and its directories."""
    (folder / "nginx.conf").write_text(
        "daemon off; error_log /dev/stderr; events {}\n"
        "http { include /etc/nginx/mime.types; access_log off; server { listen 8080; return 200 hello; } }\n"
    )
    script = Script(rig, folder)
    script.step("node2", "nginx -c /results/nginx.conf")
    script.add("wait_for 10 curl -sf http://node2:8080/", "curl -sf http://node2:8080/")
    job = script.run(cluster, timeout=30)
    assert (job.exit_code, job.output) == (0, "hello"), logs(folder)


def test_a_container_shows_only_the_rig(cluster: Cluster, rig: Rig, folder: Path) -> None:
    """In the image, python3 is the rig's, and only the paths of the host that the image names are visible."""
    script = Script(rig, folder)
    absent = f"/var/lib/dpkg /boot /home {cluster.shared}/job.sh"
    script.step("node0", f"bash -c 'command -v python3; ls -d {absent}'", end="")
    script.run(cluster, timeout=30)
    lines = "".join(path.read_text() for path in folder.glob("*.out")).splitlines()
    assert f"{rig.venv}/bin/python3" in lines
    assert sum("No such file" in line for line in lines) == 4
