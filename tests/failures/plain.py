"""A job of plain shell steps on two stand-in nodes: cheap enough to break it in every way in every stage.

    with PlainTrial("health", tmp_path) as trial:
        trial.hold()
        trial.scancel()
        outcome = trial.wait()
    assert trial.told("decode_0")

Each step prints when it receives TERM. What holds the job in a stage is not a failure: one start a second, a port that nobody opens, a
health check that is never met, a benchmark that lasts.
"""

from __future__ import annotations

from pathlib import Path

from plans import benchmark, gates, plan, run, step
from stand_in_slurm.cluster import StandInCluster
from trials import Trial

from srtplan.bundle.render import render
from srtplan.bundle.write import write
from srtplan.ir.plan import Plan, Probe, Step
from srtplan.ir.shell import words
from srtplan.plan.show.serialise import to_json

STOP_S = 4
KILL_WAIT_S = 6
WAIT_S = 40
TELLS = "trap 'echo got TERM; exit 0' TERM; echo up; while :; do sleep 0.2; done"
DEAF = "trap '' TERM; echo up; while :; do sleep 0.2; done"
HANGS = "#!/bin/sh\nexec sleep 90\n"
ONE_A_SECOND = {"SRTPLAN_PARALLEL_STARTS": "1"}
STARTING = {"infra start": "infra", "worker start": "worker", "frontend start": "frontend"}
FIRST = {
    "preflight": "preflight", "infra start": "nats_0", "ports": "nats_0", "worker start": "prefill_0",
    "frontend start": "frontend_0", "health": "decode_0", "benchmark": "decode_0", "serving": "decode_0",
    "stopping": "deaf_0",
}  # fmt: skip
"""By stage, the step of which it is that srun is killed."""


def tells(name: str, stage: str, node: int, script: str = TELLS) -> Step:
    """A step that records when it gets a signal to stop."""
    return step(name, stage, words("bash", "-c", script), nodes=(node,))


def job(stage: str) -> Plan:
    """The job that stays in a stage."""
    steps = [
        tells("nats_0", "infra", 0), tells("etcd_0", "infra", 1), tells("prefill_0", "worker", 0),
        tells("decode_0", "worker", 1), tells("frontend_0", "frontend", 0), tells("frontend_1", "frontend", 1),
    ]  # fmt: skip
    probes: tuple[Probe, ...] = ()
    if stage == "ports":
        probes = (Probe(step="nats_0", type="tcp", node=0, port=9, gate="infra"),)
    elif stage == "health":
        probes = (
            Probe(
                step="decode_0",
                type="http",
                node=0,
                port=9,
                gate="health",
                path="/",
            ),
        )
    elif stage == "benchmark":
        steps.append(benchmark(run("b", "bash", "-c", TELLS)))
    elif stage == "stopping":
        steps.append(tells("deaf_0", "worker", 1, DEAF))
    return plan(
        *steps, probes=probes, preflight=(), stop_timeout_s=STOP_S, gates=gates(infra=WAIT_S, health=WAIT_S)
    )


class PlainTrial(Trial):
    """A trial of the plain job."""

    def __init__(self, stage: str, folder: Path, *, options: tuple[str, ...] = (), **env: str) -> None:
        self.stage = stage
        made = job(stage)
        write(render(made, {"plan.json": to_json(made)}), folder / "bundle")
        more = ONE_A_SECOND if stage in STARTING else {}
        super().__init__(
            folder / "bundle", folder / "trial", env=more | env, options=options, kill_wait=KILL_WAIT_S,
            prepare=_hang if stage == "preflight" else None,
        )  # fmt: skip

    def hold(self) -> None:
        """Wait until the job is in its stage, and what runs there is up."""
        if self.stage == "preflight":
            self.until(lambda: len(self.job.live_steps()) > 0, "the preflight runs")
        elif self.stage in STARTING:
            self.reach(STARTING[self.stage])
            self.until(lambda: self.is_up(FIRST[self.stage]), "the first one is up")
        else:
            self.reach({"ports": "waiting", "stopping": "serving"}.get(self.stage, self.stage))
            self.until(lambda: all(map(self.is_up, self.started())), "all steps are up")
        if self.stage == "stopping":
            self.signal("TERM")
            self.until(lambda: "TERM to prefill_0 decode_0 deaf_0" in self.log, "workers are stopped")

    def is_up(self, name: str) -> bool:
        """Whether the command of a step runs."""
        return "up\n" in self.said(name)

    def is_told(self, name: str) -> bool:
        """Whether TERM has reached the command of a step."""
        return "got TERM\n" in self.said(name)

    def said(self, name: str) -> str:
        """The log of a step."""
        path = self.run_dir / "logs" / f"{name}.out"
        return path.read_text(errors="replace") if path.exists() else ""


def _hang(cluster: StandInCluster) -> None:
    """The preflight asks a node for its name, and gets no answer."""
    path = cluster.folder / "bin-node" / "hostname"
    path.write_text(HANGS)
    path.chmod(0o755)
