"""A bundle inside an allocation: ``salloc ... bash bundle/job.sh`` behaves like ``sbatch bundle/job.sh``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from bundles import compile_bundle, own_folder, simulated_image
from slurm_cluster.client import Cluster, eventually
from slurm_cluster.leftovers import Leftovers

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]


def bundle(cluster: Cluster, benchmark: dict[str, object]) -> Path:
    """Compile a bundle with simulated prefill and decode workers on two nodes, and return its directory."""
    parts = own_folder(cluster, "salloc-parts")
    image, _ = simulated_image(parts, "trtllm-serve", "trtllm-llmapi-launch", "vllm")
    (parts / "model").mkdir()
    recipe = {
        "name": "held",
        "model": {"path": str(parts / "model"), "container": str(image), "precision": "fp8"},
        "resources": {"gpu_type": "h100", "gpus_per_node": 1, "prefill_nodes": 1, "prefill_workers": 1,
                      "decode_nodes": 1, "decode_workers": 1},
        "backend": {"type": "trtllm"},
        "frontend": {"type": "trtllm_serve", "enable_multiple_frontends": False},
        "health_check": {"max_attempts": 90, "interval_seconds": 1},
        "benchmark": benchmark | {"container_image": str(image)},
    }  # fmt: skip
    (parts / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    profile = f"use_segment_sbatch_directive: false\ndefault_mounts: {{{parts}: {parts}}}\n"
    return compile_bundle(cluster, "salloc", str(parts / "recipe.yaml"), profile=profile)


@pytest.mark.parametrize(
    ("benchmark", "code", "ends"),
    [
        ({"type": "sa-bench", "client": "vllm", "isl": 8, "osl": 4, "concurrencies": [2]}, 0, "success"),
        ({"type": "custom", "command": "exit 7"}, 7, "benchmark"),
    ],
    ids=["success", "failure"],
)
def test_a_bundle_in_an_allocation(
    cluster: Cluster, leftovers: Leftovers, benchmark: dict[str, object], code: int, ends: str
) -> None:
    """salloc returns the job's exit code, the run is in its usual place, and no step or process is left."""
    folder = bundle(cluster, benchmark)
    argv = ["salloc", "--nodes=2", "bash", "bundle/job.sh"]
    done = cluster.run(argv, cwd=folder, timeout=200, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    (number,) = re.findall(r"Granted job allocation (\d+)", said)
    run = folder / "outputs" / number / "latest"
    assert json.loads((run / "status.json").read_text())["class"] == ends
    if code == 0:
        (record,) = json.loads((run / "results" / "summary.json").read_text())["runs"]
        assert record["output_tokens"] > 0
    queue = ["squeue", "--noheader", f"--jobs={number}", "--states=all", "--format=%T"]
    eventually(
        lambda: cluster.run(queue).stdout.split() in (["COMPLETED"], ["FAILED"]), 20, "the end of the job"
    )
    steps = cluster.run(["squeue", "--noheader", "--steps", f"--jobs={number}", "--format=%i"]).stdout
    assert steps == ""
    assert leftovers() == []
