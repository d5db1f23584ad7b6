"""A job that is submitted from within another step, on a real Slurm that binds tasks: environ::drop_foreign."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from slurm_cluster.client import Cluster, Job

pytestmark = pytest.mark.cluster

LIBRARY = Path(__file__).resolve().parents[2] / "templates" / "lib" / "environ.sh"
LOOK = """#SBATCH --nodes=1
#SBATCH --cpus-per-task=2
BUNDLE_DIR="$1"
{library}
echo "step id of the batch script: ${{SLURM_STEP_ID-none}}"
echo "as submitted"
srun --overlap bash -c "$2"
environ::drop_foreign
echo "dropped ${{DROPPED_VARIABLES[*]}}"
srun --overlap bash -c "$2"
"""
SHOW = 'echo "cpus $(nproc) ${PMIX_RANK-none} ${SLURM_MEM_PER_CPU-none}"'
INHERITED = {
    "SLURM_CPU_BIND": "quiet,mask_cpu:0x1", "SLURM_CPU_BIND_LIST": "0x1", "SLURM_CPU_BIND_TYPE": "mask_cpu:",
    "SLURM_CPU_BIND_VERBOSE": "quiet", "PMIX_RANK": "0", "SLURM_MEM_PER_CPU": "100", "SLURM_CPUS_PER_TASK": "7",
}  # fmt: skip


def lines(cluster: Cluster, env: dict[str, str], *options: str) -> list[str]:
    """The output of a job that inspects a step before and after variables are dropped."""
    script = cluster.script("job.sh", LOOK.format(library=LIBRARY.read_text()))
    shell = [
        "env",
        *(f"{name}={value}" for name, value in env.items()),
    ]  # the cluster's own shell has no SLURM_*
    argv = [*shell, "sbatch", "--parsable", *options, str(script), str(cluster.shared), SHOW]
    job = Job(cluster, int(cluster.run(argv).stdout))
    cluster.jobs.append(job)
    return job.wait(timeout=60).output.splitlines()


def test_a_job_submitted_in_a_step_drops_its_variables(
    raise_cluster: Callable[..., Cluster],
) -> None:
    """A step is bound to one core before, and to both cores after; the job's own CPU count is kept."""
    cluster = raise_cluster("--conf=TaskPlugin=task/affinity", nodes=1)
    fresh = lines(cluster, {})
    assert fresh[0] == "step id of the batch script: none"
    assert fresh[2:] == ["cpus 2 none none", "dropped ", "cpus 2 none none"]
    inherited = lines(cluster, INHERITED)
    assert inherited[2] == "cpus 1 0 100", inherited
    assert inherited[-1] == "cpus 2 none none"
    dropped = inherited[3].split()[1:]
    assert set(dropped) == set(INHERITED) - {"SLURM_CPUS_PER_TASK"}
    asked = lines(cluster, INHERITED, "--mem-per-cpu=50")
    assert asked[-1] == "cpus 2 none 50"
