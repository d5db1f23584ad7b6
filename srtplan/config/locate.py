"""From findings to problems: the position in a file of a path in the document.

In: the merged tree of a job, the profile's tree, a finding. Out: a ``Problem``. A path that starts with ``srtslurm.yaml``
leads into the profile. The path of a missing key leads to the nearest section above it.
"""

from __future__ import annotations

from attrs import evolve

from srtplan.config.layouts import detect
from srtplan.config.typed.structure import AT
from srtplan.config.yaml.tree import Mapping, Node, at, spot
from srtplan.diagnostics import Finding, Path, Problem


def origin(tree: Mapping, path: Path) -> str:
    """Return the origin of a value: ``recipe.yaml:12``, ``srtslurm.yaml:3``, ``--set a=1``, or ``default``."""
    path = detect.path(tree, path)
    node = at(tree, path)
    return "default" if node is None else str(node.spot)


def locate(tree: Mapping | None, profile: Mapping | None, finding: Finding) -> Problem:
    """Return the problem of a finding, with its position."""
    root: Node | None = tree
    path = finding.path
    if tree:
        path = detect.path(tree, finding.path)
        finding = _in_layout(finding, path)
    if path and path[0] == AT:
        root, path = profile, path[1:]
    if root is None:
        return Problem(
            file=AT, line=0, column=0, severity=finding.severity, rule=finding.rule,
            message=finding.message, help=finding.help,
        )  # fmt: skip
    where = spot(root, path, on_key=finding.on_key)
    return where.problem(finding.rule, finding.message, hint=finding.help, severity=finding.severity)


def _in_layout(finding: Finding, path: Path) -> Finding:
    """Return the finding with its v1 key spelled as in the recipe: ``'hash'`` becomes ``'source.rev'`` in schema 2."""
    old = finding.path
    if path == old or not old or path[-1] == old[-1]:
        return finding
    quoted, dotted = f"'{old[-1]}'", ".".join(map(str, old))
    name = ".".join(map(str, path[1:]))
    message = finding.message.replace(dotted, ".".join(map(str, path))).replace(quoted, f"'{name}'")
    return evolve(finding, message=message)
