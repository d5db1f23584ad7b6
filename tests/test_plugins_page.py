"""``docs/plugins.md``: its member tables match the base classes, and its example engine loads."""

from __future__ import annotations

import ast
import inspect
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from srtplan import plugin
from srtplan.plugin import Command, JobContext, Port, WorkerContext
from srtplan.plugin.load import BASES

PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"
BLOCK = re.compile(r"(<!-- (members|fields): (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
FIELDS = {kind.__name__: kind for kind in (Command, JobContext, Port, WorkerContext)}
EXAMPLE = re.compile(r"```python\n(\"\"\"LMDeploy.*?)```", re.DOTALL)


def notes(kind: type) -> dict[str, str]:
    """Return the docstrings of a class's attributes, by attribute."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    out = {}
    for node, after in zip(tree.body, tree.body[1:], strict=False):
        documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and documented:
            out[node.target.id] = " ".join(str(after.value.value).split())  # type: ignore[attr-defined]
    return out


def cell(text: str) -> str:
    """Return a text as a table cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


def facts(base: type) -> Iterator[tuple[str, str, str]]:
    """Yield (class argument, default, meaning)."""
    meanings = notes(plugin.Plugin) | notes(base)
    for name, parameter in inspect.signature(base.__init_subclass__).parameters.items():
        default = "required" if parameter.default is parameter.empty else f"`{parameter.default!r}`"
        yield f"`{name}=`", default.replace("'", '"'), meanings[name]


def methods(base: type) -> Iterator[tuple[str, str, str]]:
    """Yield (method with its arguments, default, meaning)."""
    for name, member in vars(base).items():
        if name.startswith("_") or not inspect.isfunction(member):
            continue
        arguments = ", ".join(p for p in inspect.signature(member).parameters if p != "self")
        meaning, has_default, default = inspect.cleandoc(member.__doc__ or "").partition("Default:")
        required = getattr(member, "__isabstractmethod__", False)
        assert required is not bool(has_default) or name == "options_of", (
            f"the docstring of {name} does not state its default"
        )
        shown = "required" if required else "final" if name == "options_of" else default.strip().rstrip(".")
        yield f"`{name}({arguments})`", shown, meaning.strip()


def table(rows: Iterator[tuple[str, str, str]], head: str) -> str:
    """Return a table of members."""
    lines = [f"| {head} | default | meaning |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {a} | {cell(b)} | {cell(c)} |" for a, b, c in rows)]) + "\n"


def fields(kind: type) -> Iterator[tuple[str, str, str]]:
    """Yield (field or property, default, meaning)."""
    meanings = notes(kind)
    for field in attrs.fields(kind):
        default = "" if field.default is attrs.NOTHING else f"`{field.default!r}`".replace("'", '"')
        yield f"`{field.name}`", default, meanings.get(field.name, "")
    for name, member in vars(kind).items():
        if isinstance(member, property) and not name.startswith("_"):
            yield f"`{name}`", "", inspect.cleandoc(member.__doc__ or "")


def render(page: str) -> str:
    """Return the page with tables generated from the classes."""

    def block(found: re.Match[str]) -> str:
        start, what, name, end = found.groups()
        if what == "fields":
            return start + table(fields(FIELDS[name]), "field") + end
        base = BASES[name]  # type: ignore[index]
        return start + table(facts(base), "class argument") + "\n" + table(methods(base), "method") + end

    return BLOCK.sub(block, page)


def test_the_tables_are_up_to_date() -> None:
    """The page matches the classes; ``SRTPLAN_GOLDEN=rewrite`` makes this test write it."""
    if os.environ.get("SRTPLAN_GOLDEN") == "rewrite":
        PAGE.write_text(render(PAGE.read_text()))
    assert PAGE.read_text() == render(PAGE.read_text())


def test_every_kind_has_its_tables() -> None:
    """The page has a table for every base class."""
    assert {name for _, what, name, _ in BLOCK.findall(PAGE.read_text()) if what == "members"} == set(BASES)


def test_the_engine_of_the_page_meets_the_contract(tmp_path: Path) -> None:
    """The code block defines a valid plugin."""
    found = EXAMPLE.search(PAGE.read_text())
    assert found
    scope: dict[str, object] = {"__name__": "page"}
    exec(compile(found[1], str(tmp_path), "exec"), scope)  # noqa: S102 -- the page's own code
    found_plugin = scope["PLUGIN"]
    assert isinstance(found_plugin, plugin.Engine)
    assert (found_plugin.name, found_plugin.options, found_plugin.speaks_dynamo) == (
        "lmdeploy",
        plugin.NoOptions,
        False,
    )


@pytest.mark.parametrize("kind", BASES)
def test_every_own_plugin_meets_its_contract(kind: plugin.Kind) -> None:
    """Every own plugin loads under the name of its file; an unknown name is an error."""
    for name in plugin.own_names(kind):
        assert plugin.get(kind, name).name == name
    with pytest.raises(plugin.UnknownPluginError):
        plugin.get(kind, "no-such-plugin")
