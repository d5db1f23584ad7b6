"""Behaviour of Slurm on which the bundle's library relies, measured on the installed Slurm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slurm_cluster.client import Cluster, Job, eventually

pytestmark = pytest.mark.cluster

RaiseCluster = Callable[..., Cluster]

# a task that reports when it is up, and ends with 5 after TERM
GENTLE = """#!/usr/bin/env bash
trap 'echo "term ${SLURM_PROCID}"; exit 5' TERM
trap 'echo "usr1 ${SLURM_PROCID}"' USR1
echo "up ${SLURM_PROCID} ${SLURM_STEP_ID}"
while true; do sleep 0.1; done
"""


@pytest.fixture(scope="module", autouse=True)
def limited(session_cluster: Cluster) -> Iterator[Job]:
    """Start a job of one minute before all others, because Slurm checks time limits only every 30 seconds."""
    text = "trap '((SECONDS < 60)) && echo usr1 after less than a minute; exit 4' USR1\nsleep 90 & wait\n"
    options = ("--time=1", "--signal=B:USR1@50", "--error=/dev/null")
    job = session_cluster.sbatch(session_cluster.script("limited.sh", text), *options)
    session_cluster.jobs.remove(job)  # it outlives the tests until its own
    yield job
    job.cancel()


@pytest.fixture
def task(cluster: Cluster) -> Path:
    """The path of a script with GENTLE."""
    return cluster.script("task.sh", GENTLE.partition("\n")[2])


def submit(cluster: Cluster, text: str, *options: str) -> Job:
    """Submit a batch script for two nodes; its output excludes messages of srun and Slurm."""
    (cluster.shared / "step.out").unlink(missing_ok=True)
    options = ("--nodes=2", "--error=/dev/null", *options)
    return cluster.sbatch(cluster.script("job.sh", text), *options, cwd=cluster.shared)


def task_output(cluster: Cluster) -> list[str]:
    """Return the sorted lines that the tasks have written, without messages of bash and Slurm."""
    path = cluster.shared / "step.out"
    lines = path.read_text().splitlines() if path.exists() else []
    return sorted(line for line in lines if line != "Terminated" and not line.startswith("slurmstepd"))


def wait_until_up(cluster: Cluster, tasks: int = 2) -> None:
    """Wait until this many tasks have reported that they are up."""
    eventually(lambda: len(task_output(cluster)) == tasks, timeout=10, what="the tasks are up")


# ------------------------------------------------------------------ finding the bundle


def test_the_job_record_has_the_submitted_path(cluster: Cluster) -> None:
    """Slurm runs a copy of the script; `Command=` in the job's record is the path of the original."""
    folder = cluster.shared / "a bundle"
    folder.mkdir()
    script = folder / "job.sh"
    script.write_text(
        "#!/usr/bin/env bash\n"
        'echo "${BASH_SOURCE[0]}"\n'
        'scontrol show job -o "${SLURM_JOB_ID}" | grep -o "Command=.*job.sh"\n'
    )
    job = cluster.sbatch(Path("a bundle/job.sh"), cwd=cluster.shared).wait(timeout=20)
    running, command = job.output.splitlines()
    assert running != str(script)
    assert command == f"Command={script}"


def test_host_names_come_in_the_order_of_the_allocation(cluster: Cluster) -> None:
    """`scontrol show hostnames` prints one name per line, in the order of the job's nodes."""
    text = 'scontrol show hostnames "${SLURM_JOB_NODELIST}"\nsrun --label hostname | sort -n\n'
    job = cluster.sbatch(cluster.script("job.sh", text), "--nodes=4").wait(timeout=20)
    names = job.output.splitlines()
    assert names[4:] == [f"{i}: {name}" for i, name in enumerate(names[:4])]


# ------------------------------------------------------------------ steps


def test_a_step_knows_its_own_id(cluster: Cluster, task: Path) -> None:
    """`SLURM_STEP_ID` in the task is the id under which squeue and scancel know the step."""
    job = submit(cluster, f"srun --ntasks=2 --output=step.out {task}\n")
    wait_until_up(cluster)
    step = f"{job.id}.{task_output(cluster)[0].split()[2]}"
    listed = cluster.run(
        ["squeue", "--noheader", "--steps", f"--jobs={job.id}", "--format=%i"]
    ).stdout.split()
    assert sorted(listed) == [step, f"{job.id}.batch"]
    state = cluster.run(["squeue", "--noheader", f"--jobs={job.id}", "--format=%T"]).stdout.split()
    assert state == ["RUNNING"]


