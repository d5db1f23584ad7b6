"""What Slurm's commands answer: the same assertions on the stand-ins and, marked `cluster`, on a real Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest
from slurm_cluster.client import Cluster, Job, eventually
from stand_in import StandIn

GENTLE = r"""
trap 'echo term; exit 5' TERM
echo up
while true; do sleep 0.1; done
"""
SHOW = 'show() { timeout 20 "$@" 2>&1; echo "exit $?"; }\n'


def submit(slurm: Cluster, text: str, *options: str, nodes: int = 2) -> Job:
    """Submit a batch script that writes to job.out in the shared directory."""
    options = (f"--nodes={nodes}", "--exclusive", f"--output={slurm.shared}/job.out", *options)
    return slurm.sbatch(slurm.script("job.sh", SHOW + text), *options, cwd=slurm.shared)


def output(slurm: Cluster, text: str, *options: str, nodes: int = 2) -> list[str]:
    """Run a batch script to its end and return the lines of its output."""
    return submit(slurm, text, *options, nodes=nodes).wait(timeout=40).output.splitlines()


def up(slurm: Cluster, name: str = "step.out", tasks: int = 1) -> Path:
    """Wait until so many tasks have said that they are up, and return their output file."""
    path = slurm.shared / name
    eventually(
        lambda: path.exists() and path.read_text().count("up") >= tasks, timeout=15, what="tasks are up"
    )
    return path


def scancel(slurm: Cluster, *steps: str) -> None:
    """Send TERM to steps; 22.05 with proctrack/cgroup delivers it and still complains, so the exit code says nothing."""
    slurm.run(["scancel", "--signal=TERM", *steps], check=False)


# ------------------------------------------------------------------ command lines


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["srun", "--bogus=1", "true"], 255, "srun: unrecognized option '--bogus=1'"),
        (["srun", "--nodes"], 255, "srun: option '--nodes' requires an argument"),
        (["squeue", "--bogus"], 1, "squeue: unrecognized option '--bogus'"),
        (["scancel", "--bogus"], 1, "scancel: unrecognized option '--bogus'"),
        (["scontrol", "show", "job", "-o", "99999"], 1, "slurm_load_jobs error: Invalid job id specified"),
        (
            ["squeue", "--noheader", "--jobs=99999", "--format=%T"],
            1,
            "slurm_load_jobs error: Invalid job id specified",
        ),
        (["sbatch", "--bogus", "job.sh"], 255, "sbatch: unrecognized option '--bogus'"),
        (["sbatch", "missing.sh"], 1, "sbatch: error: Unable to open file missing.sh"),
    ],
)
def test_a_bad_command_line_is_refused(slurm: Cluster, argv: list[str], code: int, message: str) -> None:
    """Unknown options and unknown jobs have Slurm's own message and exit code."""
    done = slurm.run(argv, check=False)
    assert done.returncode == code
    assert done.stderr.splitlines()[0] == message


def test_srun_refuses_what_the_job_cannot_give(slurm: Cluster) -> None:
    """A node outside the job, a bad node count, a bad open mode and no command are errors before anything runs."""
    text = (
        "show srun --overlap --nodes=1 --ntasks=1 --nodelist=node3 true | tail -n 1\n"
        "srun --overlap --nodes=1 --ntasks=1 --nodelist=node3 true 2>&1 | sed 's/job [0-9]*/job N/'\n"
        "show srun --overlap --nodes=abc true\n"
        "show srun --overlap --open-mode=foo true\n"
        "show srun --overlap\n"
    )
    assert output(slurm, text) == [
        "exit 1",
        "srun: error: Unable to create step for job N: Requested node configuration is not available",
        'srun: error: "abc" is not a valid node count',
        "exit 255",
        "srun: error: Invalid --open-mode specification",
        "exit 255",
        "srun: fatal: No command given to execute.",
        "exit 1",
    ]


def test_a_program_that_cannot_start(slurm: Cluster) -> None:
    """A program that does not exist ends its task with 2, one that is not executable with 13."""
    text = (
        "srun --overlap --nodes=1 --ntasks=1 /nonexistent 2>/dev/null; echo $?\n"
        "srun --overlap --nodes=1 --ntasks=1 /etc/passwd 2>/dev/null; echo $?\n"
    )
    assert output(slurm, text) == ["2", "13"]


