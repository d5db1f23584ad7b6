"""The reference of recipes and profiles as Markdown, generated from the classes that they are structured into.

    PYTHONPATH=. python tests/config/reference.py > docs/reference/recipe.md

A field of a plugin is described by ``metadata={"doc": ...}`` where it has one, else by the docstring of its class.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import attrs

from srtplan import plugin
from srtplan.config.layouts import v1_sections as v1
from srtplan.config.layouts import v2_sections as v2
from srtplan.config.layouts.observability import ObservabilitySection, ReportingSection, StatusSection
from srtplan.config.profile import ClusterFile
from srtplan.config.typed.hooks import describe, key_of
from srtplan.config.yaml.scalars import show
from srtplan.config.yaml.tree import Mapping
from srtplan.ir.data import Map
from srtplan.ir.recipe import Ports

PORTS = {
    "http": "a worker's own HTTP server",
    "http_stride": "between two workers of a node, at the least",
    "bootstrap": "where decode workers of SGLang meet their prefill worker",
    "kv_events": "KV cache events of a worker",
    "nixl": "side channel of NIXL transfers",
    "system": "health and metrics of a Dynamo worker",
    "dist_init": "where the ranks of a worker meet",
    "nccl": "NCCL's own meeting point",
    "dp_rpc": "where data-parallel ranks of vLLM meet",
    "kvbm": "a pair for each leader of Dynamo's block manager (KVBM)",
    "vllm": "ports that vLLM takes for itself",
    "vllm_stride": "between two workers of a node",
    "frontend": "the public port",
    "frontend_internal": "frontends behind nginx",
    "nats": "NATS",
    "etcd": "etcd, for clients",
    "etcd_peer": "etcd, for its peers",
    "mooncake_master": "Mooncake's master",
    "mooncake_metadata": "its metadata server",
    "mooncake_metrics": "its metrics",
    "ephemeral_floor": "first port that the nodes' kernels hand out by themselves; all others stay below it",
}
V1: tuple[tuple[str, type], ...] = (
    ("model", v1.ModelSection),
    ("resources", v1.ResourcesSection),
    ("slurm", v1.SlurmSection),
    ("backend", v1.BackendSection),
    ("backend.kv_events_config", v1.KvEvents),
    ("backend.<type>_config", v1.EngineArgs),
    ("frontend", v1.FrontendSection),
    ("dynamo", v1.DynamoSection),
    ("benchmark", v1.BenchmarkSection),
    ("profiling", v1.ProfilingSection),
    ("profiling.prefill, decode, aggregated", v1.WindowSection),
    ("health_check", v1.HealthSection),
    ("infra", v1.InfraSection),
    ("reporting", ReportingSection),
    ("reporting.status", StatusSection),
    ("observability", ObservabilitySection),
)
V2: tuple[tuple[str, type], ...] = (
    ("roles", v2.Roles2),
    ("roles.prefill, decode, agg", v2.Role2),
    ("roles.prefill.restart", v2.Restart2),
    ("resources", v2.Resources2),
    ("frontend", v2.Frontend2),
    ("frontend.placement", v2.FrontendPlacement),
    ("benchmark", v2.Benchmark2),
    ("benchmark.placement", v2.BenchmarkPlacement),
    ("dynamo", v2.Dynamo2),
    ("dynamo.source", v2.DynamoSource),
    ("services", v2.Service2),
    ("services.placement", v2.ServicePlacement),
    ("services.options", v2.ServiceOptions),
)
INTRO = """\
# Recipes and profiles

Generated from the code by `tests/config/reference.py`; a test holds the two together.

A recipe is one YAML file, read as YAML 1.2: `yes` and `4:00:00` are text, `8` is a number and `"8"` is not. Unknown keys are
errors. Values come from three layers, the later one wins:

1. defaults of the cluster profile `srtslurm.yaml`, for keys that the recipe lacks or that are null;
2. the recipe;
3. `--set key.path=value`, where the value is YAML: `--set benchmark.isl=4096 --set 'environment.A="1"'`.

Paths of models, images, mounts and folders may hold `$VAR`, `${VAR}` and a leading `~`; they are replaced while compiling.

## Variants

