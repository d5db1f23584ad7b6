"""``--set``: paths, types, and errors."""

from __future__ import annotations

import pytest
from documents import SMALL, Folder
from effort import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from srtplan.config.variants import set_option as module
from srtplan.config.yaml.parse import parse
from srtplan.config.yaml.tree import Mapping, Origin, data
from srtplan.diagnostics import InputError
from srtplan.ir.data import Data, freeze


def changed(text: str, *arguments: str) -> Data:
    """Return the data of a text after several ``--set``."""
    tree = parse(Origin("f", text))
    assert isinstance(tree, Mapping)
    after, problems = module.apply(tree, module.parse_all(arguments))
    assert problems == ()
    return data(after)


@pytest.mark.parametrize(
    ("argument", "result"),
    [
        ("a=8", {"a": 8, "b": [1, {"c": 2}]}),
        ('a="8"', {"a": "8", "b": [1, {"c": 2}]}),
        ("a=", {"a": None, "b": [1, {"c": 2}]}),
        ("a=x=y", {"a": "x=y", "b": [1, {"c": 2}]}),
        ("a.d.e=true", {"a": {"d": {"e": True}}, "b": [1, {"c": 2}]}),
        ("b[0]=[5]", {"a": None, "b": [[5], {"c": 2}]}),
        ("b[1].c={d: 1}", {"a": None, "b": [1, {"c": {"d": 1}}]}),
        ("b=yes", {"a": None, "b": "yes"}),
        ('"x.y"=1', {"a": None, "b": [1, {"c": 2}], "x.y": 1}),
        ("a.'x.y=z'=1", {"a": {"x.y=z": 1}, "b": [1, {"c": 2}]}),
        ("tp-size_2=1", {"a": None, "b": [1, {"c": 2}], "tp-size_2": 1}),
    ],
)
def test_a_value_at_a_path(argument: str, result: dict[str, object]) -> None:
    """Dots, indices and quotes select the value; the new value is YAML."""
    assert changed("a:\nb: [1, {c: 2}]\n", argument) == freeze(result)


def test_later_settings_override_earlier_ones() -> None:
    """Settings are applied in the order of the command line."""
    assert changed("a: 1", "a=2", "b.c=1", "b.c=3") == freeze({"a": 2, "b": {"c": 3}})


@pytest.mark.parametrize(
    "argument", ["a", "=1", ".a=1", "[0]=1", "a..b=1", "a.=1", "a[x]=1", "a[-1]=1", "", "a]=1", '"a=1']
)
def test_invalid_settings_are_named(argument: str) -> None:
    """A setting without a path or a value is an error that names it."""
    with pytest.raises(InputError) as caught:
        module.parse_all([argument])
    (problem,) = caught.value.report
    assert (problem.rule, problem.file, problem.line) == ("SP120", f"--set {argument}", 0)


@pytest.mark.parametrize(
    ("argument", "part"),
    [
        ("name.x=1", "'name' is not a mapping"),
        ("name[0]=1", "'name' is not a list"),
        ("extra_mount[3]=1", "'extra_mount' has 1 item; index 3"),
        ("resources.agg_workerz=2", "unknown key 'agg_workerz'"),
        ("resources.agg_workers=two", "must be an integer, not the string 'two'"),
        ("environment.A=1", "must be a string, not the number 1"),
        ("backend.speedup_ratio=[1", "expected ',' or ']'"),
        ("name=!!str x", "tag '!!str'"),
    ],
)
def test_problems_of_a_setting_name_the_setting(folder: Folder, argument: str, part: str) -> None:
    """A problem of a value from ``--set`` is reported at the setting, not at a line of the file."""
    found = folder.problems(SMALL + "extra_mount: [/a:/b]\n", argument)
    assert [p.file for p in found] == [f"--set {argument}"]
    assert part in found[0].message
    assert found[0].source == ""


def test_all_invalid_settings_are_reported() -> None:
    """Two invalid settings give two problems."""
    with pytest.raises(InputError) as caught:
        module.parse_all(["a", "b"])
    assert len(list(caught.value.report)) == 2


def test_a_setting_changes_every_variant(folder: Folder) -> None:
    """A setting overrides base and override."""
    base = "base:\n" + "".join(f"  {line}\n" for line in SMALL.splitlines())
    text = base + "override_a: {backend: {speedup_ratio: 2.0}}\noverride_b: {name: z}\n"
    jobs = folder.load(text, "backend.speedup_ratio=7").jobs
    assert [getattr(j.recipe.engine.options, "speedup_ratio") for j in jobs] == [7.0, 7.0]  # noqa: B009 -- untyped


@settings(
    max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(workers=st.integers(1, 8), name=st.sampled_from(["a", "b-c", "yes"]), attempts=st.integers(1, 99))
def test_setting_a_value_equals_editing_the_file(
    folder: Folder, workers: int, name: str, attempts: int
) -> None:
    """The same values, set or written to the file, give the same recipe except for the checksum."""
    settings_ = (f"resources.agg_workers={workers}", f"name={name}", f"health_check.max_attempts={attempts}")
    edited = SMALL.replace("agg_workers: 1", f"agg_workers: {workers}").replace("small", name, 1)
    edited += f"health_check: {{max_attempts: {attempts}}}\n"
    one, other = folder.job(SMALL, *settings_).recipe, folder.job(edited).recipe
    assert one.source != other.source
    assert without_source(one) == without_source(other)


def without_source(recipe: object) -> str:
    """Return a recipe as text, without the checksum of its file."""
    return repr(recipe).split("sha256", 1)[0] + repr(recipe).split("variant", 1)[1]
