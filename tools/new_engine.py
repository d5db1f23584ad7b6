"""Create a new engine: its module, and an example recipe that compiles and can be rehearsed.

``python tools/new_engine.py tiny-llm`` writes ``srtplan/engines/tiny_llm.py`` and ``examples/tiny-llm.yaml`` and prints
their paths. It never overwrites a file. ``just new-engine tiny-llm`` also writes the golden files of the example.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
ENGINE = '''\
"""{name}: an OpenAI-compatible server on the GPUs of one node.

Out: ``{name} serve /model --port 30000 --served-model-name NAME --tensor-parallel-size 8 ...``
"""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import flags
from srtplan.plugin import Command, Engine, Finding, NoOptions, Recipe, WorkerContext, override, words

PLANNED = {{
    "port": "see `ports:` in the cluster profile",
    "served-model-name": "it is the model name that clients use",
    "tensor-parallel-size": "it is the number of GPUs per worker",
}}
"""Flags that the plan sets, and where their values come from."""


class {title}(Engine[NoOptions], name="{name}"):
    """The {name} engine."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report flags that the plan sets."""
        for role in recipe.resources.roles:
            yield from flags.check_planned(role.args, role.args_at, PLANNED)

    @override
    def command(self, ctx: WorkerContext) -> Command:
        """Return the server's argv: the plan's flags, then those of the recipe."""
        name, gpus = ctx.job.served_model_name, len(ctx.process.gpus)
        argv = words("{name}", "serve", ctx.model, "--port", ctx.http_port, "--served-model-name", name)
        own = words("--tensor-parallel-size", gpus, *flags.render(ctx.role.args), *ctx.role.extra_args)
        return Command(argv=(*argv, *own), note=f"{name} worker {{ctx.endpoint.index}}")


PLUGIN = {title}()
'''
EXAMPLE = """\
# One {name} server without a frontend, and aiperf.
name: {name}

model:
  path: /models/Qwen3-8B
  container: registry.example.com/{name}:latest
  precision: bf16

resources:
  gpu_type: h100
  gpus_per_node: 8
  agg_nodes: 1
  agg_workers: 1

frontend:
  type: none # the worker serves on the public port; requires exactly one aggregated worker

backend:
  type: {name}
  {name}_config:
    aggregated:
      max-model-len: 32768

benchmark:
  type: sa-bench
  client: aiperf
  isl: 1024
  osl: 128
  concurrencies: [4, 16]
"""


def files(name: str) -> dict[Path, str]:
    """Return the contents of a new engine's files, by path relative to the project."""
    module = name.replace("_", "__").replace("-", "_")
    title = "".join(part.capitalize() for part in re.split("[-_]", name))
    return {
        Path("srtplan", "engines", f"{module}.py"): ENGINE.format(name=name, title=title),
        Path("examples", f"{name}.yaml"): EXAMPLE.format(name=name),
    }


def main(argv: list[str]) -> str | None:
    """Write the files. Returns an error message, or None."""
    if len(argv) != 1 or not NAME.fullmatch(argv[0]):
        return "usage: new_engine.py NAME (lowercase letters and digits, with single '-' or '_' between them)"
    contents = files(argv[0])
    if existing := [str(path) for path in contents if (ROOT / path).exists()]:
        return f"{existing[0]} already exists"
    for path, text in contents.items():
        (ROOT / path).write_text(text)
        print(path)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
