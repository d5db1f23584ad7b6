"""Run the launchers of a bundle one at a time, and record what they pass to srun and what their tasks execute.

In: a bundle on disk and its plan.json. Out: argv and environment of the programs. ``srun`` and every program of the steps
are replaced by a recorder; runs of a benchmark are recorded by a replacement of ``bench::run``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

RECORDER = r"""#!/bin/bash
{ printf '%s\0' "${0##*/}" "$@" && printf '\n' && env -0 && printf '\n'; } >"${RECORD}.${0##*/}.$$"
"""
BENCH = r"""bench::run() {
  local -r name="$1"
  shift 3
  printf '%s\0' "$@" >"${RECORD}.run.${name}"
}
command_not_found_handle() { [[ "$1" == bench::* ]]; }
"""
_REFERENCE = re.compile(r"\$\$\{|\$\{(\w+)(?:\[(\d+)\])?\}")


class Recording:
    """A bundle with nodes, addresses and a run directory, and a PATH of recorders."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        self.bundle, self.folder = bundle, folder
        self.job = (
            f"77{os.getpid()}"  # scratch directories are named after the job, and tests run in parallel
        )
        self.plan: dict[str, Any] = json.loads((bundle / "plan.json").read_text())
        self.run_dir = folder / "run dir"
        for name in ("run/steps", "logs", "results"):
            (self.run_dir / name).mkdir(parents=True)
        total = self.plan["nodes"]["total"]
        names = " ".join(f"n{i}" for i in range(total))
        addresses = " ".join(f"10.0.0.{i}" for i in range(total))
        (self.run_dir / "run" / "nodes.sh").write_text(f"NODE=({names})\nIP=({addresses})\n")
        (bundle / "lib" / "bench.sh").write_text(BENCH)
        self._write_recorders()

    def _write_recorders(self) -> None:
        programs = {"srun", *(self.words(step["argv"])[0] for step in self.plan["steps"] if step["argv"])}
        (self.folder / "bin").mkdir()
        for name in programs | {"python3", "python", "pip", "nginx"}:
            path = self.folder / "bin" / name
            path.write_text(RECORDER)
            path.chmod(0o755)

    def value(self, text: str) -> str:
        """A word of plan.json with its references resolved."""
        known = {"JOB_ID": self.job, "RUN_DIR": str(self.run_dir), "LOG_DIR": f"{self.run_dir}/logs",
                 "BUNDLE_DIR": str(self.bundle)}  # fmt: skip

        def replace(match: re.Match[str]) -> str:
            name, index = match.groups()
            if name is None:
                return "${"
            if index is None:
                return known[name]
            return f"n{index}" if name == "NODE" else f"10.0.0.{index}"

        return _REFERENCE.sub(replace, text)

    def words(self, texts: list[str]) -> list[str]:
        """An argv of plan.json with its references resolved."""
        return [self.value(t) for t in texts]

    def start(self, step: dict[str, Any], verb: str) -> dict[str, tuple[list[str], dict[str, str]]]:
        """Run ``launch`` or ``task`` of a launcher. Returns argv and environment by program; a benchmark's runs are ``run.NAME``."""
        record = self.folder / "record" / f"{step['name']}.{verb}"
        record.parent.mkdir(exist_ok=True)
        environ = {"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "RECORD": str(record), "HOME": str(self.folder),
                   "SLURM_JOB_ID": self.job, "SLURM_STEP_ID": "5", "SLURM_PROCID": "0",
                   "SLURM_JOB_ID_HET_GROUP_0": self.job, "SLURM_JOB_ID_HET_GROUP_1": f"{self.job}1"}  # fmt: skip
        launcher = self.bundle / "steps" / f"{step['name']}.sh"
        done = subprocess.run(
            ["/bin/bash", str(launcher), verb, str(self.run_dir)],
            env=environ, capture_output=True, text=True, check=False, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0, (step["name"], verb, done.stdout, done.stderr)
        found = {
            p.name.removeprefix(f"{record.name}."): _read(p) for p in record.parent.glob(f"{record.name}.*")
        }
        return {
            name if name.startswith("run.") else name.rpartition(".")[0]: got for name, got in found.items()
        }


def _read(path: Path) -> tuple[list[str], dict[str, str]]:
    words, _, environ = path.read_bytes().partition(b"\0\n")
    pairs = (item.decode().partition("=") for item in environ.removesuffix(b"\n").split(b"\0") if item)
    return [w.decode() for w in words.removesuffix(b"\0").split(b"\0")], {
        name: value for name, _, value in pairs
    }


def srun_words(recording: Recording, step: dict[str, Any]) -> set[str]:
    """The options of a step's srun according to plan.json."""
    nodes = ",".join(f"n{n}" for n in step["nodes"])
    own = {"overlap": True, "input": "none", "nodes": len(step["nodes"]), "ntasks": step["ntasks"], "nodelist": nodes,
           "job-name": step["name"], "open-mode": "append", "kill-on-bad-exit": "1"} | step["srun"]  # fmt: skip
    return {f"--{k}" if v is True else f"--{k}={recording.value(str(v))}" for k, v in own.items()}


def check_launch(recording: Recording, step: dict[str, Any]) -> None:
    """Assert that srun gets the options, the command and the environment of plan.json."""
    ((words, environ),) = recording.start(step, "launch").values()
    options, command = words[1:-4], words[-4:]
    expected = srun_words(recording, step)
    assert set(options) == expected, (step["name"], set(options) ^ expected)
    assert len(set(options)) == len(options)
    assert command[0] == "bash"
    assert command[2:4] == ["task", str(recording.run_dir)] or command[1].endswith(
        f"/steps/{step['name']}.sh"
    )
    wanted = step["env"]
    assert isinstance(wanted, dict)
    assert all(environ[name] == recording.value(wanted[name]) for name in step["launch_env"])  # type: ignore[attr-defined]


def check_task(recording: Recording, step: dict[str, Any]) -> None:
    """Assert that the step's program, or each run of a benchmark, gets the argv and the environment of plan.json."""
    found = recording.start(step, "task")
    runs, argv, wanted = step["runs"], step["argv"], step["env"]
    assert isinstance(runs, list)
    assert isinstance(argv, list)
    assert isinstance(wanted, dict)
    if runs:
        got = {name.removeprefix("run."): words for name, (words, _) in found.items()}
        assert got == {run["name"]: recording.words(run["argv"]) for run in runs}
        return
    words, environ = found[recording.words(argv)[0]]
    assert words == recording.words(argv), (step["name"], words, recording.words(argv))
    names = set(wanted) - set(step["launch_env"])  # type: ignore[call-overload]
    assert {n: environ[n] for n in names} == {n: recording.value(wanted[n]) for n in names}
    assert environ["SRT_STEP"] == step["name"]
