"""Small programs of a node: wrappers that only exec, tools that only print.

In: name and argv. Out: an exit code; installers say what they would do and succeed.
"""

import os
import sys
from collections.abc import Callable

from srtplan.rehearsal.simulated import fetching
from srtplan.rehearsal.slurm.state import Node, State

NSYS_FLAGS = {"--stats", "--wait"}
LAUNCHER = "trtllm-llmapi-launch"


def main(name: str, state: State, words: list[str]) -> int:
    """Run one of the small programs and return its exit code."""
    if name in {"numactl", "nsys"}:
        return _wrap(name, words)
    if name == LAUNCHER:
        return _launch(words)
    known: dict[str, Callable[[State, list[str]], int]] = {
        "nvidia-smi": _nvidia_smi,
        "hostname": _hostname,
        "getent": _getent,
        "git": fetching.git,
        "curl": fetching.download,
        "wget": fetching.download,
        "maturin": fetching.maturin,
    }
    if name in known:
        return known[name](state, words)
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


def _wrap(name: str, words: list[str]) -> int:
    """Be numactl or nsys: strip the options; the program behind writes the report that nsys would write."""
    options, inner = _split(name, words)
    if name == "nsys":
        report = (options.get("-o") or options.get("--output") or "report1").removesuffix(".nsys-rep")
        os.environ["SRT_REHEARSAL_NSYS"] = report.replace(
            "%q{SLURM_PROCID}", os.environ.get("SLURM_PROCID", "0")
        )
        seconds = [float(options.get(option) or 0) for option in ("--delay", "--duration")]
        os.environ["SRT_REHEARSAL_NSYS_AFTER"] = str(sum(seconds)) if "--duration" in options else ""
    return _exec(inner, name)


def _split(name: str, words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the wrapper's own options and the command behind them."""
    valued = {"numactl": {"-m", "-N", "-C", "-i", "-p"}, "nsys": {"-t", "-o", "-c", "-s", "-f", "-y", "-d"}}
    rest = words[1:] if name == "nsys" and words[:1] in (["profile"], ["launch"]) else list(words)
    options: dict[str, str] = {}
    while rest and rest[0].startswith("-"):
        option, has_value, value = rest.pop(0).partition("=")
        takes_next = option in valued[name] or (name == "nsys" and option.startswith("--") and not has_value)
        options[option] = rest.pop(0) if takes_next and option not in NSYS_FLAGS and rest else value
    return options, rest


def _launch(words: list[str]) -> int:
    """Be ``trtllm-llmapi-launch``: rank 0 runs the command, the other ranks wait for work."""
    if os.environ.get("SLURM_PROCID", "0") == "0":
        return _exec(words, LAUNCHER)
    from srtplan.rehearsal.simulated import mpi_rank  # noqa: PLC0415

    return mpi_rank.serve()


def _gpus() -> list[str]:
    return [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]


def _nvidia_smi(_state: State, words: list[str]) -> int:
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


def _hostname(state: State, words: list[str]) -> int:
    node = _node(state)
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
