"""The test cluster itself: properties on which the other tests on a real Slurm rely."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from slurm_cluster import namespaces
from slurm_cluster.client import Cluster, environment, eventually
from slurm_cluster.commands import PROGRAM
from slurm_cluster.leftovers import Leftovers

pytestmark = pytest.mark.cluster

PRIVATE = ("/dev/shm/mine", "/tmp/mine")  # noqa: S108 (of a node)
RaiseCluster = Callable[..., Cluster]
SERVER = """
import http.server, os
class Name(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.uname().nodename.encode())
http.server.HTTPServer(("0.0.0.0", 30000), Name).serve_forever()
"""
# leaves a process that listens, a file in each private directory, a mount, and System V memory
LITTER = """
srun --nodes=1 --nodelist=node1 bash -c '
  setsid --fork python3 -m http.server 30001 >/dev/null 2>&1 </dev/null
  until (</dev/tcp/127.0.0.1/30001) 2>/dev/null; do sleep 0.1; done
  touch /tmp/forgotten /dev/shm/forgotten
  mount -t tmpfs tmpfs /mnt
  ipcmk --shmem 4096'
"""


def cluster_py(*argv: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `cluster.py` from the command line."""
    words = [sys.executable, str(PROGRAM), *map(str, argv)]
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)


# ------------------------------------------------------------------ nodes


def test_the_whole_cluster_runs_a_job(cluster: Cluster) -> None:
    """Each of four nodes runs a step, and the exit status and output of the job can be read."""
    script = cluster.script("job.sh", 'srun --nodes=4 hostname | sort\nexit "$1"\n')
    job = cluster.sbatch(script, "--nodes=4", args=["7"]).wait(timeout=20)
    assert (job.state, job.exit_code) == ("FAILED", 7)
    assert job.output.split() == list(cluster.nodes)


def test_every_node_has_its_own_ports(cluster: Cluster) -> None:
    """The same port can be open on all nodes at once, and a host name reaches the right node."""
    cluster.script("server.py", SERVER)
    script = cluster.script("job.sh", f"srun --nodes=4 python3 {cluster.shared}/server.py\n")
    cluster.sbatch(script, "--nodes=4")
    for node in cluster.nodes:
        argv = ["curl", "--silent", "--retry", "30", "--retry-connrefused", "--retry-delay", "1"]
        assert cluster.run([*argv, f"http://{node}:30000/"]).stdout == node


def test_gpus_are_allocated(cluster: Cluster) -> None:
    """Steps get the indices of their fake GPUs: all of a node, or the half that the job has."""
    show = "srun bash -c 'echo \"${CUDA_VISIBLE_DEVICES}\"'\n"
    whole = cluster.sbatch(cluster.script("whole.sh", show), "--gpus-per-node=8").wait(timeout=20)
    half = cluster.sbatch(cluster.script("half.sh", show), "--gpus-per-node=4").wait(timeout=20)
    assert (whole.output, half.output) == ("0,1,2,3,4,5,6,7\n", "0,1,2,3\n")


def test_tmp_is_private_and_the_rest_is_shared(cluster: Cluster) -> None:
    """Only one node sees a file below /tmp; all nodes see a file elsewhere."""
    paths = [*PRIVATE, str(cluster.shared / "ours")]
    cluster.run(["touch", *paths], node="node1")
    seen = {
        node: cluster.run(["ls", *paths], node=node, check=False).stdout.split() for node in cluster.nodes
    }
    cluster.run(["rm", *paths], node="node1")
    assert seen["node1"] == sorted(paths)
    assert seen["node0"] == seen["node2"] == seen["node3"] == paths[2:]


def test_nodes_reach_only_the_cluster(cluster: Cluster) -> None:
    """A node has routes to the other hosts of the cluster, and no others."""
    routes = cluster.run(["ip", "route"], node="node2").stdout.splitlines()
    assert [route.split()[:3] for route in routes] == [["10.99.0.0/16", "dev", "eth0"]]


def test_a_signal_to_the_caller_reaches_the_command(cluster: Cluster) -> None:
    """A TERM sent to the outer process reaches the command inside, and its exit status is returned."""
    text = "sleep 600 & trap 'kill %1; exit 9' TERM; echo up; wait"
    process = cluster.start(["bash", "-c", text], node="node3")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.terminate()
    assert process.wait(timeout=60) == 9
    process.stdout.close()


# ------------------------------------------------------------------ leftovers


def test_leftovers_finds_what_a_job_left(raise_cluster: RaiseCluster) -> None:
    """Every kind of leftover is reported with its node, and nothing else is."""
    cluster = raise_cluster()
    leftovers = Leftovers(cluster)
    job = cluster.sbatch(cluster.script("job.sh", LITTER), "--nodes=2").wait(timeout=20)
    assert job.exit_code == 0, job.output
    found = leftovers(grace=1)
    assert [line.split(" ", 3)[:2] for line in found] == [
        ["node1:", "file"],
        ["node1:", "file"],
        ["node1:", "listening"],
        ["node1:", "memory"],
        ["node1:", "mount"],
        ["node1:", "process"],
    ]
    assert {"node1: file /tmp/forgotten", "node1: listening on 0.0.0.0:30001"} <= set(found)
    assert "http.server 30001" in found[-1]


