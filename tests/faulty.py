"""A broken benchmark plugin from another distribution, for tests of srtplan's internal errors.

``type: faulty`` with ``how: raises`` raises while planning, ``dangles`` gives a Plan that breaks an invariant, and
``unprintable`` gives a Plan that JSON cannot represent.
"""

from __future__ import annotations

from pathlib import Path

PLUGIN = """
from attrs import frozen
from srtplan.plugin import Benchmark, BenchmarkCommand, Command, Run, ip, words

@frozen(kw_only=True)
class Options:
    how: str = "not at all"

class Faulty(Benchmark[Options], name="faulty"):
    def command(self, ctx):
        how = ctx.job.recipe.benchmark.options.how
        if how == "raises":
            raise KeyError("a secret thought")
        argv = words("true", *([ip(99)] if how == "dangles" else []))
        parameters = (("how", object()),) if how == "unprintable" else ()
        return BenchmarkCommand(command=Command(runs=(Run(name="r", argv=argv),)), parameters=parameters)

PLUGIN = Faulty()
"""
RECIPE = """\
name: {name}
model: {{path: hf:acme/tiny, container: /images/i.sqsh, precision: fp8}}
resources: {{gpu_type: h100, gpus_per_node: 8, agg_nodes: 1, agg_workers: 1}}
dynamo: {{install: false}}
environment: {{HF_HOME: /cache}}
backend: {{type: mocker}}
frontend: {{type: dynamo, enable_multiple_frontends: false}}
sbatch_directives: {{hold: ''}}
benchmark: {{type: {type}}}
"""


def install(folder: Path) -> Path:
    """Install the distribution into a folder for PYTHONPATH."""
    info = folder / "faulty-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[srtplan.plugins]\nbenchmark:faulty = faulty_plugin:PLUGIN\n")
    (folder / "faulty_plugin.py").write_text(PLUGIN)
    return folder


def recipes(folder: Path, **kinds: str) -> Path:
    """Write recipes into a folder, by name: ``a="manual"``, ``b="faulty, how: raises"``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, kind in kinds.items():
        (folder / f"{name}.yaml").write_text(RECIPE.format(name=name, type=kind))
    return folder
