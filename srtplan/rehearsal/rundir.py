"""The folder of one rehearsal: state of the stand-in cluster, and the stubs that go on PATH.

::

    FOLDER/state/        see slurm/state.py
    FOLDER/bin/          srun, scancel, squeue, scontrol: for job.sh
    FOLDER/bin-node/     the programs of the Plan (stand_ins.py), and what a node has and this machine has not, or
                         what would leave this machine or change it (node/)

The stubs name this Python, ``start.py`` and the state folder by absolute path: nothing that a recipe puts into the
environment changes what they run. With the setting ``programs=real`` there is nothing in ``bin-node``.
"""

import json
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from srtplan.rehearsal import stand_ins, start
from srtplan.rehearsal.network import Block
from srtplan.rehearsal.slurm.state import State, write, write_record

TOOLS = {
    "hostname": "hostname", "getent": "getent", "nvidia-smi": "nvidia-smi",  # a node's own name, peers and GPUs
    "curl": "curl", "wget": "curl", "git": "git",  # would leave this machine
    "maturin": "maturin",  # builds what was not cloned
    "python": "python", "python3": "python",  # has the modules of the Plan
    **dict.fromkeys(  # would install on this machine, or download
        ("pip", "pip3", "apt", "apt-get", "cargo", "rustup", "uv", "hf", "huggingface-cli"), "would-run"
    ),
}  # fmt: skip
"""Commands of a node that are not the real ones, and the shell text in ``node/`` that takes their place."""
LOGIN_SHELL = 'if [ "${1-}" = -lc ]; then shift; set -- -c "$@"; fi\n'
"""A login shell would set this machine's own PATH; in an image the programs are on it."""


def create(
    folder: Path, block: Block, nodes: int, settings: Mapping[str, str], plan: Mapping[str, Any] | None = None
) -> State:
    """Make the folder for a cluster of so many nodes, named node0 and up. Raises StandInError."""
    state = folder / "state"
    for path in (state / "jobs", state / "curl", state / "stand-ins", folder / "bin", folder / "bin-node"):
        path.mkdir(parents=True)
    names = [f"node{index}" for index in range(nodes)]
    hosts = [f"{name} {block.address(index)} {block.loopback(index)}\n" for index, name in enumerate(names)]
    write(state / "hosts", "".join(hosts))
    write(state / "plan.json", json.dumps(plan or {}))
    write_record(state / "settings", {"node_path": str(folder / "bin-node")} | dict(settings))
    for name in start.SLURM:
        _stub(folder / "bin" / name, _run(name, state))
    if settings.get("programs") != "real":
        _write_node(folder / "bin-node", state, plan or {})
    for index, name in enumerate(names):
        _write_curlrc(state / "curl" / name, block, names, index)
    return State(state)


def _write_node(folder: Path, state: Path, plan: Mapping[str, Any]) -> None:
    """Write the stubs of a node: its tools, and the programs that the Plan names."""
    for name, text in TOOLS.items():
        place = Path(__file__).parent / "node" / f"{text}.sh"
        real = sys.executable if text == "python" else shutil.which(name) or "/nonexistent"
        words = {"NAME": name, "STATE": str(state), "REAL": real, "STUBS": str(folder)}
        given = "".join(f"{key}={shlex.quote(value)}\n" for key, value in words.items())
        given += f"own() {{ {_run(start.OWN, state).removeprefix('exec ').strip()}; }}\n"
        _stub(folder / name, given + place.read_text(encoding="utf-8"))
    programs: dict[str, list[str]] = {}
    for one in stand_ins.declared(plan):
        programs.setdefault(one.program, []).append(one.line)
    (state / "sources").mkdir()
    runs = [run["argv"] for step in plan.get("steps", ()) for run in step.get("runs") or ()]
    for name, lines in programs.items():
        write(state / "stand-ins" / name, "\n".join(lines))
        _stub(folder / name, _run(name, state))
        # a job may replace words of its command line in a copy of a module's source, and run that
        words_of = [word for argv in runs if name in argv for word in argv]
        write(state / "sources" / f"{name}.py", "".join(f'"{word}"\n' for word in words_of))
    bash = shlex.quote(shutil.which("bash") or "/bin/bash")
    _stub(folder / "bash", f'{LOGIN_SHELL}exec {bash} "$@"\n')


def _run(name: str, state: Path) -> str:
    command = [sys.executable, "-I", "-S", "-E", str(Path(start.__file__).absolute()), name, str(state)]
    return f'exec {shlex.join(command)} "$@"\n'


def _stub(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}", encoding="utf-8")
    path.chmod(0o755)


def _write_curlrc(folder: Path, block: Block, names: list[str], own: int) -> None:
    """Let curl on a node resolve the nodes' names, and localhost as that node: servers bound to 0.0.0.0 are there."""
    folder.mkdir()
    targets = {name: block.address(index) for index, name in enumerate(names)}
    targets |= {"localhost": block.address(own), "127.0.0.1": block.address(own)}
    lines = [f'connect-to = "{name}::{address}:"\n' for name, address in targets.items()]
    (folder / ".curlrc").write_text("".join(lines), encoding="utf-8")