def test_an_output_that_cannot_be_opened(slurm: Cluster) -> None:
    """A missing directory of --output is an error of srun, and nothing runs."""
    text = "show srun --overlap --nodes=1 --ntasks=1 --output=/nonexistent/x echo ran\n"
    assert output(slurm, text) == [
        "srun: error: Could not open stdout file: No such file or directory",
        "exit 1",
    ]


def test_options_of_both_spellings(slurm: Cluster) -> None:
    """`--key value`, `--key=value`, short ones, and flags with an optional value are distinguished from the command."""
    text = (
        "srun --overlap --nodes 1 --ntasks 1 --nodelist node1 --job-name x hostname\n"
        "srun --overlap -N1 -n 1 -w node1 -J x hostname\n"
        "srun --overlap --nodes=1 --ntasks=1 --kill-on-bad-exit --mpi=none -- echo a -n b\n"
    )
    assert output(slurm, text) == ["node1", "node1", "a -n b"]


def test_host_lists_are_expanded(slurm: Cluster) -> None:
    """Ranges, single numbers, leading zeros and several elements; without a list it is the job's."""
    text = (
        "scontrol show hostnames 'node[0-2,7]' | xargs\nscontrol show hostnames 'n[08-10],x,m[3]' | xargs\n"
        "scontrol show hostnames | xargs\n"
    )
    assert output(slurm, text) == ["node0 node1 node2 node7", "n08 n09 n10 x m3", "node0 node1"]


# ------------------------------------------------------------------ tasks


def test_tasks_are_laid_out_in_blocks(slurm: Cluster) -> None:
    """Ranks follow the nodes, as evenly as possible, the first nodes taking the rest."""
    echo = "'echo ${SLURM_PROCID} ${SLURM_LOCALID} ${SLURM_NODEID} ${SLURMD_NODENAME} ${SLURM_GTIDS}'"
    text = f"srun --overlap --nodes=2 --ntasks=5 --nodelist=node1,node2 bash -c {echo} | sort\n"
    assert output(slurm, text, nodes=3) == [
        "0 0 0 node1 0,1,2",
        "1 1 0 node1 0,1,2",
        "2 2 0 node1 0,1,2",
        "3 0 1 node2 3,4",
        "4 1 1 node2 3,4",
    ]


def test_nodes_are_numbered_by_the_allocation(slurm: Cluster) -> None:
    """The order of --nodelist does not matter: SLURM_NODEID follows the job's order of nodes."""
    text = (
        "srun --overlap --nodes=2 --ntasks=2 --nodelist=node2,node0 bash -c"
        " 'echo ${SLURM_NODEID} ${SLURMD_NODENAME} ${SLURM_STEP_NODELIST}' | sort\n"
    )
    assert output(slurm, text, nodes=3) == ["0 node0 node[0,2]", "1 node2 node[0,2]"]


def test_the_environment_of_a_step(slurm: Cluster) -> None:
    """What belongs to the step is the step's; the job's nodes stay the job's; the caller's variables arrive."""
    names = (
        "STEP_NODELIST JOB_NODELIST NNODES JOB_NUM_NODES NTASKS STEP_NUM_TASKS STEP_TASKS_PER_NODE JOB_NAME"
    )
    echo = " ".join(f"${{SLURM_{name}}}" for name in names.split())
    text = (
        "export OWN='a b'\n"
        f"srun --overlap --nodes=1 --ntasks=2 --nodelist=node1 --job-name=st --output=step.out bash -c 'echo {echo} ${{OWN}}'\n"
        "srun --overlap --nodes=1 --ntasks=1 --export=ALL,OWN=new,MORE=1 bash -c 'echo ${OWN} ${MORE}'\n"
        "srun --overlap --nodes=1 --ntasks=1 --export=NONE /bin/bash -c 'echo ${OWN:-gone} ${SLURM_NTASKS}'\n"
        "sort -u step.out\n"
    )
    line = "node1 node[0-2] 1 3 2 2 2 st a b"
    assert output(slurm, text, nodes=3) == ["a b 1", "gone 1", line]


def test_a_smaller_step_than_asked_for(slurm: Cluster) -> None:
    """More nodes than tasks, and more nodes named than requested, are a warning and a smaller step."""
    text = (
        "srun --overlap --nodes=2 --ntasks=1 hostname 2>&1 >/dev/null\n"
        "show srun --overlap --nodes=1 --ntasks=1 --nodelist=node0,node1 hostname\n"
    )
    assert output(slurm, text) == [
        "srun: Warning: can't run 1 processes on 2 nodes, setting nnodes to 1",
        "srun: error: Required nodelist includes more nodes than permitted by max-node count (2 > 1). "
        "Eliminating nodes from the nodelist.",
        "node0",
        "exit 0",
    ]


