"""TensorRT-LLM's MPI launch on a real Slurm: one step on two nodes with four tasks each, connected through PMIx."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from bundles import ROOT, compile_bundle, own_folder, simulated_image, submit
from slurm_cluster.client import Cluster
from slurm_cluster.leftovers import Leftovers

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]
SOURCE = Path(__file__).parent / "llmapi_launch.c"
REQUEST = """
curl --fail --silent --show-error "$SRT_FRONTEND_URL/v1/completions" -H 'Content-Type: application/json' \
  -d '{"model": "/model", "prompt": "a b c", "max_tokens": 5}'
"""


def launcher(folder: Path) -> Path:
    """The compiled launcher."""
    asked = ["pkg-config", "--cflags", "--libs", "pmix"]
    flags = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    path = folder / "trtllm-llmapi-launch"
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", path, SOURCE, *flags], check=True)
    return path


def recipe(folder: Path) -> str:
    """The TensorRT-LLM example without Dynamo and NUMA, with one request as its benchmark."""
    made = yaml.safe_load((ROOT / "examples" / "trtllm-disagg.yaml").read_text())
    made["resources"]["gpu_type"] = "h100"
    made["frontend"]["type"] = "trtllm_serve"
    (folder / "model").mkdir()
    image, programs = simulated_image(folder, "trtllm-serve")
    launcher(programs)
    ranks = folder / "ranks"
    for mode in ("prefill", "decode"):
        (ranks / mode).mkdir(parents=True)
        made["backend"][f"{mode}_environment"] = {"RANKS": str(ranks / mode)}
    made["model"] |= {"path": str(folder / "model"), "container": str(image)}
    made["benchmark"] = {"type": "custom", "command": REQUEST}
    made["health_check"] = {"max_attempts": 90, "interval_seconds": 1}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(made))
    return str(path)


def test_eight_ranks_on_two_nodes_connect(cluster: Cluster, leftovers: Leftovers) -> None:
    """Slurm and PMIx assign the same rank to every task of the decode worker, and every rank knows all hosts."""
    parts = own_folder(cluster, "mpi-parts")
    profile = f"use_segment_sbatch_directive: false\ndefault_mounts: {{{parts}: {parts}}}\n"
    folder = compile_bundle(cluster, "mpi", recipe(parts), profile=profile)
    run = submit(cluster, folder)
    run.job.wait(timeout=150)
    assert (run.job.state, run.job.exit_code) == ("COMPLETED", 0), run.explain()
    assert run.status["class"] == "success"
    assert '"text"' in (run.directory / "logs" / "benchmark.out").read_text(), run.explain()
    for mode, hosts in (("prefill", ["node0"] * 4), ("decode", ["node1"] * 4 + ["node2"] * 4)):
        said = {p.name: p.read_text().split() for p in (parts / "ranks" / mode).iterdir()}
        count = str(len(hosts))
        assert said == {str(n): [str(n), count, str(n), str(n), *hosts] for n in range(len(hosts))}, (
            run.explain()
        )
    assert run.job.steps == []
    assert leftovers() == []
