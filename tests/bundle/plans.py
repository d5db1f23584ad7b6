"""Plans made by hand, small enough to read: what the plan stage would answer, without the plan stage."""

from __future__ import annotations

from attrs import evolve

from srtplan.ir.plan import (
    Action,
    BenchmarkPlan,
    EnvVar,
    Gate,
    Plan,
    PlanFile,
    PreflightCheck,
    Probe,
    Run,
    SrunOption,
    Step,
)
from srtplan.ir.recipe import Source
from srtplan.ir.shell import LOG_DIR, RUN_DIR, Lit, Words, ip, node, word, words
from srtplan.ir.topology import Endpoint, Nodes, Process
from srtplan.plan.launch import sbatch
from srtplan.plan.launch.srun import options


def disaggregated() -> Plan:
    """Two nodes: NATS, one prefill worker over both, one frontend, a benchmark of two runs."""
    return plan(
        nats(),
        worker("prefill_0", node_index=0),
        worker("decode_0", node_index=1),
        frontend(),
        benchmark(
            run("warmup", "true"),
            run("c4", "sh", "-c", 'printf \'{"total_output_tokens": 7}\' > "$1"', "sh", result="c4.json"),
        ),
    )


def plan(*steps: Step, **changes: object) -> Plan:
    """A plan of these steps on two nodes; probes as its steps need them."""
    base = Plan(
        name="demo",
        recipe=Source(path="recipes/demo.yaml", sha256="0" * 64),
        served_model_name="acme/tiny",
        engine="mocker",
        frontend="dynamo",
        sbatch=("--job-name=demo", "--nodes=2", "--time=00:10:00", "--signal=B:USR1@60", "--no-requeue"),
        nodes=Nodes(total=2, infra=0, head=0, bench=0, workers=(0, 1)),
        endpoints=(Endpoint(mode="prefill", index=0, nodes=(0,), gpus=(0, 1)),),
        processes=(
            Process(
                mode="prefill", endpoint=0, rank=0, node=0, gpus=(0, 1), leader=True, ports=(("http", 30000),)
            ),
        ),
        steps=steps,
        sequence=sequence(steps),
        gates=gates(),
        probes=(),
        files=(PlanFile(path="engine.yaml", content=Lit("tp: 2\n")),),
        benchmark=BenchmarkPlan(type="sa-bench", node=0, parameters=(("isl", "128"),)),
        preflight=(PreflightCheck(kind="port", subject="8000", nodes=(0,), why="frontend_0"),),
        url=word("http://", ip(0), ":8000"),
        stop_timeout_s=6,
    )
    made = evolve(base, **changes)
    return evolve(
        made, time_limit_s=sbatch.time_limit_s(made.sbatch), warning_s=sbatch.warning_s(made.sbatch)
    )


def gates(*, infra: int = 60, health: int = 60, serving: int = 180) -> tuple[Gate, ...]:
    """The gates of a job, with their budgets in seconds."""
    return (
        Gate(name="infra", interval_s=1, timeout_s=infra),
        Gate(name="health", interval_s=1, timeout_s=health),
        Gate(name="serving", interval_s=30, timeout_s=serving),
    )


TIER = {"benchmark": 0, "frontend": 2, "worker": 3, "prepare": 3, "infra": 4}


def sequence(steps: tuple[Step, ...]) -> tuple[Action, ...]:
    """The order of a job of these steps: stage by stage, with the gates of infra and health."""
    stages = {s.stage for s in steps}
    actions = [("start", "infra"), ("await_ready", "infra")] if "infra" in stages else []
    actions += [("start", "prepare"), ("await_end", "prepare")] if "prepare" in stages else []
    actions += [("start", "worker"), ("start", "frontend"), ("await_ready", "health")]
    terminal = [s.name for s in steps if s.terminal]
    actions += [("start", "benchmark"), ("await_terminal", terminal[0])] if terminal else [("serve", "")]
    return tuple(Action(verb=verb, subject=subject) for verb, subject in actions)  # type: ignore[arg-type]


def step(
    name: str,
    stage: str,
    argv: Words,
    *,
    nodes: tuple[int, ...] = (0,),
    ntasks: int = 1,
    srun: tuple[SrunOption, ...] = (),
    **changes: object,
) -> Step:
    """A step on the first node, or on ``nodes``."""
    base = Step(
        name=name,
        stage=stage,
        nodes=nodes,
        argv=argv,
        tier=TIER[stage],
        srun=options(name, nodes, ntasks, srun),  # type: ignore[arg-type]
    )
    return evolve(base, **changes)


def nats() -> Step:
    """A service that runs until it is stopped."""
    return step("nats_0", "infra", words("sleep", "1000"))


def worker(name: str, node_index: int = 0, argv: Words = words("sleep", "1000")) -> Step:  # noqa: B008 -- immutable
    """A worker with a variable and an srun option of its own."""
    return step(
        name,
        "worker",
        argv,
        nodes=(node_index,),
        env=(
            EnvVar(name="CUDA_VISIBLE_DEVICES", value=Lit("0,1")),
            EnvVar(name="HEAD_NODE_IP", value=ip(0)),
            EnvVar(name="MY_NODE", value=node(node_index)),
            EnvVar(name="ENROOT_REMAP_ROOT", value=Lit("yes"), launch=True),
        ),
        srun=(SrunOption(name="mpi", value=Lit("none")),),
        note=f"worker on node {node_index}, GPUs 0-1",
    )


def frontend(argv: Words = words("sleep", "1000")) -> Step:  # noqa: B008 -- immutable
    """A frontend."""
    return step("frontend_0", "frontend", argv, preamble=(words("setup::open_files", 1024),))


def benchmark(*runs: Run) -> Step:
    """The terminal step."""
    return step("benchmark", "benchmark", (), runs=runs, terminal=True, critical=False)


def run(name: str, *argv: str, result: str = "", client: str = "sglang") -> Run:
    """One run; its result lies in RUN_DIR/results, and its path is the last word of the command."""
    if not result:
        return Run(name=name, argv=words(*argv))
    path = word(RUN_DIR, f"/results/{result}")
    return Run(name=name, argv=words(*argv, path), result=path, client=client)


def tcp(step_name: str, port: int, *, gate: str = "infra") -> Probe:
    """A probe of a port."""
    return Probe(step=step_name, type="tcp", node=0, port=port, gate=gate)


LOGS = LOG_DIR
