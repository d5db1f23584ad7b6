"""Merging the profile's defaults into a recipe, node by node, so that each value keeps its position.

In: the trees of the recipe and the profile. Out: one tree. A default applies if the key is missing or null in the recipe.
Aliases of models and images are replaced by their values::

    slurm: {}  +  default_account: x (srtslurm.yaml:2)   ->  slurm: {account: x}, positioned in srtslurm.yaml:2
"""

from __future__ import annotations

from srtplan.config.yaml.tree import Entry, Mapping, Node, Scalar, at, is_null
from srtplan.diagnostics import Path
from srtplan.ir.recipe import MODES

DEFAULTS: tuple[tuple[str, Path], ...] = (
    ("env_from", ("env_from",)),
    ("default_account", ("slurm", "account")),
    ("default_partition", ("slurm", "partition")),
    ("default_time_limit", ("slurm", "time_limit")),
    ("default_gpu_type", ("resources", "gpu_type")),
    ("gpus_per_node", ("resources", "gpus_per_node")),
    ("use_het_jobs", ("resources", "het_jobs")),
    ("nginx_raise_ulimit", ("frontend", "nginx_raise_ulimit")),
    ("reporting", ("reporting",)),
)
ALIASES: tuple[tuple[str, Path], ...] = (
    ("model_paths", ("model", "path")),
    ("containers", ("model", "container")),
    ("containers", ("frontend", "nginx_container")),
    ("containers", ("frontend", "container_image")),
    ("containers", ("benchmark", "container_image")),
    *(("containers", ("roles", mode, "container")) for mode in MODES),
)


def merge(below: Mapping, above: Mapping, *, null_deletes: bool = False) -> Mapping:
    """Merge mappings key by key; lists and scalars of the upper layer replace. Keys of the lower layer come first."""
    entries = dict(below.entries)
    for key, entry in above.entries.items():
        old = entries.get(key)
        if null_deletes and is_null(entry.value):
            entries.pop(key, None)
        elif old and isinstance(old.value, Mapping) and isinstance(entry.value, Mapping):
            entries[key] = Entry(entry.key, merge(old.value, entry.value, null_deletes=null_deletes))
        elif null_deletes and isinstance(entry.value, Mapping):
            entries[key] = Entry(
                entry.key, merge(Mapping(entry.value.spot, {}), entry.value, null_deletes=True)
            )
        else:
            entries[key] = entry
    return Mapping(above.spot, entries)


def put(tree: Mapping, path: Path, entry: Entry) -> Mapping:
    """Return a copy with a value at a path; missing or null mappings on the path are created."""
    key, rest = str(path[0]), path[1:]
    if not rest:
        return tree.with_entry(key, entry)
    old = tree.entries.get(key)
    if old and not is_null(old.value) and not isinstance(old.value, Mapping):
        return tree
    inner = old.value if old and isinstance(old.value, Mapping) else Mapping(entry.value.spot, {})
    return tree.with_entry(key, Entry(old.key if old else entry.key, put(inner, rest, entry)))


def apply(tree: Mapping, profile: Mapping) -> Mapping:
    """Return the recipe over the profile's defaults, with aliases resolved."""
    for key, path in DEFAULTS:
        entry = profile.entries.get(key)
        if entry and is_null(at(tree, path)) and _is_set(entry.value):
            tree = put(tree, path, entry)
    tree = _directives(tree, profile.get("default_sbatch_directives"))
    health = profile.entries.get("default_health_check")
    if health and isinstance(health.value, Mapping) and is_null(tree.get("health_check")):
        tree = tree.with_entry("health_check", health)
    for key, path in ALIASES:
        tree = _alias(tree, path, profile.get(key))
    return tree


def _is_set(node: Node) -> bool:
    return not is_null(node) and not (isinstance(node, Scalar) and node.value == "")


def _directives(tree: Mapping, defaults: Node | None) -> Mapping:
    own = tree.entries.get("sbatch_directives")
    if not isinstance(defaults, Mapping) or not defaults.entries:
        return tree
    if own is None or is_null(own.value):
        return tree.with_entry("sbatch_directives", Entry(defaults.spot, defaults))
    if not isinstance(own.value, Mapping):
        return tree
    return tree.with_entry("sbatch_directives", Entry(own.key, merge(defaults, own.value)))


def _alias(tree: Mapping, path: Path, aliases: Node | None) -> Mapping:
    """Replace an alias by its value, which keeps its position in the profile."""
    node = at(tree, path)
    if not isinstance(aliases, Mapping) or not isinstance(node, Scalar) or not isinstance(node.value, str):
        return tree
    entry = aliases.entries.get(node.value)
    if entry is None:
        return tree
    section = at(tree, path[:-1])
    key = section.entries[str(path[-1])].key if isinstance(section, Mapping) else entry.key
    return put(tree, path, Entry(key, entry.value))
