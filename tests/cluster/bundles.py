"""Bundles for tests on the real Slurm: compiled from a recipe, with the rig's image, and submitted by sbatch."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tiny_model
from parts import Rig
from slurm_cluster.client import Cluster, Job

from srtplan import pipeline

ROOT = Path(__file__).parents[2]
SIMULATED = """
import os, pathlib, socket, sys
sys.path.insert(0, {root!r})
from srtplan.rehearsal.simulation.start import behave, wrap
host = socket.gethostname()
os.environ["SRT_NODE_ADDRESS"] = socket.gethostbyname(host)
state = pathlib.Path("/opt/simulated")
state.mkdir(parents=True, exist_ok=True)
names = [f"node{{i}}" for i in range(4)]
(state / "hosts").write_text("".join(f"{{n}} {{socket.gethostbyname(n)}} 127.0.0.1\\n" for n in names))
if {behavior!r} == "wrapper":
    sys.exit(wrap({module!r}, sys.argv[1:], sys.argv[1:2]))
behavior = "disaggregated" if sys.argv[1:2] == ["disaggregated"] else {behavior!r}
sys.exit(behave(behavior, {module!r}, str(state), sys.argv[1:]))
"""
BEHAVIORS = {
    "sglang.launch_server": "sglang_server",
    "sglang.bench_serving": "bench_sglang",
    "trtllm-serve": "openai_server",
    "vllm": "bench_vllm",
    "trtllm-llmapi-launch": "wrapper",
}


class Run:
    """A submitted bundle: the job, and its run in ``outputs/<job id>/latest``; ``outputs`` can be changed."""

    def __init__(self, job: Job, folder: Path) -> None:
        self.job, self.folder = job, folder
        self.outputs = folder / "outputs"

    @property
    def directory(self) -> Path:
        """The run directory of the last attempt."""
        return self.outputs / str(self.job.id) / "latest"

    @property
    def status(self) -> dict[str, Any]:
        """The content of status.json."""
        found: dict[str, Any] = json.loads((self.directory / "status.json").read_text())
        return found

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of events.jsonl."""
        return [json.loads(line) for line in (self.directory / "events.jsonl").read_text().splitlines()]

    def results(self) -> dict[str, dict[str, Any]]:
        """The result files of sa-bench by name."""
        found = sorted((self.directory / "results").glob("sa-bench*/results_*.json"))
        return {
            p.name: json.loads(
                p.read_text().splitlines()[-1]
                if p.read_text()[0] == "{" and "\n{" in p.read_text()
                else p.read_text()
            )
            for p in found
        }

    def explain(self) -> str:
        """The job's output and the ends of all logs, for the message of a failed test."""
        logs = sorted((self.directory / "logs").glob("*.out"))
        ends = [f"== {p.name}\n{p.read_text(errors='replace')[-1500:]}" for p in logs]
        return "\n".join([self.job.output, *ends])


def own_folder(cluster: Cluster, name: str) -> Path:
    """A new directory that all nodes see."""
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=cluster.shared))


def compile_bundle(cluster: Cluster, name: str, recipe: str, *sets: str, profile: str = "") -> Path:
    """Compile a recipe to a directory that all nodes see; ``profile`` is the text of a cluster profile."""
    folder = own_folder(cluster, name)
    site = folder / "site.yaml"
    site.write_text(profile or "use_segment_sbatch_directive: false\n")
    (only,) = pipeline.compile_recipe(recipe, cluster=site, sets=sets)
    pipeline.write(pipeline.bundle(only.plan), folder / "bundle")
    return folder


def submit(cluster: Cluster, folder: Path, *options: str, env: Mapping[str, str] | None = None) -> Run:
    """Run ``sbatch bundle/job.sh`` in the directory."""
    job = cluster.sbatch(folder / "bundle" / "job.sh", *options, cwd=folder, env=env)
    return Run(job, folder)


def profile_for(rig: Rig, *more: str) -> str:
    """A profile whose containers are the rig's image and whose mounts include the tiny model."""
    names = ("dynamo-sglang", "nginx", "nvcr.io#nvidia/ai-dynamo/vllm-runtime:1.0.0", "nginx:1.27.4")
    lines = [
        "use_segment_sbatch_directive: false",
        f"default_mounts: {{{rig.hf_home}: {rig.hf_home}}}",
        "containers:",
        *(f"  {name!r}: {rig.image}" for name in names),
        *more,
    ]
    return "\n".join(lines) + "\n"


def environment(rig: Rig) -> dict[str, str]:
    """The environment of the submitting user: the path of the tiny model, and offline mode."""
    tiny_model.make(rig.hf_home, "Qwen/Qwen3-0.6B")
    return {"HF_HOME": str(rig.hf_home), "HF_HUB_OFFLINE": "1"}


def simulated_sglang(folder: Path) -> Path:
    """Create a Python package ``sglang`` with a simulated server and load generator, to be mounted and put on PYTHONPATH."""
    package = folder / "simulated" / "sglang"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for module in ("launch_server", "bench_serving"):
        name = f"sglang.{module}"
        text = SIMULATED.format(root=str(ROOT), module=name, behavior=BEHAVIORS[name])
        (package / f"{module}.py").write_text(text)
    return package.parent


HOST = ("/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", "/etc/ssl")


def simulated_image(folder: Path, *programs: str) -> tuple[Path, Path]:
    """Create an image with the host's programs and these simulated ones. Returns it and its directory for more programs.

    ``folder`` must be mounted: the simulated programs are below it.
    """
    root = folder / "image"
    place = root / "opt" / "bin"
    place.mkdir(parents=True)
    (root / ".host-binds").write_text("".join(f"{path}\n" for path in HOST if Path(path).exists()))
    (root / ".env").write_text("PATH=/opt/bin:/usr/bin:/bin\n")
    shutil.copytree(ROOT / "srtplan", folder / "srtplan", ignore=shutil.ignore_patterns("__pycache__"))
    for name in programs:
        text = SIMULATED.format(root=str(folder), module=name, behavior=BEHAVIORS[name])
        (place / name).write_text(f"#!/usr/bin/python3\n{text}")
        (place / name).chmod(0o755)
    file = folder / "image.sqsh"
    file.write_text(f"image: {root}\n")
    return file, place