def test_only_the_step_itself_can_set_its_gpus(cluster: Cluster) -> None:
    """A step overwrites CUDA_VISIBLE_DEVICES of the batch script; a value set inside the step is kept."""
    text = (
        "export CUDA_VISIBLE_DEVICES=6,7\n"
        "srun bash -c 'echo \"${CUDA_VISIBLE_DEVICES}\"'\n"
        "srun --export=ALL,CUDA_VISIBLE_DEVICES=6,7 bash -c 'echo \"${CUDA_VISIBLE_DEVICES}\"'\n"
        "srun bash -c 'export CUDA_VISIBLE_DEVICES=6,7; exec printenv CUDA_VISIBLE_DEVICES'\n"
    )
    job = cluster.sbatch(cluster.script("job.sh", text), "--gpus-per-node=8").wait(timeout=20)
    assert job.output.splitlines() == ["0,1,2,3,4,5,6,7", "0,1,2,3,4,5,6,7", "6,7"]


@pytest.mark.parametrize(
    ("export", "kept", "said"),
    [("ALL", "a b", ""), ("NONE", "- -", "NONE"), ("OWN", "a -", "OWN"), ("OWN=c,MORE", "c b", "OWN=c,MORE")],
)
def test_export_decides_for_the_steps_too(cluster: Cluster, export: str, kept: str, said: str) -> None:
    """Steps lack what --export excludes; the job has the login environment, a step has it only with --export."""
    shows = 'echo "${OWN:--} ${MORE:--} ${HOME:+home} ${USER:+user}"'
    text = (
        f"{shows}\n"
        'echo "${SLURM_EXPORT_ENV}"\n'
        f"SLURM_EXPORT_ENV=ALL srun --ntasks=1 --nodes=1 /bin/bash -c '{shows}'\n"
        f"srun --ntasks=1 --nodes=1 /bin/bash -c '{shows}'\n"
    )
    env = {"OWN": "a", "MORE": "b", "USER": "me"}
    job = cluster.sbatch(cluster.script("job.sh", text), f"--export={export}", env=env).wait(timeout=20)
    bare = f"{kept}  " if export != "ALL" else f"{kept} home user"
    assert job.output.splitlines() == [f"{kept} home user", said, f"{kept} home user", bare]


def test_srun_returns_the_exit_status_of_its_task(cluster: Cluster) -> None:
    """srun returns the task's status, 128 + signal after a signal, and the highest of several tasks."""
    text = (
        "srun bash -c 'exit 42'; echo $?\n"
        "srun bash -c 'kill -KILL $$'; echo $?\n"
        "srun --ntasks=3 bash -c 'exit $((SLURM_PROCID * 3))'; echo $?\n"
    )
    job = submit(cluster, text, "--nodes=1", "--ntasks=3").wait(timeout=20)
    assert job.output.split() == ["42", "137", "6"]


def test_the_launched_process_is_srun_itself(cluster: Cluster, task: Path) -> None:
    """A background launcher that ends with `exec srun` has the pid of srun, which can be awaited and inspected."""
    text = (
        f"(exec srun --overlap --input=none --output=step.out {task}) & pid=$!\n"
        'for _ in {1..50}; do [[ $(cat "/proc/${pid}/comm") == srun ]] && break; sleep 0.1; done\n'
        'cat "/proc/${pid}/comm"\nwait "${pid}"\necho $?\n'
    )
    job = submit(cluster, text)
    wait_until_up(cluster)
    cluster.run(["scancel", "--signal=TERM", f"{job.id}.0"])
    assert job.wait(timeout=20).output.split() == ["srun", "5"]


def test_a_bad_exit_ends_the_other_tasks(cluster: Cluster) -> None:
    """With --kill-on-bad-exit=1, a failed task ends the step; srun returns the highest status, that of TERM."""
    text = "srun --ntasks=2 --kill-on-bad-exit=1 bash -c '((SLURM_PROCID)) && exit 3; sleep 60'; echo $?\n"
    job = submit(cluster, text).wait(timeout=20)
    assert job.output.split() == ["143"]


def test_a_log_can_be_appended_to(cluster: Cluster) -> None:
    """With --open-mode=append, a second step keeps the first one's output in the file."""
    text = 'for i in 1 2; do srun --output=step.out --open-mode=append echo "${i}"; done\n'
    submit(cluster, text, "--ntasks=1").wait(timeout=20)
    assert task_output(cluster) == ["1", "2"]


# ------------------------------------------------------------------ stopping


