"""Run the benchmark library in bash: a run directory, a table of planned runs, and calls of ``bench::run``."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from attrs import field, frozen
from busy import patient

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
SCRIPT = """
set -Eeuo pipefail
source "$1/lib/step.sh"
BUNDLE_DIR="$1" RUN_DIR="$2" LOG_DIR="$2/logs" STEP=benchmark
step::print_command() { :; }
"""
GOOD = {
    "completed": 10,
    "duration": 2.0,
    "total_output_tokens": 320,
    "median_tpot_ms": 4.0,
    "mean_ttft_ms": 9.0,
}


@frozen
class Gate:
    """A bundle with the table of runs, and a run directory, both in ``folder``."""

    folder: Path
    runs: tuple[str, ...] = field(default=("concurrency_2", "concurrency_4"))

    @property
    def run_dir(self) -> Path:
        """RUN_DIR."""
        return self.folder / "out dir" / "attempt_0"

    def make(self) -> Gate:
        """Create the bundle and the run directory."""
        (self.folder / "bundle" / "files").mkdir(parents=True)
        (self.folder / "bundle" / "lib").symlink_to(TEMPLATES / "lib")
        for name in ("results", "logs", "run"):
            (self.run_dir / name).mkdir(parents=True)
        head = '"format":"srtplan.results/1","name":"it\'s","gpus":{"total":8}'
        rows = [("gpus", "8", "4", "4", "0"), ("head", head)]
        rows += [("run", n, "vllm", f"results/{n}.json", f'"concurrency":{n[12:]}') for n in self.runs]
        table = "".join("\t".join(r) + "\n" for r in rows)
        (self.folder / "bundle" / "files" / "benchmark.tsv").write_text(table)
        return self

    def result(self, name: str) -> Path:
        """The path of a run's report."""
        return self.run_dir / "results" / f"{name}.json"

    def bash(self, script: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run shell lines after sourcing the library."""
        return subprocess.run(
            ["bash", "-c", SCRIPT + script, "bash", self.folder / "bundle", self.run_dir],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"SLURM_JOB_ID": "7"} | env,
            timeout=patient(60),
            stdin=subprocess.DEVNULL,
        )

    def call(self, name: str, command: str, client: str = "vllm") -> str:
        """A shell line that performs a measured run with a bash command; $F is the path of its report."""
        file = self.result(name)
        return f"F='{file}' bench::run {name} '{file}' '{client}' bash -c '{command}'\n"

    def summary(self) -> dict[str, Any]:
        """The content of summary.json."""
        found: dict[str, Any] = json.loads((self.run_dir / "results" / "summary.json").read_text())
        return found


def writes(report: object) -> str:
    """A shell command that writes a report to $F."""
    return f'export F; printf "%s" "$1" >"$F"\' _ \'{json.dumps(report)}'
