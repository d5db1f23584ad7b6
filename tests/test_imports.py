"""The import direction is held by import-linter; these tests hold what it cannot see."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest

from srtplan import plugin

ROOT = Path(__file__).parents[1]
OTHER_NAMES = {
    "requested == 'sglang'": "a frontend of srtctl 2.x that srtplan lacks",
    "'dynamo' in self.interfaces": "an interface",
    "interface == 'dynamo'": "an interface",
    "run.client not in CLIENTS": "the reader of a report",
    "self.name in CLIENTS": "the reader of a report",
    "p.type in ('none', 'nsys-time')": "a profiler",
    "recipe.profiling.type != 'none'": "a profiler",
}
"""Comparisons with a word that is also the name of a plugin, and the meaning of the word there."""
TO_ASK = {
    "summary.text('benchmark') == SERVING": "whether it sends requests: a run's plugins are not here",
    "'nats' not in services(recipe)": "which service reads a field of infra",
    "kind not in KNOWN": "services that schema 2 can describe",
    "service.type == 'etcd'": "the Recipe has one switch for both services",
}
"""Comparisons with the name of a plugin, and what the plugin should provide instead."""


def test_layers_name_every_package() -> None:
    """Each package of srtplan is in the layers of .importlinter."""
    contract = (ROOT / ".importlinter").read_text()
    packages = [p.parent.name for p in (ROOT / "srtplan").glob("*/__init__.py")]
    assert packages
    assert [p for p in packages if f"srtplan.{p}" not in contract] == []


def test_modules_stay_readable() -> None:
    """No module of srtplan has more than 400 lines."""
    long = {
        str(p): n for p in (ROOT / "srtplan").rglob("*.py") if (n := len(p.read_text().splitlines())) > 400
    }
    assert long == {}


def constants(text: str, names: set[str]) -> set[str]:
    """Constants of a module whose value equals or contains one of the names."""
    return {
        target.id
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        if not isinstance(node.value, ast.Dict) and node.value and _holds(node.value, names, set())
        for target in (node.targets if isinstance(node, ast.Assign) else (node.target,))
        if isinstance(target, ast.Name)
    }


def comparisons(text: str, names: set[str], constants: set[str]) -> list[str]:
    """The source of each comparison and ``case`` with one of the names, as a literal or as one of the constants."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Compare | ast.MatchValue) and _holds(node, names, constants)
    ]


def _holds(node: ast.expr | ast.pattern, names: set[str], constants: set[str]) -> bool:
    return any(
        (isinstance(n, ast.Constant) and n.value in names) or (isinstance(n, ast.Name) and n.id in constants)
        for n in ast.walk(node)
    )


@pytest.mark.parametrize(
    "condition",
    [
        'kind == "a"',
        '"a" != kind',
        'kind in ("b", "a")',
        'kind not in {"a"}',
        '"a" in kinds',
        "kind == A",
        "kind in BOTH",
    ],
)
def test_every_form_of_comparison_is_found(condition: str) -> None:
    """Equality, membership in a tuple or set, and constants are found."""
    named = constants('A: str = "a"\nBOTH = ("b", "a")\nOTHER: str = "c"\n', {"a"})
    assert named == {"A", "BOTH"}
    assert comparisons(f"x = {condition}", {"a"}, named) == [condition.replace('"', "'")]
    assert comparisons("x = kind == OTHER or kind in ('b',)", {"a"}, named) == []
    assert comparisons('match kind:\n    case "a": pass', {"a"}, named) == ["'a'"]


def test_no_file_compares_a_plugin_by_name() -> None:
    """Only a plugin's own package contains its name as a literal; other code asks the plugin.

    The rehearsal is exempt, because it simulates the real programs, which have the same names.
    """
    kinds: tuple[plugin.Kind, ...] = get_args(plugin.Kind)
    names = {name for kind in kinds for name in plugin.names(kind)}
    left_out = {f"{kind}s" for kind in kinds} | {"rehearsal"}
    package = ROOT / "srtplan"
    paths = [p for p in package.rglob("*.py") if p.relative_to(package).parts[0] not in left_out]
    named = set[str]().union(*(constants(p.read_text(), names) for p in paths))
    found = {
        f"{path.relative_to(package)}: {comparison}"
        for path in paths
        for comparison in comparisons(path.read_text(), names, named)
        if comparison not in OTHER_NAMES | TO_ASK and ".interface " not in comparison
    }
    assert sorted(found) == []
