"""Measure the speed of the compiler: ``python bench/compile.py`` prints figures and their targets, and never fails.

All times are processor time (user and system), the minimum of several rounds, so that other load has little influence.
Recipes come from the public corpus (``$SRTPLAN_CORPUS``) if it is present, else from the examples.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import corpus  # noqa: E402 -- sys.path is set above

from srtplan import pipeline  # noqa: E402
from srtplan.cli import start  # noqa: E402
from srtplan.diagnostics import InputError  # noqa: E402

BASE = (sys.executable, "-c", "import attr, cattrs, jinja2")
COMMAND = (sys.executable, "-c", "from srtplan.cli.start import main; main()")
SRTCTL_DRY_RUN_S = 0.44
"""Processor seconds of srtctl's dry-run of a recipe with 200 lines."""
SIZES = (250, 500, 1000)
PER_NODE = 4
LARGE = """\
name: large
model: {{path: /models/m, container: /images/i.sqsh, precision: fp8}}
resources: {{gpu_type: gb200, gpus_per_node: {per_node}, prefill_nodes: {nodes}, prefill_workers: {workers},
  decode_nodes: {nodes}, decode_workers: {workers}}}
environment: {{HERE: "{{node}}", SAME: "1"}}
backend:
  type: sglang
  sglang_config:
    prefill: {{tensor-parallel-size: 1, mem-fraction-static: 0.8, max-running-requests: 100}}
    decode: {{tensor-parallel-size: 1, mem-fraction-static: 0.8, max-running-requests: 100}}
benchmark: {{type: sa-bench, isl: 1024, osl: 1024, concurrencies: 1x2}}
"""


def row(what: str, figure: str, target: str = "") -> None:
    """Print a row of the table."""
    print(f"| {what} | {figure} | {target} |", flush=True)


def recipes() -> tuple[list[str], Path | None]:
    """The paths of the recipes, and their profile."""
    folder = Path(os.environ.get(corpus.VARIABLE) or corpus.DEFAULT)
    found = [str(folder / r) for r in corpus.recipes()]
    if found:
        return found, folder / corpus.PROFILE
    return sorted(str(p) for p in (ROOT / "examples").glob("*.yaml") if p.name != corpus.PROFILE), None


def process(argv: Sequence[str], environ: dict[str, str]) -> float:
    """Run a process to its end, without output, and return its processor seconds."""
    silent = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    pid = os.posix_spawn(argv[0], argv, environ, file_actions=silent)
    _, _, used = os.wait4(pid, 0)
    return used.ru_utime + used.ru_stime


def memory(argv: Sequence[str], environ: dict[str, str]) -> float:
    """Peak memory in MB of a Python program given by ``-c``; wait4 would report the parent's peak if that is higher."""
    print_status = "import atexit; atexit.register(lambda: print(open('/proc/self/status').read()))"
    words = [argv[0], "-c", f"{print_status}; {argv[2]}", *argv[3:]]
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    return int(done.stdout.partition("VmHWM:")[2].split()[0]) / 1024


def cold(paths: list[str], profile: Path | None, rounds: int) -> None:
    """Measure a check and a dry run in new processes with cached bytecode, as after an installation."""
    lines = {p: Path(p).read_text(encoding="utf-8").count("\n") for p in paths}
    recipe = min(paths, key=lambda p: abs(lines[p] - 200))
    cluster = ("--cluster", str(profile)) if profile else ()
    check = (*COMMAND, "check", *cluster, recipe)
    dry_run = (*COMMAND, "dry-run", *cluster, "-f", recipe)
    with tempfile.TemporaryDirectory() as cache:
        environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environ |= {"PYTHONPYCACHEPREFIX": cache, "PYTHONPATH": str(ROOT)}
        runs = [tuple(process(argv, environ) for argv in (BASE, check, dry_run)) for _ in range(rounds + 1)][
            1:
        ]
        peak = memory(check, environ)
    base, checked, dry = (min(side) for side in zip(*runs, strict=True))
    row("`import attr, cattrs, jinja2`", f"{1000 * base:.0f} ms")
    row(f"`srtplan check`, {lines[recipe]} lines", f"{1000 * checked:.0f} ms, {peak:.0f} MB")
    row("ratio of the two", f"{checked / base:.2f}", "at most 1.6")
    row("`srtplan dry-run`, speedup over srtctl's", f"{SRTCTL_DRY_RUN_S / dry:.1f}", "at least 4")


def jobs(paths: list[str], profile: Path | None) -> Iterator[pipeline.Planned]:
    """All jobs that compile."""
    for path in paths:
        with suppress(InputError):
            yield from pipeline.compile_recipe(path, cluster=profile)


def taken(work: Callable[[], object], rounds: int) -> float:
    """Processor seconds of the fastest round."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def many(paths: list[str], profile: Path | None, rounds: int) -> None:
    """Measure all recipes in one process; a first round warms up."""
    count = sum(1 for _ in jobs(paths, profile))
    check = taken(lambda: list(jobs(paths, profile)), rounds) / count
    whole = taken(lambda: [pipeline.bundle(job.plan) for job in jobs(paths, profile)], rounds) / count
    row(f"check, per job of {count}", f"{1000 * check:.1f} ms", "under 3 ms")
    row(f"compile, per job of {count}", f"{1000 * whole:.1f} ms", "under 10 ms")


def large(rounds: int) -> None:
    """Measure jobs with many processes, and the growth of time with size."""
    plans, bundles = [], []
    with tempfile.TemporaryDirectory() as folder:
        for nodes in SIZES:
            recipe = Path(folder, f"{nodes}.yaml")
            text = LARGE.format(nodes=nodes // 2, workers=nodes // 2 * PER_NODE, per_node=PER_NODE)
            recipe.write_text(text, encoding="utf-8")
            plans.append(taken(lambda: pipeline.compile_recipe(str(recipe)), rounds))  # noqa: B023 -- run at once
            (job,) = pipeline.compile_recipe(str(recipe))
            bundles.append(taken(lambda: pipeline.bundle(job.plan), rounds))  # noqa: B023
            target = "under 2 s" if nodes == SIZES[-1] else ""
            row(
                f"{nodes} nodes, {len(job.plan.processes)} processes: plan, then its files",
                f"{plans[-1]:.2f} s, {bundles[-1]:.2f} s",
                target,
            )
    row("exponent of that growth", f"{exponent(plans):.2f}, {exponent(bundles):.2f}", "1")


def exponent(times: list[float]) -> float:
    """The exponent of the growth of time with size, from the smallest to the largest size."""
    return math.log(times[-1] / times[0]) / math.log(SIZES[-1] / SIZES[0])


def main() -> None:
    """Measure everything, and print one row per figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    os.environ.update(corpus.ENVIRON)
    gc.set_threshold(start.SELDOM)
    row("what", "measured", "target")
    row("---", "---", "---")
    paths, profile = recipes()
    cold(paths, profile, 4 * rounds)
    many(paths, profile, rounds)
    large(rounds)


if __name__ == "__main__":
    main()
