"""The folder of one rehearsal: state of the stand-in cluster, and the stubs that go on PATH.

::

    FOLDER/state/        see slurm/state.py
    FOLDER/bin/          srun, sbatch, scancel, squeue, scontrol: for job.sh
    FOLDER/bin-node/     what a node would have: python3, nginx, nats-server, etcd, nvidia-smi, ..., and what would
                         leave this machine or change it: curl to the internet, git clone, pip, apt-get

The stubs name this Python, ``start.py`` and the state folder by absolute path: nothing that a recipe puts into the
environment changes what they run.
"""

import os
import shlex
import shutil
import sys
from pathlib import Path

from srtplan.rehearsal import start
from srtplan.rehearsal.network import Block
from srtplan.rehearsal.slurm.state import State, write, write_record

MODULES = (
    "sglang.launch_server",
    "sglang.bench_serving",
    "sglang.test.run_eval",
    "sglang_router.launch_router",
    "dynamo.sglang",
    "dynamo.vllm",
    "dynamo.trtllm",
    "dynamo.mocker",
    "dynamo.frontend",
    "vllm.entrypoints.cli.main",
    "vllm.entrypoints.openai.api_server",
    "vllm.benchmarks.serve",
    "tensorrt_llm.serve.scripts.benchmark_serving",
    "tensorrt_llm.commands.serve",
    "pip",
    "pip",
)
PROGRAMS = (
    "nats-server", "etcd", "nginx", "aiperf", "lm_eval", "vllm", "trtllm-serve", "trtllm-llmapi-launch", "numactl", "nsys",
    "nvidia-smi", "hostname", "getent", "pip", "pip3", "maturin", "huggingface-cli", "hf", "apt", "apt-get", "uv",
    "cargo", "rustup",
    "mooncake_master",
)  # fmt: skip


def create(folder: Path, block: Block, nodes: int, settings: dict[str, str]) -> State:
    """Make the folder for a cluster of so many nodes, named node0 and up."""
    state = folder / "state"
    for name in ("jobs", "curl"):
        (state / name).mkdir(parents=True)
    os.mkfifo(state / "control", 0o600)
    names = [f"node{index}" for index in range(nodes)]
    hosts = [f"{name} {block.address(index)} {block.loopback(index)}\n" for index, name in enumerate(names)]
    write(state / "hosts", "".join(hosts))
    write_record(state / "settings", {"node_path": str(folder / "bin-node")} | settings)
    _write_stubs(folder, state)
    for index, name in enumerate(names):
        _write_curlrc(state / "curl" / name, block, names, index)
    return State(state)


def _write_stubs(folder: Path, state: Path) -> None:
    command = shlex.join([sys.executable, "-I", "-S", "-E", str(Path(start.__file__).absolute())])
    for name in start.SLURM:
        if name != "controller":
            _stub(folder / "bin" / name, f'exec {command} {name} {shlex.quote(str(state))} "$@"\n')
    for name in PROGRAMS:
        _stub(folder / "bin-node" / name, f'exec {command} {name} {shlex.quote(str(state))} "$@"\n')
    _stub(folder / "bin-node" / "git", _unless_network(command, "git", state, _GIT))
    for name in ("curl", "wget"):
        _stub(folder / "bin-node" / name, _unless_network(command, name, state, _FETCH))
    for name in ("python", "python3"):
        _stub(folder / "bin-node" / name, _python(command, state))
    bash = shlex.quote(shutil.which("bash") or "/bin/bash")
    _stub(folder / "bin-node" / "bash", f'{_LOGIN_SHELL}exec {bash} "$@"\n')


_LOGIN_SHELL = """if [ "${1-}" = -lc ]; then
  shift
  set -- -c "$@"
fi
"""
"""A login shell would set this machine's own PATH; in an image the programs are on it."""

_GIT = """for word in "$@"; do
  case "${word}" in clone | fetch | pull | ls-remote | checkout | submodule) simulated "$@" ;; esac
done
"""
_FETCH = """case " $* " in
  *://127.* | *://node[0-9]* | *://localhost*) ;;
  *://*) simulated "$@" ;;
esac
"""


def _unless_network(command: str, name: str, state: Path, choice: str) -> str:
    """Return a stub that simulates what would leave this machine, and runs the real program for all else."""
    real = shutil.which(name) or "/nonexistent"
    simulated = f'simulated() {{ exec {command} {name} {shlex.quote(str(state))} "$@"; }}\n'
    return f'{simulated}{choice}exec {shlex.quote(real)} "$@"\n'


EVALUATOR = "sglang.test.run_eval"
QUESTIONS = (
    "https://openaipublic.blob.core.windows.net/simple-evals/mmlu.csv",
    "https://openaipublic.blob.core.windows.net/simple-evals/gpqa_diamond.csv",
)
"""Addresses in the text of SGLang's evaluator, which a job replaces in a copy of it to have local files read."""


def _evaluator(state: Path) -> str:
    """Return the part of the stub that tells where the evaluator lies, and that takes a copy of it for itself."""
    text = state / "evaluator.py"
    text.write_text("".join(f'"{address}"\n' for address in QUESTIONS), encoding="utf-8")
    return (
        f"""if [ "${{1-}} ${{3-}}" = "-c {EVALUATOR}" ]; then printf '%s\\n' {shlex.quote(str(text))}; exit; fi\n"""
        f"""case "${{1-}}" in */{EVALUATOR}.py) shift; set -- -m {EVALUATOR} "$@" ;; esac\n"""
    )


def _python(command: str, state: Path) -> str:
    """Return the stub of python3: known modules are simulated, all else is the real Python."""
    return (
        'if [ "${1-}" = -u ]; then shift; fi\n'
        f"{_evaluator(state)}"
        'if [ "${1-}" = -m ]; then\n'
        f'  case "${{2-}}" in {"|".join(MODULES)})\n'
        f'    exec {command} python {shlex.quote(str(state))} "$@" ;;\n'
        "  esac\n"
        "fi\n"
        f'exec {shlex.quote(sys.executable)} "$@"\n'
    )


def _stub(path: Path, body: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}", encoding="utf-8")
    path.chmod(0o755)


def _write_curlrc(folder: Path, block: Block, names: list[str], own: int) -> None:
    """Let curl on a node resolve the nodes' names, and localhost as that node: servers bound to 0.0.0.0 are there."""
    folder.mkdir()
    targets = {name: block.address(index) for index, name in enumerate(names)}
    targets |= {"localhost": block.address(own), "127.0.0.1": block.address(own)}
    lines = [f'connect-to = "{name}::{address}:"\n' for name, address in targets.items()]
    (folder / ".curlrc").write_text("".join(lines), encoding="utf-8")
