"""The facts about Slurm that tests/cluster measures on the real one, asserted of the stand-ins by the same functions."""

from __future__ import annotations

from pathlib import Path

import pytest
from slurm_cluster.client import Cluster
from test_slurm_facts import (
    GENTLE,
    test_a_bad_exit_ends_the_other_tasks,
    test_a_component_has_its_own_number,
    test_a_log_can_be_appended_to,
    test_a_step_knows_its_own_id,
    test_export_decides_for_the_steps_too,
    test_only_the_step_itself_can_set_its_gpus,
    test_scancel_of_a_step_with_term_runs_handlers,
    test_scancel_with_kill_ends_a_step_that_ignores_term,
    test_srun_returns_the_exit_status_of_its_task,
    test_term_to_srun_kills_its_tasks,
    test_the_job_record_has_the_submitted_path,
    test_usr1_to_the_batch_shell_alone,
)

__all__ = [
    "test_a_bad_exit_ends_the_other_tasks",
    "test_a_component_has_its_own_number",
    "test_a_log_can_be_appended_to",
    "test_a_step_knows_its_own_id",
    "test_export_decides_for_the_steps_too",
    "test_only_the_step_itself_can_set_its_gpus",
    "test_scancel_of_a_step_with_term_runs_handlers",
    "test_scancel_with_kill_ends_a_step_that_ignores_term",
    "test_srun_returns_the_exit_status_of_its_task",
    "test_term_to_srun_kills_its_tasks",
    "test_the_job_record_has_the_submitted_path",
    "test_usr1_to_the_batch_shell_alone",
]


@pytest.fixture
def cluster(stand_in: Cluster) -> Cluster:
    """Give the stand-ins where the functions expect the real cluster."""
    return stand_in


@pytest.fixture
def task(cluster: Cluster) -> Path:
    """Give the path of GENTLE."""
    return cluster.script("task.sh", GENTLE.partition("\n")[2])
