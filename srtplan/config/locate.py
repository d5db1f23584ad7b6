"""A finding to a problem: from a path in the document to a line of the file that holds its value.

In: the merged tree of a job, the profile's tree, a finding. Out: a ``Problem``. A path that starts with ``srtslurm.yaml``
leads into the profile; a path to a key that is not there leads to the nearest section above it.
"""

from __future__ import annotations

from srtplan.config.layouts import detect
from srtplan.config.typed.structure import AT
from srtplan.config.yaml.tree import Mapping, Node, at, spot
from srtplan.diagnostics import Finding, Path, Problem


def origin(tree: Mapping, path: Path) -> str:
    """Where the value at a path came from: ``recipe.yaml:12``, ``srtslurm.yaml:3``, ``--set a=1``, or ``default``."""
    path = detect.path(tree, path)
    node = at(tree, path)
    return "default" if node is None else str(node.spot)


def locate(tree: Mapping | None, profile: Mapping | None, finding: Finding) -> Problem:
    """The problem at the place of a finding."""
    root: Node | None = tree
    path = detect.path(tree, finding.path) if tree else finding.path
    if path and path[0] == AT:
        root, path = profile, path[1:]
    if root is None:
        return Problem(
            file=AT, line=0, column=0, severity=finding.severity, rule=finding.rule,
            message=finding.message, help=finding.help,
        )  # fmt: skip
    where = spot(root, path, on_key=finding.on_key)
    return where.problem(finding.rule, finding.message, hint=finding.help, severity=finding.severity)
