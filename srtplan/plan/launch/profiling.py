"""Profiling: options of the workers, and calls that start and stop it around the benchmark.

In: the recipe's ``profiling``. Out: for nsys a prefix of every worker's command, with its report in the run directory::

    nsys profile -t cuda,nvtx ... -c cudaProfilerApi -o /logs/profiles/decode/node1_decode_w0_profile_gpu0-1 python3 ...

and, before the first and after the last run of the benchmark, calls to the port of every worker. A window of steps per
mode selects what is recorded; ``nsys-time`` records by time and needs no calls. Finally the job waits for the traces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from attrs import evolve, frozen

from srtplan import plugin
from srtplan.ir.plan import EnvVar, Run, StandIn
from srtplan.ir.recipe import Mode, Recipe, Window
from srtplan.ir.shell import LOG_DIR, Lit, Word, Words, ip, word, words
from srtplan.plugin import Command, JobContext, Profile, ProfileRequest, WorkerContext

START, STOP = 0, 50


def is_on(recipe: Recipe) -> bool:
    """Return whether the recipe enables profiling."""
    return recipe.profiling.type != "none"


def first_step(window: Window) -> int:
    """The engine step at which recording starts."""
    return START if window.start_step is None else window.start_step


def last_step(window: Window) -> int:
    """The engine step at which recording stops."""
    return STOP if window.stop_step is None else window.stop_step


def _request(ctx: WorkerContext) -> ProfileRequest:
    p, mode = ctx.job.recipe.profiling, ctx.role.mode
    window = dict(p.windows).get(mode, Window())
    return ProfileRequest(
        type=p.type,
        start_step=first_step(window),
        stop_step=last_step(window),
        directory=word(LOG_DIR, f"/profiles/{mode}"),
    )


def profile_of(ctx: WorkerContext) -> Profile:
    """The engine's profiling options for a worker step."""
    return plugin.engine(ctx.job.recipe.engine.type).profile(ctx, _request(ctx))


def worker(ctx: WorkerContext, command: Command) -> Command:
    """The command of a worker step with profiling, if the recipe enables it."""
    if not is_on(ctx.job.recipe):
        return command
    profile = profile_of(ctx)
    nsys = _nsys(ctx) if ctx.job.recipe.profiling.type.startswith("nsys") else ()
    return evolve(
        command,
        stand_in=_behind_nsys(command) if nsys else command.stand_in,
        argv=(*nsys, *command.argv, *profile.args),
        env=(*command.env, *_env(ctx), *profile.env),
        preamble=(*command.preamble, words("profile::directory", _folder(ctx))),
    )


def _behind_nsys(command: Command) -> StandIn:
    """The program is named: nsys has options of its own, so it is not the first word after them."""
    stand_in = command.stand_in
    first, *rest = (w.text if isinstance(w, Lit) else "" for w in command.argv)
    module = rest[1] if first.startswith("python") and rest[:1] == ["-m"] else first
    program = stand_in.program or ("" if stand_in.wrappers else module)
    return evolve(stand_in, program=program, wrappers=("nsys", *stand_in.wrappers))


def _env(ctx: WorkerContext) -> tuple[EnvVar, ...]:
    """Variables that describe the profiling to workers, as in srtctl."""
    p, mode = ctx.job.recipe.profiling, ctx.role.mode
    window = dict(p.windows).get(mode, Window())
    pairs = {
        "PROFILE_TYPE": p.type,
        "PROFILING_MODE": mode,
        f"PROFILE_{mode.upper()}_START_STEP": window.start_step,
        f"PROFILE_{mode.upper()}_STOP_STEP": window.stop_step,
    }
    return tuple(EnvVar(name=k, value=Lit(str(v))) for k, v in pairs.items() if v is not None)


def _folder(ctx: WorkerContext) -> Word:
    return word(ctx.job.logs, f"/profiles/{ctx.role.mode}")


def _nsys(ctx: WorkerContext) -> Words:
    p, process = ctx.job.recipe.profiling, ctx.process
    whole = plugin.engine(ctx.job.recipe.engine.type).launch == "endpoint"
    part = "rank%q{SLURM_PROCID}" if whole else "gpu" + "-".join(map(str, process.gpus))
    name = f"/node{process.node}_{ctx.role.mode}_w{ctx.endpoint.index}_profile_{part}"
    timed = ("--delay", p.delay_secs or 0, "--duration", p.duration_secs or 0, "--kill", "none")
    called = ("-c", "cudaProfilerApi", "--capture-range-end", "stop")
    return words(
        *("nsys", "profile", "-t", "cuda,nvtx", "--cuda-graph-trace=node"),
        *(timed if p.type == "nsys-time" else called),
        *("--force-overwrite", "true"),
        *(("--trace-fork-before-exec=true",) if ctx.job.interface == "dynamo" else ()),
        *(*p.extra_nsys_args, "-o", word(_folder(ctx), name)),
    )


@frozen(eq=False, repr=False)
class Called:
    """The workers of one mode to call, and the request body."""

    mode: Mode
    body: str
    urls: Words


def around(job: JobContext, workers: Iterable[WorkerContext], runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """The runs of the benchmark, enclosed in the calls that start and stop profiling."""
    if not is_on(job.recipe) or not runs:
        return runs
    contexts = tuple(workers)
    called = _called(job, contexts)
    kind = "dynamo" if job.interface == "dynamo" else "http"
    start = [
        Run(name=f"profile_start_{c.mode}", argv=words("profile::start", kind, c.body, *c.urls))
        for c in called
    ]
    stop = [Run(name=f"profile_stop_{c.mode}", argv=words("profile::stop", kind, *c.urls)) for c in called]
    wait = words("profile::await_traces", word(job.logs, "/profiles"), *_owed(job, contexts))
    return (*start, *runs, *stop, Run(name="profile_traces", argv=wait))


def _owed(job: JobContext, workers: Iterable[WorkerContext]) -> Words:
    """Arguments of ``profile::await_traces``: worker, required files, ranks and file name pattern, for each worker or mode.

    A file of nsys is named after its worker. A file of torch is in the directory of its mode, one per rank, which is a GPU.
    """
    leaders = [w for w in workers if w.process == w.peers[0]]
    if job.recipe.profiling.type.startswith("nsys"):
        names = [(w.role.mode, w.endpoint.index) for w in leaders]
        return words(
            *(t for m, i in names for t in (f"{m}_{i}", 1, 1, f"{m}/node*_{m}_w{i}_profile_*.nsys-rep"))
        )
    count = Counter(w.role.mode for w in leaders)
    ranks: Counter[str] = Counter()
    for w in leaders:
        ranks[w.role.mode] += sum(len(p.gpus) for p in w.peers)
    return words(*(t for m, n in count.items() for t in (m, n, ranks[m], f"{m}/*.trace.json*")))


def _called(job: JobContext, workers: Iterable[WorkerContext]) -> list[Called]:
    found: dict[tuple[Mode, str], list[Word]] = {}
    for ctx in workers:
        body = profile_of(ctx).start
        if body is not None:
            url = word("http://", ip(ctx.process.node), ":", job.control_port(ctx.process))
            found.setdefault((ctx.role.mode, body), []).append(url)
    return [Called(mode, body, tuple(urls)) for (mode, body), urls in found.items()]
