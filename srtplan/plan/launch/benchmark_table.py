"""``benchmark.tsv``: what is known about each run at compile time, from which the job writes ``results/summary.json``.

In: the job and the runs of its benchmark. Out: tab-separated rows with members of a JSON object as the last column::

    gpus  8  4  4  0
    head  "format":"srtplan.results/1","name":"dsr1","benchmark":"sa-bench",...
    run   concurrency_4  sglang  results/sa-bench/....json  "concurrency":4,"requests":40,...
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from srtplan.ir.plan import PlanFile, Run
from srtplan.ir.shell import Lit, notation
from srtplan.plugin import BenchmarkCommand, JobContext

FORMAT = "srtplan.results/1"
FILE = "benchmark.tsv"
_JSON = json.JSONEncoder(separators=(",", ":"))
LOAD = (
    *("concurrency", "request_rate", "requests", "isl", "osl", "dataset"),
    *("prefix_ratio", "workload", "evaluation"),
)
"""Fields of a record that describe the load of a run; unknown ones are null."""


def files(job: JobContext, benchmark: BenchmarkCommand) -> tuple[PlanFile, ...]:
    """The file, with a row for every run that has a result, or for every run if none has one; empty without runs."""
    every = benchmark.command.runs if benchmark.command else ()
    runs = [r for r in every if r.result is not None] or every
    if not runs:
        return ()
    rows = [_gpus(job), ("head", _members(_head(job, benchmark))), *(_run(benchmark, r) for r in runs)]
    text = "".join("\t".join(row) + "\n" for row in rows)
    return (PlanFile(path=FILE, content=Lit(text)),)


def _gpus(job: JobContext) -> tuple[str, ...]:
    by_mode = _by_mode(job)
    return ("gpus", *(str(n) for n in (sum(by_mode.values()), *by_mode.values())))


def _by_mode(job: JobContext) -> dict[str, int]:
    roles = {r.mode: r.workers * r.gpus for r in job.recipe.resources.roles}
    return {"prefill": roles.get("prefill", 0), "decode": roles.get("decode", 0), "agg": roles.get("agg", 0)}


def _head(job: JobContext, benchmark: BenchmarkCommand) -> dict[str, object]:
    recipe, by_mode = job.recipe, _by_mode(job)
    workers: dict[str, int] = {r.mode: r.workers for r in recipe.resources.roles}
    return {
        "format": FORMAT,
        "name": recipe.name,
        "recipe": recipe.source.path,
        "variant": recipe.source.variant,
        "benchmark": recipe.benchmark.type,
        "model": job.served_model_name,
        "engine": recipe.engine.type,
        "frontend": recipe.frontend.type,
        "precision": recipe.model.precision,
        "gpu_type": recipe.resources.gpu_type,
        "gpus": {"total": sum(by_mode.values()), **by_mode},
        "workers": {mode: workers.get(mode, 0) for mode in by_mode},
        "nodes": job.topology.nodes.total,
        "parameters": dict(benchmark.parameters),
    }


def _run(benchmark: BenchmarkCommand, run: Run) -> tuple[str, ...]:
    result = notation(run.result).removeprefix("${RUN_DIR}/") if run.result else "-"
    parameters = dict(benchmark.parameters)
    known = {k: parameters[k] for k in ("isl", "osl") if parameters.get(k)} | dict(run.facts)
    load = {name: _value(known.get(name)) for name in LOAD}
    return ("run", run.name, run.client or "-", result, _members(load))


def _value(text: str | None) -> object:
    """A number if the text is one that JSON can express, else the text, such as ``inf``."""
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    if number in (float("inf"), float("-inf")) or number != number:  # noqa: PLR0124 -- JSON has no NaN
        return text
    return int(number) if number.is_integer() else number


def _members(data: Mapping[str, object]) -> str:
    """A JSON object without braces, as one line of ASCII that every shell and awk can handle."""
    return _JSON.encode(data)[1:-1]
