"""Measure how the supervisor scales on a real Slurm on this machine: ``python bench/scale.py --nodes 18 --steps 128``.

It requires root, and prints one line of JSON for each number of steps:

* seconds from the first line of job.sh until the last worker runs;
* memory of job.sh, and its processor time while it waits for health at a 10 s interval;
* seconds from the death of a worker to the end of the job, and from the stage stop to the end;
* seconds that Slurm alone takes to end as many steps, and the rest of the stop, which is srtplan's.

All nodes share the processors of this machine; Slurm alone needs 18 ms of them to end one step. The last line has the ratio
of each stop to the first one. With ``--drain``, each worker takes that many seconds to end after TERM, as engines do.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / name) for name in ("bundle", "cluster"))]

from attrs import evolve  # noqa: E402 -- sys.path is set above
from plans import nats, plan, words, worker  # noqa: E402
from slurm_cluster.client import Cluster, Job, eventually  # noqa: E402

from srtplan.bundle.render import render  # noqa: E402
from srtplan.bundle.write import write  # noqa: E402
from srtplan.ir.plan import Gate, Plan, Probe  # noqa: E402
from srtplan.ir.topology import Nodes  # noqa: E402
from srtplan.plan.show.serialise import to_json  # noqa: E402

TICKS_PER_S = 100


def job(nodes: int, steps: int, drain: float = 0) -> Plan:
    """The Plan of a job with workers on all nodes and a health gate that never opens."""
    slow = words("bash", "-c", f"trap 'sleep {drain}; exit' TERM; sleep 900 & wait")
    argv = slow if drain else words("sleep", "900")
    workers = [worker(f"w_{n}", n % nodes, argv) for n in range(steps - 1)]
    probe = Probe(step="nats_0", type="http", node=0, port=9, gate="health", path="/")
    return evolve(
        plan(nats(), *workers, probes=(probe,)),
        nodes=Nodes(total=nodes, infra=0, head=0, bench=0, workers=tuple(range(nodes))),
        gates=tuple(Gate(name=name, interval_s=10, timeout_s=900) for name in ("infra", "health", "serving")),
        sbatch=("--job-name=scale", f"--nodes={nodes}", "--time=00:20:00", "--exclusive"),
        preflight=(), stop_timeout_s=25,
    )  # fmt: skip


def supervisor(cluster: Cluster, run: Job) -> tuple[float, float]:
    """Resident memory in MB and processor seconds of job.sh, including its ended children."""
    host = run.record["BatchHost"]
    script = "p=$(pgrep -o -f slurm_script); cat /proc/$p/stat; grep VmRSS /proc/$p/status"
    stat, rss = cluster.run(["bash", "-c", script], node=host).stdout.splitlines()
    fields = stat.rpartition(")")[2].split()
    return int(rss.split()[1]) / 1024, sum(map(int, fields[11:15])) / TICKS_PER_S


def measure(cluster: Cluster, nodes: int, steps: int, wait: float, drain: float) -> dict[str, Any]:
    """Run one job, and return the figures from its events."""
    folder = cluster.shared / f"scale{steps}"
    scale_plan = job(nodes, steps, drain)
    write(render(scale_plan, {"plan.json": to_json(scale_plan)}), folder / "bundle")
    run = cluster.sbatch(folder / "bundle" / "job.sh", cwd=folder)
    log = folder / "outputs" / str(run.id) / "latest" / "events.jsonl"

    def events() -> list[dict[str, Any]]:
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    eventually(lambda: sum(e.get("state") == "running" for e in events()) == steps, 240, "all steps run")
    began, cpu = time.monotonic(), supervisor(cluster, run)[1]
    time.sleep(wait)
    memory, now = supervisor(cluster, run)
    share = (now - cpu) / (time.monotonic() - began)
    known = log.parent / "run" / "steps" / "w_0.id"
    killed = time.monotonic()
    cluster.run(["scancel", "--signal=KILL", known.read_text().strip()])
    run.wait(timeout=120)
    took = time.monotonic() - killed
    seen = events()
    stop, end = (next(e["t"] for e in seen if e.get("stage") == name) for name in ("stop", "end"))
    slurm_s = alone(cluster, nodes, steps)
    return {
        "nodes": nodes, "steps": steps,
        "last_running_s": max(e["t"] for e in seen if e.get("state") == "running"),
        "rss_mb": round(memory, 1), "waiting_cpu_percent": round(100 * share, 2),
        "death_to_end_s": round(took, 1), "stop_s": round(end - stop, 2),
        "slurm_alone_stop_s": round(slurm_s, 2), "ours_s": round(end - stop - drain - slurm_s, 2),
    }  # fmt: skip


ALONE = r"""
for ((n = 0; n < $1; n++)); do
  srun --overlap --input=none --nodes=1 --ntasks=1 bash -c 'echo "$SLURM_JOB_ID.$SLURM_STEP_ID" >>ids; exec sleep 900' &
done
until (( $(wc -l <ids) == $1 )); do sleep 0.1; done 2>/dev/null
begin="${EPOCHREALTIME/./}"
scancel --signal=TERM $(<ids) &
wait
echo $((${EPOCHREALTIME/./} - begin)) >took
"""


def alone(cluster: Cluster, nodes: int, steps: int) -> float:
    """Seconds that Slurm itself takes to end this many steps: one scancel, and a wait for all sruns."""
    folder = cluster.shared / f"alone{steps}"
    folder.mkdir()
    script = cluster.script(f"alone{steps}.sh", ALONE)
    run = cluster.sbatch(script, f"--nodes={nodes}", "--exclusive", args=[str(steps)], cwd=folder)
    run.wait(timeout=240)
    return int((folder / "took").read_text()) / 1e6


def main() -> None:
    """Start a cluster, measure, and print one line of JSON per number of steps."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=18)
    parser.add_argument("--steps", type=int, nargs="+", default=[2, 64, 128])
    parser.add_argument(
        "--wait", type=float, default=20, help="seconds over which processor time is measured"
    )
    parser.add_argument(
        "--drain", type=float, default=0, help="seconds that a worker takes to end after TERM"
    )
    options = parser.parse_args()
    cluster = Cluster.up("--proctrack=linuxproc", nodes=options.nodes)
    rows = []
    try:
        for steps in options.steps:
            rows.append(measure(cluster, options.nodes, steps, options.wait, options.drain))
            print(json.dumps(rows[-1]), flush=True)
        ratios = {row["steps"]: round(row["stop_s"] / rows[0]["stop_s"], 2) for row in rows}
        print(json.dumps({"drain_s": options.drain, "stop_ratio": ratios}))
    finally:
        cluster.down()


if __name__ == "__main__":
    main()