def test_scancel_of_a_step_with_term_runs_handlers(cluster: Cluster, task: Path) -> None:
    """After `scancel --signal=TERM JOB.STEP`, the tasks' handlers run, srun returns their status, and the job continues."""
    job = submit(cluster, f"srun --ntasks=2 --output=step.out {task}; echo $?; sleep 0.1; echo on\n")
    wait_until_up(cluster)
    cluster.run(["scancel", "--signal=TERM", f"{job.id}.0"])
    job.wait(timeout=20)
    assert task_output(cluster)[:2] == ["term 0", "term 1"]
    assert job.output.split() == ["5", "on"]


def test_term_to_srun_kills_its_tasks(cluster: Cluster, task: Path) -> None:
    """A TERM to srun kills its tasks at once, and no handler runs."""
    text = (
        f"srun --ntasks=2 --output=step.out {task} & pid=$!\n"
        "until [[ $(wc -l <step.out) == 2 ]]; do sleep 0.1; done\n"
        'kill -TERM "${pid}"\nwait "${pid}"\necho $?\n'
    )
    job = submit(cluster, text).wait(timeout=20)
    assert [line.split()[0] for line in task_output(cluster)] == ["up", "up"]
    assert job.output.split() == ["137"]


SLOW = """
trap 'echo term >>term.out; sleep 1 & wait; echo done >>term.out; exit 5' TERM
echo up >>step.out
while true; do sleep 0.1; done
"""


@pytest.mark.parametrize("proctrack", ["auto", "linuxproc"])
def test_scancel_of_a_job_reaches_shell_and_steps_at_once(
    raise_cluster: RaiseCluster, proctrack: str
) -> None:
    """Plain `scancel JOB` sends TERM to the shell and the tasks, and gives both KillWait seconds to end."""
    cluster = raise_cluster(f"--proctrack={proctrack}")
    task = cluster.script("task.sh", SLOW)
    text = (
        "trap 'echo shell term' TERM\n"
        f"srun --ntasks=2 {task} & pid=$!\n"
        'while kill -0 "${pid}" 2>/dev/null; do wait "${pid}"; done\necho after\n'
    )
    job = submit(cluster, text)
    wait_until_up(cluster)
    job.cancel()
    assert job.wait(timeout=20).state == "CANCELLED"
    assert (cluster.shared / "term.out").read_text().split() == ["term", "term", "done", "done"]
    assert job.output.splitlines() == ["shell term", "after"]


def test_term_reaches_the_commands_of_the_shell(cluster: Cluster) -> None:
    """With proctrack/linuxproc, `scancel JOB` also ends the command that the batch shell runs at that moment."""
    text = "trap 'echo shell term' TERM\necho up >step.out\nsleep 60\necho $?\n"
    job = submit(cluster, text)
    wait_until_up(cluster, tasks=1)
    job.cancel()
    assert job.wait(timeout=20).output.splitlines() == ["shell term", "143"]


def test_usr1_to_the_batch_shell_alone(cluster: Cluster, task: Path) -> None:
    """`scancel --batch --signal=USR1 JOB` reaches the trap of the shell, and no task."""
    text = f"trap 'echo shell usr1; exit 4' USR1\nsrun --ntasks=2 --output=step.out {task} &\nwait\n"
    job = submit(cluster, text)
    wait_until_up(cluster)
    job.signal("USR1", "--batch")
    assert job.wait(timeout=20).exit_code == 4
    assert not any(line.startswith("usr1") for line in task_output(cluster))


def test_scancel_with_kill_ends_a_step_that_ignores_term(cluster: Cluster) -> None:
    """`scancel --signal=KILL JOB.STEP` ends tasks that ignore TERM, and squeue stops listing the step."""
    text = "srun --ntasks=2 bash -c 'trap \"\" TERM; echo up >>step.out; sleep 60'; echo $?\nsleep 60\n"
    job = submit(cluster, text)
    wait_until_up(cluster)
    cluster.run(["scancel", "--signal=TERM", f"{job.id}.0"])
    cluster.run(["sleep", "0.5"])
    assert f"{job.id}.0" in job.steps
    cluster.run(["scancel", "--signal=KILL", f"{job.id}.0"])
    eventually(lambda: job.steps == [f"{job.id}.batch"], timeout=10, what="the step is gone")
    eventually(lambda: job.output.split() == ["137"], timeout=5, what="srun ends with 137")


