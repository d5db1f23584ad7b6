"""Variables of another step or job in the submitter's shell: environ::drop_foreign."""

from __future__ import annotations

from pathlib import Path

import pytest
from plans import benchmark, nats, plan, run
from shell_lab import Lab, in_library

FOREIGN = """
    SLURM_CPU_BIND SLURM_CPU_BIND_LIST SLURM_CPU_BIND_TYPE SLURM_CPU_BIND_VERBOSE SLURM_MEM_BIND SLURM_MEM_BIND_TYPE
    SLURM_STEP_ID SLURM_STEPID SLURM_STEP_GPUS SLURM_STEP_NODELIST SLURM_SRUN_COMM_PORT SLURM_LAUNCH_NODE_IPADDR
    SLURM_DISTRIBUTION SLURM_DIST_PLANESIZE SLURM_HINT SLURM_EXACT SLURM_OVERLAP SLURM_WHOLE SLURM_THREADS_PER_CORE
    SLURM_GPUS SLURM_GPUS_PER_NODE SLURM_GPUS_PER_TASK SLURM_GPU_BIND SLURM_NTASKS_PER_CORE SRUN_CPUS_PER_TASK SLURM_TIMELIMIT
    PMIX_RANK PMIX_NAMESPACE PMI_RANK PMI_FD PMI2_X PALS_RANKID OMPI_COMM_WORLD_RANK OMPI_MCA_orte_precondition_transports
    CUDA_VISIBLE_DEVICES
""".split()  # noqa: SIM905 -- names are read more easily in lines
KEPT = """
    SLURM_JOB_ID SLURM_JOB_NODELIST SLURM_NTASKS SLURM_NNODES SLURM_PROCID SLURM_CPUS_ON_NODE SLURM_TASKS_PER_NODE
    SLURM_SUBMIT_DIR SLURM_CONF SLURM_MPI_TYPE SLURM_NETWORK SLURM_SPANK_X SLURM_EXPORT_ENV
    OMPI_MCA_btl OMPI_MCA_plm_slurm_args OMPI_ALLOW_RUN_AS_ROOT PMIX_MCA_gds SLURM_MEM_PER_CPU_HET_GROUP_0 SLURMX PMIXER HOME
""".split()  # noqa: SIM905 -- names are read more easily in lines
OF_THE_RECORD = ("SLURM_CPUS_PER_TASK", "SLURM_MEM_PER_CPU", "SLURM_MEM_PER_NODE", "SLURM_TRES_PER_TASK")
SCRIPT = """
BUNDLE_DIR="$1"
scontrol() { printf '%s\\n' "${RECORD}"; [[ -n "${RECORD}" ]]; }
timeout() { shift; "$@"; }
environ::drop_foreign
printf '%s\\n' "${DROPPED_VARIABLES[@]}"
printf 'left %s\\n' $(compgen -e)
"""


def dropped(folder: Path, env: dict[str, str], *directives: str, record: str = "") -> set[str]:
    """The names that a job with these directives and this record drops from its environment."""
    (folder / "job.sh").write_text("".join(f"#SBATCH {line}\n" for line in ("--job-name=x", *directives)))
    done = in_library(SCRIPT, str(folder), env=env | {"RECORD": record})
    lines = done.stdout.decode().splitlines()
    left = {line.partition(" ")[2] for line in lines if line.startswith("left ")}
    names = {line for line in lines if line and not line.startswith("left ")}
    assert not names & left
    assert done.returncode == 0, done.stderr
    return names


def test_variables_of_another_step_are_dropped(tmp_path: Path) -> None:
    """Options of srun and ranks are dropped; variables that describe the job or tune MPI stay."""
    env = dict.fromkeys((*FOREIGN, *(name for name in KEPT if name != "HOME")), "1")
    assert dropped(tmp_path, env) == set(FOREIGN)


def test_gpu_variables_outside_a_step_stay(tmp_path: Path) -> None:
    """Outside a step they are the user's choice."""
    assert dropped(tmp_path, {"CUDA_VISIBLE_DEVICES": "0"}) == set()


@pytest.mark.parametrize(
    ("name", "directive"),
    [
        ("SLURM_CPUS_PER_TASK", "--cpus-per-task=2"),
        ("SLURM_MEM_PER_NODE", "--mem=0"),
        ("SLURM_MEM_PER_CPU", "--mem-per-cpu=1G"),
        ("SLURM_GPUS_PER_NODE", "--gpus-per-node=8"),
        ("SLURM_DIST_PLANESIZE", "--distribution=plane=4"),
        ("SLURM_MEM_BIND_LIST", "--mem-bind=local"),
        ("SLURM_OVERCOMMIT", "--overcommit"),
        ("SLURM_HINT", "--hint nomultithread"),
    ],
)
def test_options_requested_by_the_job_stay(tmp_path: Path, name: str, directive: str) -> None:
    """A variable stays if a directive requested it; a directive that only starts with the same letters does not count."""
    assert dropped(tmp_path, {name: "1"}, directive, record="CPUs/Task=1") == set()
    other = directive.replace("--", "--x", 1)
    assert dropped(tmp_path, {name: "1"}, other, "--mem-limit=1", record="CPUs/Task=1") == {name}


@pytest.mark.parametrize(
    ("record", "kept"),
    [
        ("NumNodes=1 CPUs/Task=1 MinCPUsNode=1 MinMemoryNode=0 Features=(null)", set()),
        ("NumNodes=1 CPUs/Task=2 MinMemoryCPU=2G", {"SLURM_CPUS_PER_TASK", "SLURM_MEM_PER_CPU"}),
        (
            "CPUs/Task=16 MinMemoryNode=10G TresPerTask=cpu=2",
            {"SLURM_CPUS_PER_TASK", "SLURM_MEM_PER_NODE", "SLURM_TRES_PER_TASK"},
        ),
        ("", set(OF_THE_RECORD)),
    ],
)
def test_options_of_the_command_line_are_in_the_record(tmp_path: Path, record: str, kept: set[str]) -> None:
    """Options of the command line and defaults of the partition are in Slurm's record; without a record nothing is dropped."""
    env = dict.fromkeys(OF_THE_RECORD, "1")
    assert dropped(tmp_path, env, record=record) == set(OF_THE_RECORD) - kept


def test_dropped_variables_are_logged_and_reach_no_step(stand_in_lab: Lab) -> None:
    """One warning is logged, and none without such variables."""
    script = ("bash", "-c", 'echo "rank ${PMIX_RANK-none} bind ${SLURM_CPU_BIND-none}"')
    made = plan(nats(), benchmark(run("b", *script)))
    code, job = stand_in_lab.run(made, PMIX_RANK="0", SLURM_CPU_BIND="quiet,mask_cpu:0x1")
    assert code == 0, job.log
    assert job.log.count("of the submitting shell: PMIX_RANK SLURM_CPU_BIND\n") == 1
    assert "rank none bind none" in (job.run_dir / "logs" / "benchmark.out").read_text()
    code, job = stand_in_lab.run(made)
    assert "options of srun" not in job.log