def test_leftovers_sees_a_step(cluster: Cluster, leftovers: Leftovers) -> None:
    """A step that Slurm still lists is a leftover until it ends."""
    job = cluster.sbatch(cluster.script("job.sh", "srun sleep 60\n")).wait_for("RUNNING", timeout=10)
    eventually(lambda: f"{job.id}.0" in job.steps, timeout=5, what="the step")
    assert f"step {job.id}.0" in leftovers(grace=0)
    job.cancel()
    job.wait(timeout=20)
    assert leftovers() == []


# ------------------------------------------------------------------ machines that fail


def test_a_power_failure_is_detected(raise_cluster: RaiseCluster) -> None:
    """A power failure ends the node's job; after a boot the node is idle again."""
    cluster = raise_cluster("--slurmd-timeout=2")
    job = cluster.sbatch(cluster.script("job.sh", "srun sleep 60\n"), "--nodes=2", "--no-requeue")
    job.wait_for("RUNNING", timeout=10)
    cluster.power_off("node1")
    assert job.wait(timeout=40).state == "NODE_FAIL"
    assert cluster.node_state("node1") == "down*"
    cluster.power_on("node1")
    eventually(lambda: cluster.node_state("node1") == "idle", timeout=20, what="node1 is idle")


def test_a_lost_link_is_detected(raise_cluster: RaiseCluster) -> None:
    """A node without network stops responding while its processes keep running; then it comes back."""
    cluster = raise_cluster("--slurmd-timeout=2")
    cluster.link_down("node1")
    eventually(lambda: cluster.node_state("node1").endswith("*"), timeout=40, what="node1 does not answer")
    assert "slurmd" in cluster.run(["ps", "-e", "-o", "comm"], node="node1").stdout
    cluster.link_up("node1")
    cluster.run(["pkill", "-HUP", "slurmd"], node="node1")  # it registers at once
    eventually(lambda: cluster.node_state("node1") == "idle", timeout=20, what="node1 is idle")


# ------------------------------------------------------------------ up and down


def processes_below(pid: int) -> list[int]:
    """Return all descendants of a process."""
    return [one for child in namespaces.children(pid) for one in (child, *processes_below(child))]


def test_down_leaves_nothing(raise_cluster: RaiseCluster) -> None:
    """After `down`, even of a busy cluster, no process, interface, mount, cgroup or file of it is left."""
    cluster = raise_cluster("--proctrack=auto")
    text = "srun sleep 60 & setsid --fork sleep 61; wait\n"
    cluster.sbatch(cluster.script("job.sh", text)).wait_for("RUNNING", timeout=10)
    init = int(cluster_py("--dir", cluster.directory, "status").stdout.split()[2])
    started = {pid: namespaces.start_time(pid) for pid in (init, *processes_below(init))}
    assert len(started) > 10
    cluster.down()
    assert [pid for pid, start in started.items() if namespaces.start_time(pid) == start] == []
    assert str(cluster.directory) not in Path("/proc/self/mounts").read_text()
    assert not {"br0", "v-node0", "v-node1"} & {path.name for path in Path("/sys/class/net").iterdir()}
    assert not Path(cluster.config.cgroup or "/none").exists()
    assert not cluster.directory.exists()
    assert not cluster.shared.exists()


@pytest.mark.usefixtures("can_cluster")
def test_a_cluster_ends_with_its_owner() -> None:
    """If a test session is killed, its cluster ends, and its files are removed."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from slurm_cluster.client import Cluster\n"
        "cluster = Cluster.up(nodes=1); print(cluster.directory, cluster.shared, flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", code, str(PROGRAM.parent)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        paths = [Path(word) for word in owner.stdout.readline().split()]
        assert [path.exists() for path in paths] == [True, True]
        owner.send_signal(signal.SIGKILL)
    eventually(lambda: not any(path.exists() for path in paths), timeout=10, what="the cluster is gone")


def test_usage_errors_are_one_line(cluster: Cluster, tmp_path: Path) -> None:
    """An unknown node, a second `up` and a foreign directory fail with a message of one line."""
    (tmp_path / "mine").touch()
    told = [
        cluster_py("--dir", cluster.directory, "power-off", "node9"),
        cluster_py("--dir", cluster.directory, "up", "1"),
        cluster_py("--dir", tmp_path, "down"),
        cluster_py("--dir", tmp_path, "run", "true"),
    ]
    assert [(one.returncode, one.stderr) for one in told] == [
        (1, "cluster: node not found: node9\n"),
        (1, f"cluster: already up in {cluster.directory}\n"),
        (1, f"cluster: no cluster is up in {tmp_path}\n"),
        (1, f"cluster: no cluster is up in {tmp_path}\n"),
    ]
    assert (tmp_path / "mine").exists()


def test_a_job_has_a_minimal_environment(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job gets only the variables that the test passes, none of the test session."""
    monkeypatch.setenv("STRAY", "1")
    script = cluster.script("job.sh", 'echo "${STRAY-}:${GIVEN-}:${PATH}"\n')
    job = cluster.sbatch(script, env={"GIVEN": "2"}).wait(timeout=20)
    assert job.output.startswith(f":2:{environment()['PATH']}")


def test_a_hanging_job_is_reported(cluster: Cluster) -> None:
    """A wait for a job times out with the job's output, and the job ends with the test."""
    job = cluster.sbatch(cluster.script("job.sh", "echo hanging here\nsleep 600\n")).wait_for(
        "RUNNING", timeout=10
    )
    with pytest.raises(TimeoutError, match=rf"(?s)job {job.id} .*RUNNING.*hanging here"):
        job.wait(timeout=0.4)
    cluster.end_jobs()
    assert job.state == "CANCELLED"