def test_a_component_has_its_own_number(cluster: Cluster, task: Path) -> None:
    """Steps of a heterogeneous job have the number of their component; with the job's number, scancel does nothing."""
    text = (
        "#SBATCH --nodes=1\n#SBATCH hetjob\n#SBATCH --nodes=2\n"
        'echo "${SLURM_JOB_ID} ${SLURM_JOB_ID_HET_GROUP_0} ${SLURM_JOB_ID_HET_GROUP_1}"\n'
        "srun --het-group=0 bash -c 'echo \"job ${SLURM_JOB_ID}\" >>ids; exec sleep 60' &\nsleep 1\n"
        'srun --het-group=1 --ntasks=2 --output=step.out bash -c \'echo "job ${SLURM_JOB_ID}" >>ids; exec "$1"\' task '
        f"{task}\necho $?\nwait\n"
    )
    script = cluster.script("job.sh", text)
    out = cluster.shared / "job.out"
    for name in ("job.out", "step.out", "ids"):
        (cluster.shared / name).unlink(missing_ok=True)
    job = cluster.sbatch(script, f"--output={out}", "--error=/dev/null", cwd=cluster.shared)
    wait_until_up(cluster)
    own, first, second = out.read_text().split()
    assert own == first == str(job.id) != second
    assert (cluster.shared / "ids").read_text() == f"job {own}\n" * 3

    def listed(jobs: str) -> list[str]:
        argv = ["squeue", "--noheader", "--steps", f"--jobs={jobs}", "--format=%i"]
        return sorted(cluster.run(argv).stdout.split())

    assert listed(own) == [f"{own}.0", f"{own}.batch"]
    assert listed(second) == [f"{second}.1"]
    assert listed(f"{own},{second}") == sorted([f"{own}.0", f"{own}.batch", f"{second}.1"])
    states = cluster.run(["squeue", "--noheader", f"--jobs={own}", "--format=%i %T"]).stdout.splitlines()
    assert states == [f"{own}+0 RUNNING", f"{own}+1 RUNNING"]
    cluster.run(["scancel", "--signal=TERM", f"{own}.1"])
    cluster.run(["sleep", "0.5"])
    assert not any(line.startswith("term") for line in task_output(cluster))
    cluster.run(["scancel", "--signal=TERM", f"{second}.1"])
    eventually(lambda: "5" in out.read_text().split(), timeout=10, what="srun ends as its tasks did")
    assert [line for line in task_output(cluster) if line.startswith("term")] == ["term 0", "term 1"]


# ------------------------------------------------------------------ lost nodes and time limits


LOSE_A_NODE = """
trap 'echo term' TERM
srun --overlap --input=none --nodes=1 --ntasks=1 --nodelist=node1 sleep 60 & pid=$!
while kill -0 "${pid}" 2>/dev/null; do wait "${pid}"; done
wait "${pid}"; echo "srun $?"
sleep 0.5
echo "state $(squeue --noheader --jobs="${SLURM_JOB_ID}" --format='%T %r %D')"
"""


def lose_a_node(raise_cluster: RaiseCluster, *options: str) -> Job:
    """Run LOSE_A_NODE on two nodes, set the second node down, and wait until the job has ended."""
    cluster = raise_cluster()
    options = ("--nodes=2", "--no-requeue", "--error=/dev/null", *options)
    job = cluster.sbatch(cluster.script("job.sh", LOSE_A_NODE), *options)
    eventually(lambda: f"{job.id}.0" in job.steps, timeout=10, what="the step runs")
    cluster.run(["scontrol", "update", "nodename=node1", "state=down", "reason=test"])
    return job.wait(timeout=20)


def test_a_lost_node_ends_the_job(raise_cluster: RaiseCluster) -> None:
    """After a lost node, squeue shows COMPLETING with the reason NodeDown; srun's status does not show the loss."""
    job = lose_a_node(raise_cluster)
    assert job.state == "NODE_FAIL"
    srun, state, term = sorted(job.output.splitlines())
    assert (state, term) == ("state COMPLETING NodeDown 1", "term")
    assert srun in ("srun 0", "srun 143")  # 143 if the job's TERM reaches srun as well


def test_without_kill_a_lost_node_looks_like_success(raise_cluster: RaiseCluster) -> None:
    """With --no-kill, the srun of a lost node returns 0 in a RUNNING job; only the number of nodes decreases."""
    job = lose_a_node(raise_cluster, "--no-kill")
    assert job.output.splitlines() == ["srun 0", "state RUNNING None 1"]


def test_the_time_limit_is_announced(limited: Job) -> None:
    """`--signal=B:USR1@N` sends USR1 to the batch shell alone, before the time limit."""
    limited.wait(timeout=40)
    assert (limited.exit_code, limited.output) == (4, "usr1 after less than a minute\n")