def test_output_goes_where_the_pattern_says(slurm: Cluster) -> None:
    """%j and %s are numbers of the job and the step, %t, %n and %N are each task's own."""
    job = submit(slurm, "srun --overlap --nodes=2 --ntasks=2 --output=o.%j.%s.%t.%n.%N echo hello\n").wait(
        timeout=20
    )
    names = sorted(path.name for path in slurm.shared.glob("o.*"))
    assert names == [f"o.{job.id}.0.0.0.node0", f"o.{job.id}.0.1.1.node1"]


def test_output_and_errors_share_the_file(slurm: Cluster) -> None:
    """Without --error both streams go to --output; without append a second step truncates it."""
    step = "srun --overlap --nodes=1 --ntasks=1 --output=step.out bash -c"
    assert output(slurm, f"{step} 'echo old'\n{step} 'echo out; echo err >&2'\nsort step.out\n") == [
        "err",
        "out",
    ]


def test_failed_tasks_are_named(slurm: Cluster) -> None:
    """srun says which task ended how, on its own standard error."""
    text = "srun --overlap --nodes=2 --ntasks=2 --output=/dev/null bash -c 'exit $((SLURM_PROCID * 7))'; echo $?\n"
    assert output(slurm, text) == ["srun: error: node1: task 1: Exited with exit code 7", "7"]


# ------------------------------------------------------------------ signals


def test_term_is_for_the_task_and_kill_for_everything(slurm: Cluster) -> None:
    """With proctrack/cgroup a TERM reaches the task alone, not what it started; KILL reaches all."""
    if not isinstance(slurm, StandIn) and slurm.config.proctrack != "cgroup":
        pytest.skip("this machine has no cgroup that Slurm can use: linuxproc signals the children too")
    child = slurm.script(
        "child.sh", "trap 'echo child term' TERM\necho $$ >child.pid\nwhile true; do sleep 0.1; done\n"
    )
    text = (
        "srun --overlap --nodes=1 --ntasks=1 --output=step.out bash -c"
        f" '{child} & trap \"echo task term\" TERM; while [[ ! -s child.pid ]]; do sleep 0.1; done; echo up; while true; do wait; done'\n"
        "echo $?\n"
    )
    job = submit(slurm, text, "--error=/dev/null")
    path = up(slurm)
    scancel(slurm, f"{job.id}.0")
    eventually(lambda: "task term" in path.read_text(), timeout=10, what="the task has seen TERM")
    slurm.run(["sleep", "0.5"])
    slurm.run(["scancel", "--signal=KILL", f"{job.id}.0"], check=False)
    assert job.wait(timeout=20).output.splitlines()[-1] == "137"
    assert "child term" not in path.read_text()


def test_several_steps_can_be_signalled_at_once(slurm: Cluster) -> None:
    """One scancel takes many steps; those that have ended do not matter."""
    task = slurm.script("task.sh", GENTLE)
    step = "srun --overlap --input=none --nodes=1 --ntasks=1"
    text = f"{step} true\n{step} --output=step.out {task} & a=$!\nsleep 0.5\n{step} --output=b.out {task} & b=$!\nwait $a; echo $?\nwait $b; echo $?\n"
    job = submit(slurm, text, "--error=/dev/null")
    up(slurm)
    up(slurm, "b.out")
    scancel(slurm, *(f"{job.id}.{number}" for number in range(3)))
    assert job.wait(timeout=20).output.split() == ["5", "5"]


def test_scancel_of_a_step_without_a_signal_is_hard(slurm: Cluster) -> None:
    """`scancel JOB.STEP` kills: no handler runs, and the job goes on."""
    task = slurm.script("task.sh", GENTLE)
    text = f"srun --overlap --nodes=1 --ntasks=1 --output=step.out {task}\necho $?\n"
    job = submit(slurm, text, "--error=/dev/null")
    path = up(slurm)
    slurm.run(["scancel", f"{job.id}.0"])
    assert job.wait(timeout=20).output.split() == ["137"]
    assert "term" not in path.read_text().split()


