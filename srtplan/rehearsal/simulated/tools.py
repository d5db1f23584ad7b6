"""Small programs of a node: wrappers that only exec, tools that only print.

In: name and argv. Out: an exit code; installers say what they would do and succeed.
"""

import os
import sys

from srtplan.rehearsal.slurm.state import Node, State

NSYS_FLAGS = {"--stats", "--wait"}
LAUNCHER = "trtllm-llmapi-launch"


def main(name: str, state: State, words: list[str]) -> int:
    """Run one of the small programs and return its exit code."""
    if name in {"numactl", "nsys"}:
        return _exec(_inner(name, words), name)
    if name == LAUNCHER:
        return _launch(words)
    if name == "nvidia-smi":
        return _nvidia_smi(words)
    if name == "hostname":
        return _hostname(_node(state), words)
    if name == "getent":
        return _getent(state, words)
    _print(f"{name} (simulated): would run: {' '.join([name, *words])}")
    return 0


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _exec(words: list[str], name: str) -> int:
    """Become the wrapped program."""
    if not words:
        _print(f"{name} (simulated): nothing to run")
        return 0
    _print(f"{name} (simulated): {' '.join(words)}")
    try:
        os.execvp(words[0], words)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{name}: {words[0]}: {error.strerror}\n")
        return 127


def _inner(name: str, words: list[str]) -> list[str]:
    """Strip the wrapper's own options: those with a value in the next word are known by name."""
    valued = {
        "numactl": {"-m", "-N", "-C", "-i", "-p"},
        "nsys": {"-t", "-o", "-c", "-s", "-f", "-y", "-d", "--capture-range-end"},
    }
    rest = words[1:] if name == "nsys" and words[:1] in (["profile"], ["launch"]) else list(words)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        takes_next = option in valued[name] or (
            name == "nsys" and option.startswith("--") and "=" not in option
        )
        if takes_next and option not in NSYS_FLAGS and rest:
            rest.pop(0)
    return rest


def _launch(words: list[str]) -> int:
    """Be ``trtllm-llmapi-launch``: rank 0 runs the command, the other ranks wait for work."""
    if os.environ.get("SLURM_PROCID", "0") == "0":
        return _exec(words, LAUNCHER)
    from srtplan.rehearsal.simulated import mpi_rank  # noqa: PLC0415

    return mpi_rank.serve()


def _gpus() -> list[str]:
    return [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]


def _nvidia_smi(words: list[str]) -> int:
    """List the GPUs that this step sees."""
    if any(word.startswith("--query-gpu") for word in words):
        lines = [f"{gpu}, NVIDIA Simulated GPU, 143771" for gpu in _gpus()]
        fields = next(word for word in words if word.startswith("--query-gpu")).partition("=")[2].split(",")
        known = {"index": 0, "name": 1, "memory.total": 2}
        sys.stdout.writelines(
            ", ".join(line.split(", ")[known.get(f, 0)] for f in fields) + "\n" for line in lines
        )
        return 0
    for gpu in _gpus():
        _print(f"GPU {gpu}: NVIDIA Simulated GPU (UUID: GPU-00000000-0000-0000-0000-{int(gpu):012d})")
    return 0


def _node(state: State) -> Node:
    own = os.environ.get("SRT_NODE_ADDRESS", "")
    return next((node for node in state.nodes() if node.address == own), state.nodes()[0])


def _hostname(node: Node, words: list[str]) -> int:
    _print(
        node.address
        if any(word in {"-I", "-i", "--all-ip-addresses", "--ip-address"} for word in words)
        else node.name
    )
    return 0


def _getent(state: State, words: list[str]) -> int:
    """Answer for the names of the simulated nodes; everything else is the real getent's."""
    names = {node.name: node.address for node in state.nodes()}
    if len(words) > 1 and words[0] in {"hosts", "ahosts", "ahostsv4"} and words[1] in names:
        address, name = names[words[1]], words[1]
        _print(f"{address}  STREAM {name}" if words[0] != "hosts" else f"{address}  {name}")
        return 0
    path = os.environ.get("PATH", "").split(":")
    os.environ["PATH"] = ":".join(path[1:])
    return _exec(["getent", *words], "getent") if len(path) > 1 else 2
