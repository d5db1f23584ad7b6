"""The test cluster itself: what the other tests on a real Slurm rely on."""

from __future__ import annotations

import pytest
from slurm_cluster.client import Cluster
from slurm_cluster.leftovers import Leftovers

pytestmark = pytest.mark.cluster


def test_a_job_leaves_nothing(cluster: Cluster, leftovers: Leftovers) -> None:
    """A job that ends by itself leaves nothing on any node."""
    script = cluster.script("job.sh", "srun --nodes=4 hostname | sort\nexit 7\n")
    job = cluster.sbatch(script, "--nodes=4").wait(timeout=20)
    assert (job.state, job.exit_code) == ("FAILED", 7)
    assert job.output.split() == list(cluster.nodes)
    assert leftovers() == []