def test_one_interrupt_does_nothing_and_usr1_is_forwarded(slurm: Cluster) -> None:
    """A single INT to srun only prints; USR1 goes to the tasks."""
    text = (
        "srun --overlap --nodes=1 --ntasks=1 --output=step.out bash -c"
        " 'trap \"echo usr1; exit 3\" USR1; echo up; while true; do sleep 0.1; done' & pid=$!\n"
        "until grep -qs up step.out; do sleep 0.1; done\n"
        "kill -INT ${pid}; sleep 0.5; kill -0 ${pid} && echo alive\nkill -USR1 ${pid}; wait ${pid}; echo $?\n"
    )
    lines = output(slurm, text)
    assert "srun: interrupt (one more within 1 sec to abort)" in lines
    assert [line for line in lines if not line.startswith("srun")] == ["alive", "3"]


def test_a_killed_srun_leaves_its_step(slurm: Cluster) -> None:
    """The step belongs to the node, not to srun: KILL to srun does not end it; the end of the job does."""
    text = (
        "srun --overlap --nodes=1 --ntasks=1 --output=step.out bash -c 'echo up; echo $$ >pid; sleep 60' & pid=$!\n"
        "until grep -qs up step.out; do sleep 0.1; done\n"
        "kill -KILL ${pid}; wait ${pid} 2>/dev/null; sleep 0.5\n"
        "squeue --noheader --steps --jobs=${SLURM_JOB_ID} --format=%i | grep -c '\\.0$'\n"
    )
    assert output(slurm, text)[-1] == "1"


def test_steps_are_listed_with_the_batch_step(slurm: Cluster) -> None:
    """squeue --steps lists live steps and JOB.batch, which does not have to be stopped."""
    text = (
        "srun --overlap --nodes=1 --ntasks=1 true\n"
        "srun --overlap --nodes=1 --ntasks=1 --output=step.out --job-name=second bash -c 'echo up; sleep 3' &\n"
        "until grep -qs up step.out; do sleep 0.1; done\n"
        "squeue --noheader --steps --jobs=${SLURM_JOB_ID} --format='%i %j' | sed 's/^[0-9]*//'\n"
        "squeue --noheader --jobs=${SLURM_JOB_ID} --format=%T\nwait\n"
    )
    assert output(slurm, text) == [".1 second", ".batch batch", "RUNNING"]


def test_the_end_of_the_script_ends_its_steps(slurm: Cluster) -> None:
    """A batch script that ends takes its steps with it, those that left the process group too."""
    text = (
        "srun --overlap --nodes=1 --ntasks=1 --output=step.out bash -c"
        " 'trap \"echo term\" TERM; echo up; setsid sleep 77 & while true; do sleep 0.1; done' &\n"
        "until grep -qs up step.out; do sleep 0.1; done\nexit 3\n"
    )
    job = submit(slurm, text).wait(timeout=20)
    assert (job.exit_code, job.state, job.steps) == (3, "FAILED", [])
    assert not (slurm.shared / "late.out").exists()


def test_a_cancelled_job_is_killed_after_kill_wait(slurm: Cluster) -> None:
    """`scancel JOB`: TERM for the shell and the tasks; what ignores it is killed after KillWait."""
    text = (
        "trap 'echo shell term' TERM\n"
        "srun --overlap --nodes=1 --ntasks=1 --output=step.out bash -c 'trap \"\" TERM; echo up; while true; do sleep 0.1; done' & pid=$!\n"
        "while true; do wait ${pid}; done 2>/dev/null\n"
    )
    job = submit(slurm, text)
    up(slurm)
    job.cancel()
    assert job.wait(timeout=30).state == "CANCELLED"
    assert "shell term" in job.output
    assert job.steps == []


def test_sbatch_reads_the_script_and_the_command_line(slurm: Cluster) -> None:
    """Directives count up to the first command, and the command line wins over them."""
    text = "#SBATCH --job-name=inside --nodes=3\n#SBATCH --open-mode=append\necho ${SLURM_JOB_NAME} ${SLURM_JOB_NUM_NODES}\n#SBATCH --nodes=9\n"
    path = slurm.shared / "named.sh"
    path.write_text(f"#!/usr/bin/env bash\n{text}")
    job = slurm.sbatch(path, "--nodes=2", f"--output={slurm.shared}/%x.out").wait(timeout=20)
    assert job.output.split() == ["inside", "2"]
    assert job.record["StdOut"] == f"{slurm.shared}/inside.out"
