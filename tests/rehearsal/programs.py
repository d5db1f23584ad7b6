"""Simulated programs, started one by one on simulated nodes, without Slurm: for tests of their interfaces."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from busy import patient

from srtplan.rehearsal import network, rundir

QUICK = "0.05"
BEHAVIORS = {
    "sglang.launch_server": "sglang_server",
    "sglang_router.launch_router": "sglang_router",
    "sglang.bench_serving": "bench_sglang",
    "sglang.test.run_eval": "run_eval",
    "dynamo.sglang": "dynamo_worker",
    "dynamo.vllm": "dynamo_worker",
    "dynamo.trtllm": "dynamo_worker",
    "dynamo.mocker": "dynamo_worker",
    "dynamo.frontend": "dynamo_frontend",
    "tensorrt_llm.serve.scripts.benchmark_serving": "bench_vllm",
    "trtllm-serve": "openai_server",
    "vllm": "openai_server",
    "nginx": "nginx",
    "nats-server": "nats",
    "etcd": "etcd",
    "aiperf": "aiperf",
    "lm_eval": "lm_eval",
}
OTHERS = [
    ("client", "vllm", {"behavior": "bench_vllm"}),
    ("orchestrator", "trtllm-serve", {"behavior": "disaggregated"}),
    (
        "wrapped",
        "sglang.launch_server",
        {"behavior": "sglang_server", "wrappers": ["numactl", "nsys", "trtllm-llmapi-launch"]},
    ),
]
"""Programs that are something else in these steps."""


def plan() -> dict[str, Any]:
    """A Plan in which every simulated program is a step of its own."""
    every = [(name, name, {"behavior": behavior}) for name, behavior in BEHAVIORS.items()]
    return {
        "steps": [
            {"name": step, "argv": [], "stand_in": {"program": program} | stand_in}
            for step, program, stand_in in [*every, *OTHERS]
        ]
    }


class Running:
    """One simulated program: its log, its end."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.path = process, log

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return self.path.read_text()

    def says(self, text: str, timeout: float = 10.0) -> None:
        """Wait until it has printed something."""
        end = time.monotonic() + patient(timeout)
        while text not in self.log:
            assert time.monotonic() < end, f"never said {text!r}:\n{self.log}"
            time.sleep(0.02)

    def ends(self, timeout: float = 15.0) -> int:
        """Wait for its end and return its exit code, 128 + number for a signal."""
        code = self.process.wait(timeout)
        return code if code >= 0 else 128 - code

    def stop(self) -> int:
        """Send TERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.ends()


class Programs:
    """A few simulated nodes on which programs can be started."""

    def __init__(self, folder: Path, nodes: int = 3) -> None:
        self.folder = folder
        self.block = network.reserve()
        self.state = rundir.create(folder / "run", self.block, nodes, {}, plan())
        self.started: list[Running] = []

    def address(self, node: int) -> str:
        """Return the address of a node."""
        return self.block.address(node)

    def start(
        self, *argv: str, node: int = 0, step: str = "x", env: Mapping[str, str] | None = None
    ) -> Running:
        """Start a program on a node, found on the PATH that a task there would have."""
        number = len(self.started)
        log = self.folder / f"{number}.log"
        environment = {
            "PATH": f"{self.folder / 'run' / 'bin-node'}:{os.environ['PATH']}",
            "SRT_NODE_ADDRESS": self.address(node),
            "SRT_STEP": step,
            "SRT_REHEARSAL_LOAD": QUICK,
            "SLURM_PROCID": "0",
            "CUDA_VISIBLE_DEVICES": "0,1,2,3",
            **(env or {}),
        }
        with log.open("wb") as out:
            process = subprocess.Popen(
                argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment, cwd=self.folder
            )
        self.started.append(Running(process, log))
        return self.started[-1]

    def run(
        self, *argv: str, node: int = 0, step: str = "x", env: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run a program to its end; return its exit code and output."""
        running = self.start(*argv, node=node, step=step, env=env)
        code = running.ends(30.0)
        return code, running.log

    def get(self, path: str, port: int, *, node: int = 0, body: Any = None) -> tuple[int, Any]:
        """Ask a server; return the status (0: nobody answers) and the JSON or text of its answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://{self.address(node)}:{port}{path}",
            data=data,
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        except OSError:
            return 0, None
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def eventually(
        self, path: str, port: int, *, node: int = 0, status: int = 200, timeout: float = 10.0
    ) -> Any:
        """Ask until the status is the wanted one and return the answer."""
        end = time.monotonic() + patient(timeout)
        while True:
            found, value = self.get(path, port, node=node)
            if found == status:
                return value
            assert time.monotonic() < end, f"{path} on {port}: {found} {value}\n" + self.logs()
            time.sleep(0.05)

    def logs(self) -> str:
        """Return all logs, for a failure."""
        return "\n".join(f"--- {one.path}\n{one.log}" for one in self.started)

    def close(self) -> None:
        """End everything and give the addresses back."""
        for one in self.started:
            if one.process.poll() is None:
                one.process.kill()
                one.process.wait()
        self.block.lock.close()