```yaml
base:                             # a complete recipe, or most of one
  name: r1
  ...
override_small:                   # one job, r1_small: mappings are merged, the rest is replaced, null removes a key
  resources: {decode_nodes: 1}
zip_override_scale:               # one job per item: r1_scale_0 and r1_scale_1
  resources: {decode_nodes: [2, 4], decode_workers: [2, 4]}
  benchmark: {isl: [1024], concurrencies: [[8], [16, 32]]}   # one item is for all; a list value is a list of lists
```

`file.yaml` is all variants but the base. `file.yaml:small`, `file.yaml:override_small`, `file.yaml:zip_override_scale[1]`,
`file.yaml:scale_1`, `file.yaml:*scale*` and `file.yaml:base` select; a pattern never means the base.

```yaml
name: r1
sweep:                            # every combination, the first parameter slowest: r1_tp4_mem0.8, r1_tp4_mem0.9, ...
  tp: [4, 8]
  mem: [0.8, 0.9]
backend:
  sglang_config:
    aggregated:
      tp-size: "{tp}"             # a placeholder alone takes the value with its type
      log-file: "/logs/tp{tp}"    # inside a text it is filled in
```

A sweep may stand in `base` or in an override; it then multiplies that variant.
"""


def render() -> str:
    """The whole page."""
    return "\n".join(_page()).rstrip() + "\n"


def _page() -> Iterator[str]:
    yield INTRO
    yield "## A recipe\n"
    yield from _table(v1.Document)
    for name, kind in V1:
        yield f"## `{name}`\n"
        yield from _class(kind)
    yield from _plugins("engine", "Engines: `backend`")
    yield from _plugins("frontend", "Frontends: `frontend`")
    yield from _plugins("benchmark", "Benchmarks: `benchmark`")
    yield "## The cluster profile `srtslurm.yaml`\n"
    yield "Searched as `--cluster FILE`, `$SRTSLURM_CONFIG`, then here and in the two folders above. One that is found, not named,\nmust be yours or root's, as must its folder, and no group or other user may write to them (SP306).\n"
    yield from _class(ClusterFile)
    yield "### `ports`\n"
    yield "The first port of every kind.\n"
    yield from _rows(Ports, PORTS)
    yield "## `schema: 2`\n"
    yield "The layout of srtctl 2.x. Sections that are not listed here are those above.\n"
    yield from _table(v2.Document2)
    for name, kind in V2:
        yield f"### `{name}` in schema 2\n"
        yield from _class(kind)


def _plugins(kind: plugin.Kind, title: str) -> Iterator[str]:
    yield f"## {title}\n"
    yield "What each type reads beyond the common fields.\n"
    for name in plugin.names(kind):
        options = plugin.get(kind, name).options
        yield f"### {name}\n"
        yield from _class(options)


def _class(kind: type) -> Iterator[str]:
    yield inspect.cleandoc(kind.__doc__ or "") + "\n"
    yield from _table(kind)


def _table(kind: type) -> Iterator[str]:
    yield from _rows(kind, {})


def _rows(kind: type, docs: dict[str, str]) -> Iterator[str]:
    fields = attrs.fields(attrs.resolve_types(kind))
    if not fields:
        return
    described = bool(docs) or any("doc" in f.metadata for f in fields)
    yield "| key | type | default |" + (" meaning |" if described else "")
    yield "|---|---|---|" + ("---|" if described else "")
    for f in fields:
        meaning = f" {f.metadata.get('doc', docs.get(f.name, ''))} |" if described else ""
        cells = f"| `{key_of(f)}` | {_type(f.type)} | {_default(f)} |"
        yield cells + meaning
    yield ""


def _type(kind: Any) -> str:
    return describe(kind).replace("|", "\\|").removeprefix("a ").removeprefix("an ")


def _default(field: attrs.Attribute[Any]) -> str:
    value = field.default
    if value is attrs.NOTHING:
        return "required"
    if (
        value is None
        or value == ()
        or isinstance(value, Map | Mapping | attrs.Factory)
        or attrs.has(type(value))
    ):  # type: ignore[arg-type]
        return ""
    if isinstance(value, tuple):
        return "`[" + ", ".join(show(v) for v in value) + "]`"
    return f"`{show(value) or chr(34) * 2}`"


if __name__ == "__main__":
    print(render(), end="")
