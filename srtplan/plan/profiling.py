"""Profiling: what the workers are started with, and the calls that start and stop it around the benchmark.

In: the recipe's ``profiling``. Out: for nsys a prefix of every worker's command, with its report inside the run::

    nsys profile -t cuda,nvtx ... -c cudaProfilerApi -o /logs/profiles/decode/node1_decode_w0_profile_gpu0-1 python3 ...

and, before the first and after the last run of the benchmark, calls of every worker at its port of the plan. A window
of steps per mode says what is recorded; ``nsys-time`` records by the clock and needs no calls. At last every worker's
traces are waited for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from attrs import evolve, frozen

from srtplan import plugin
from srtplan.diagnostics import Finding
from srtplan.ir.plan import EnvVar, Run
from srtplan.ir.recipe import MODE_KEYS, Mode, Profiling, Recipe, Window
from srtplan.ir.shell import LOG_DIR, Lit, Word, Words, ip, word, words
from srtplan.plugin import Command, JobContext, Profile, ProfileRequest, WorkerContext

START, STOP = 0, 50
WITHOUT_TRAFFIC = "manual"


def is_on(recipe: Recipe) -> bool:
    """The recipe asks for profiling."""
    return recipe.profiling.type != "none"


def check(recipe: Recipe) -> Iterable[Finding]:
    """What the engine cannot do, and windows that are missing or cannot be."""
    p = recipe.profiling
    if not is_on(recipe):
        return
    yield from _able(recipe)
    if p.type == "nsys-time":
        yield from _clock(p)
        return
    windows, have = dict(p.windows), {r.mode for r in recipe.resources.roles}
    for mode in sorted(have - set(windows)):
        yield _fault(
            p,
            "SP711",
            f"there are {mode} workers, but no window for them",
            f"add profiling.{MODE_KEYS[mode]}",
        )
    for mode, window in p.windows:
        at = (*p.at, MODE_KEYS[mode])
        if mode not in have:
            yield Finding(
                rule="SP711", path=at, on_key=True, message=f"there are no {mode} workers to record"
            )
        elif not 0 <= _start(window) < _stop(window):
            message = f"the window from step {_start(window)} to {_stop(window)} is empty"
            yield Finding(rule="SP712", path=at, message=message, help="stop_step must be above start_step")


def _able(recipe: Recipe) -> Iterable[Finding]:
    engine, p = plugin.engine(recipe.engine.type), recipe.profiling
    if p.type not in engine.profilers:
        can = ", ".join(sorted(engine.profilers)) or "nothing: it does no work on GPUs"
        message = f"{engine.name} cannot be profiled with {p.type}"
        yield Finding(rule="SP710", path=(*p.at, "type"), message=message, help=f"it can do {can}")
    if recipe.benchmark.type == WITHOUT_TRAFFIC and p.type != "nsys-time":
        message = "nothing would be recorded: the benchmark 'manual' sends no requests"
        yield Finding(
            rule="SP710", path=(*p.at, "type"), message=message, help="choose a benchmark, or nsys-time"
        )
    for role in recipe.resources.roles if engine.profilers and p.type != "nsys-time" else ():
        for key, _ in role.args.pairs:
            if key.replace("_", "-").startswith("profiler-config"):
                yield Finding(
                    rule="SP502",
                    path=(*role.args_at, key),
                    on_key=True,
                    message=f"'{key}' is decided by the plan",
                    help="remove it; it follows from `profiling`",
                )


def _clock(p: Profiling) -> Iterable[Finding]:
    for name, value in (("delay_secs", p.delay_secs), ("duration_secs", p.duration_secs)):
        if value is None:
            yield _fault(p, "SP713", f"nsys-time needs '{name}'", f"add `{name}:` to profiling")
        elif value < (1 if name == "duration_secs" else 0):
            yield Finding(
                rule="SP713", path=(*p.at, name), message=f"{name} is {value}, which records nothing"
            )
    if p.duration_secs and p.duration_secs > p.benchmark_duration_secs:
        yield Finding(
            rule="SP713",
            path=(*p.at, "duration_secs"),
            severity="warning",
            message=f"{p.duration_secs} s are recorded, but the benchmark takes {p.benchmark_duration_secs} s",
            help="raise benchmark_duration_secs if it takes longer",
        )


def _fault(p: Profiling, rule: str, message: str, hint: str) -> Finding:
    return Finding(rule=rule, path=p.at, on_key=True, message=message, help=hint)


def _start(window: Window) -> int:
    return START if window.start_step is None else window.start_step


def _stop(window: Window) -> int:
    return STOP if window.stop_step is None else window.stop_step


def _request(ctx: WorkerContext) -> ProfileRequest:
    p, mode = ctx.job.recipe.profiling, ctx.role.mode
    window = dict(p.windows).get(mode, Window())
    return ProfileRequest(
        type=p.type,
        start_step=_start(window),
        stop_step=_stop(window),
        directory=word(LOG_DIR, f"/profiles/{mode}"),
    )


def profile_of(ctx: WorkerContext) -> Profile:
    """What the engine answers for one worker step."""
    return plugin.engine(ctx.job.recipe.engine.type).profile(ctx, _request(ctx))


def worker(ctx: WorkerContext, command: Command) -> Command:
    """The command of a worker step as it is under profiling."""
    if not is_on(ctx.job.recipe):
        return command
    profile = profile_of(ctx)
    nsys = _nsys(ctx) if ctx.job.recipe.profiling.type.startswith("nsys") else ()
    return evolve(
        command,
        argv=(*nsys, *command.argv, *profile.args),
        env=(*command.env, *_env(ctx), *profile.env),
        preamble=(*command.preamble, words("profile::directory", _folder(ctx))),
    )


def _env(ctx: WorkerContext) -> tuple[EnvVar, ...]:
    """What workers are told of it, as srtctl does."""
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
    """The workers of one mode that are called, and what they are told."""

    mode: Mode
    body: str
    urls: Words


def around(job: JobContext, workers: Iterable[WorkerContext], runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """The benchmark's runs between the calls that start and stop the recording."""
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
    """Who must leave how many files, and how many there can be, of which name.

    nsys's bear their worker's name; torch's tell the mode by their folder, and every rank, a GPU each, writes its own.
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
            port = job.public_port if not job.frontends else ctx.process.port(_port(job))
            found.setdefault((ctx.role.mode, body), []).append(
                word("http://", ip(ctx.process.node), ":", port)
            )
    return [Called(mode, body, tuple(urls)) for (mode, body), urls in found.items()]


def _port(job: JobContext) -> str:
    return "system" if job.interface == "dynamo" else "http"
