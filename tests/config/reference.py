"""Generate the reference of recipes and profiles as Markdown from the classes of their sections.

    PYTHONPATH=. python tests/config/reference.py > docs/recipe.md

A field of a plugin is described by its ``metadata={"doc": ...}`` or by the docstring of its class.
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
    "http": "HTTP server of a worker",
    "http_stride": "minimum distance between the HTTP ports of two workers on a node",
    "bootstrap": "bootstrap server of an SGLang prefill worker, for decode workers",
    "kv_events": "KV cache events of a worker",
    "nixl": "side channel of NIXL transfers",
    "system": "health and metrics of a Dynamo worker",
    "dist_init": "rendezvous of the ranks of a worker",
    "nccl": "rendezvous of NCCL",
    "dp_rpc": "rendezvous of data-parallel ranks of vLLM",
    "kvbm": "two ports for each leader of Dynamo's block manager (KVBM)",
    "vllm": "ports that vLLM allocates itself",
    "vllm_stride": "distance between the `vllm` ports of two workers on a node",
    "frontend": "public port of the job",
    "frontend_internal": "frontends behind nginx",
    "nats": "NATS",
    "etcd": "etcd, for clients",
    "etcd_peer": "etcd, for peers",
    "mooncake_master": "Mooncake master",
    "mooncake_metadata": "metadata server of Mooncake",
    "mooncake_metrics": "metrics of Mooncake",
    "ephemeral_floor": "first port of the nodes' ephemeral range; all other ports are below it",
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

Generated from the code by `tests/config/reference.py`; a test keeps both in sync.

A recipe is one YAML 1.2 file: `yes` and `4:00:00` are strings, `8` is a number and `"8"` is a string. Unknown keys are errors.
Values come from three layers; later layers override earlier ones:

1. defaults of the cluster profile `srtslurm.yaml`, for keys that are missing or null in the recipe;
2. the recipe;
3. `--set key.path=value`, where the value is YAML: `--set benchmark.isl=4096 --set 'environment.A="1"'`.

Paths of models, images, mounts and folders may contain `$VAR`, `${VAR}` and a leading `~`, which are expanded at compile time.

## Variants

```yaml
base:                             # a complete recipe, or most of one
  name: r1
  ...
override_small:                   # one job, r1_small: mappings are merged, the rest is replaced, null removes a key
  resources: {decode_nodes: 1}
zip_override_scale:               # one job per item: r1_scale_0 and r1_scale_1
  resources: {decode_nodes: [2, 4], decode_workers: [2, 4]}
  benchmark: {isl: [1024], concurrencies: [[8], [16, 32]]}   # a single item applies to all; a list value is a list of lists
```

`file.yaml` means all variants except the base. To select variants, write `file.yaml:small`, `file.yaml:override_small`,
`file.yaml:zip_override_scale[1]`, `file.yaml:scale_1`, `file.yaml:*scale*` or `file.yaml:base`. A pattern never matches the base.

```yaml
name: r1
sweep:                            # every combination; the first parameter changes slowest: r1_tp4_mem0.8, r1_tp4_mem0.9, ...
  tp: [4, 8]
  mem: [0.8, 0.9]
backend:
  sglang_config:
    aggregated:
      tp-size: "{tp}"             # a placeholder alone becomes the value with its type
      log-file: "/logs/tp{tp}"    # inside a string it becomes text
```

A sweep in `base` or in an override makes several jobs of each variant that contains it.
"""


def render() -> str:
    """Return the page."""
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
    yield "Selected by `--cluster FILE`, else by `$SRTSLURM_CONFIG`, else found in the current directory or the two folders above.\nA profile that is found, not named, and its folder must belong to you or root, and must not be writable by group or others (SP306).\n"
    yield from _class(ClusterFile)
    yield "### `ports`\n"
    yield "The first port of each kind.\n"
    yield from _rows(Ports, PORTS)
    yield "## `schema: 2`\n"
    yield "The layout of srtctl 2.x. Sections that are not listed here are the same as above.\n"
    yield from _table(v2.Document2)
    for name, kind in V2:
        yield f"### `{name}` in schema 2\n"
        yield from _class(kind)


def _plugins(kind: plugin.Kind, title: str) -> Iterator[str]:
    yield f"## {title}\n"
    yield "Options of each type in addition to the common fields.\n"
    for name in plugin.names(kind):
        options = plugin.get(kind, name).options  # type: ignore[attr-defined]
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
