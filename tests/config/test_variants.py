"""Override files and sweeps: their jobs, names and selectors."""

from __future__ import annotations

import pytest
from documents import SMALL, Folder

from srtplan.config.yaml.tree import spot
from srtplan.ir.recipe import Recipe

BASE = "base:\n" + "".join(f"  {line}\n" for line in SMALL.splitlines())
FILE = (
    BASE
    + """\
override_big: {resources: {agg_nodes: 2}}
zip_override_n:
  health_check: {max_attempts: [1, 2, 3]}
  backend: {speedup_ratio: [5.0]}
override_named: {name: other}
"""
)


def names(folder: Folder, selector: str = "", text: str = FILE) -> list[tuple[str | None, str]]:
    """Return variant and job name of each job."""
    return [(j.recipe.source.variant, j.recipe.name) for j in folder.load(text, selector=selector).jobs]


def test_a_file_without_selector_means_all_variants(folder: Folder) -> None:
    """Every override is a job, in the order of the file; the base is not."""
    assert names(folder) == [
        ("big", "small_big"), ("n_0", "small_n_0"), ("n_1", "small_n_1"), ("n_2", "small_n_2"), ("named", "other"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("selector", "variants"),
    [
        (":base", ["base"]),
        (":override_big", ["big"]),
        (":big", ["big"]),
        (":zip_override_n", ["n_0", "n_1", "n_2"]),
        (":zip_override_n[1]", ["n_1"]),
        (":zip_*[2]", ["n_2"]),
        (":n_0", ["n_0"]),
        (":*n*", ["n_0", "n_1", "n_2", "named"]),
        (":override_*", ["big", "named"]),
        (":*", ["big", "n_0", "n_1", "n_2", "named"]),
    ],
)
def test_selectors(folder: Folder, selector: str, variants: list[str]) -> None:
    """Keys, indices, names and patterns select variants; a pattern never matches the base."""
    assert [v for v, _ in names(folder, selector)] == variants


@pytest.mark.parametrize(
    ("selector", "part"),
    [
        (":overide_big", "override_big"),
        (":zip_override_n[9]", "zip_override_n"),
        (":q*", "known: base, override_big"),
    ],
)
def test_the_help_for_an_unknown_selector_names_variants(folder: Folder, selector: str, part: str) -> None:
    """The help names the existing variants."""
    (problem,) = folder.problems(FILE, selector=selector)
    assert problem.rule == "SP121"
    assert part in problem.help


def test_a_selector_on_a_file_without_variants(folder: Folder) -> None:
    """The error is at the start of the recipe."""
    (problem,) = folder.problems(SMALL, selector=":a")
    assert problem.line == 1
    assert "the file has no variants" in problem.message


def test_a_file_name_may_contain_a_colon(folder: Folder) -> None:
    """An argument that names an existing file is not split."""
    folder.write(SMALL, "a:b.yaml")
    (folder.path / "recipe.yaml").unlink(missing_ok=True)
    from srtplan.config import load  # noqa: PLC0415 -- only here

    (job,) = load("a:b.yaml", cwd=folder.path, environ={}).jobs
    assert job.recipe.source.path == "a:b.yaml"


def test_zip_picks_one_value_of_each_list(folder: Folder) -> None:
    """Lists advance together, a single value applies to all variants, and a list of lists gives lists."""
    text = BASE + (
        "zip_override_z:\n"
        "  extra_mount: [[/a:/a], [/b:/b, /c:/c]]\n"
        "  health_check: {max_attempts: [4], interval_seconds: 9}\n"
        "  dynamo: {version: ['0.9.0', null]}\n"
    )
    first, second = (j.recipe for j in folder.load(text).jobs)
    assert [[m.source for m in r.mounts] for r in (first, second)] == [["/a"], ["/b", "/c"]]
    assert {(r.health_check.max_attempts, r.health_check.interval_seconds) for r in (first, second)} == {
        (4, 9)
    }
    assert (first.dynamo.version, second.dynamo.version) == ("0.9.0", "0.8.0")


def test_null_removes_a_key_of_the_base(folder: Folder) -> None:
    """After ``health_check: null`` the default applies."""
    text = BASE + "  health_check: {max_attempts: 9}\noverride_a: {health_check: null}\n"
    assert folder.job(text).recipe.health_check.max_attempts == 180


def test_values_of_a_variant_keep_their_positions(folder: Folder) -> None:
    """Each value of a merged recipe has its line in the base or in the override."""
    job = folder.job(FILE, selector=":n_1")
    assert spot(job.tree, ("health_check", "max_attempts")).line == 8
    assert spot(job.tree, ("model", "path")).line == 3
    assert spot(job.tree, ("backend", "speedup_ratio")).line == 9


SWEEP = (
    SMALL
    + """\
sweep:
  ratio: [1, 2.5]
  text: [a, b/c]
backend: {type: mocker, speedup_ratio: "{ratio}", mocker_config: {aggregated: {note: "r={ratio} {other}", n: "{ratio}"}}}
environment: {R: "{ratio}", T: "{text}", L: "x{text}x{text}"}
"""
)
SWEEP = SWEEP.replace("backend: {type: mocker}\n", "", 1)


def sweep(folder: Folder, text: str = SWEEP) -> list[Recipe]:
    """Return the recipes of a sweep."""
    return [j.recipe for j in folder.load(text).jobs]


def test_a_sweep_makes_every_combination(folder: Folder) -> None:
    """Variants are numbered, names have every parameter, and the first parameter changes slowest."""
    recipes = sweep(folder)
    assert [r.source.variant for r in recipes] == ["0", "1", "2", "3"]
    assert [r.name for r in recipes] == [
        "small_ratio1_texta", "small_ratio1_textb-c", "small_ratio2.5_texta", "small_ratio2.5_textb-c",
    ]  # fmt: skip


def test_a_swept_value_alone_keeps_its_type(folder: Folder) -> None:
    """A number as a whole value stays a number; in an environment variable or inside a string it becomes text."""
    recipe = sweep(folder)[3]
    (role,) = recipe.resources.roles
    assert dict(role.args) == {"note": "r=2.5 {other}", "n": 2.5}
    assert dict(recipe.environment) == {"R": "2.5", "T": "b/c", "L": "xb/cxb/c"}


def test_a_swept_boolean_and_list(folder: Folder) -> None:
    """A whole placeholder keeps lists and booleans; inside a string a list has commas and true is ``true``."""
    text = SMALL.replace("backend: {type: mocker}\n", "") + (
        "sweep: {flag: [true], list: [[1, 2]]}\n"
        "backend: {type: mocker, enable_prefix_caching: '{flag}',\n"
        "  mocker_config: {aggregated: {a: '{list}', b: '{flag} {list}'}}}\n"
    )
    (recipe,) = sweep(folder, text)
    assert dict(recipe.resources.roles[0].args) == {"a": (1, 2), "b": "true 1,2"}
    assert recipe.name == "small_flagTrue_list1,2"


def test_a_sweep_inside_a_variant(folder: Folder) -> None:
    """A sweep in the base or in an override expands that variant."""
    text = (
        BASE
        + "  sweep: {n: [1, 2]}\n  health_check: {max_attempts: '{n}'}\noverride_a: {}\noverride_b: {sweep: {n: [7]}}\n"
    )
    found = folder.load(text).jobs
    assert [(j.recipe.source.variant, j.recipe.health_check.max_attempts) for j in found] == [
        ("a_0", 1),
        ("a_1", 2),
        ("b_0", 7),
    ]
    assert [j.recipe.name for j in found] == ["small_a_n1", "small_a_n2", "small_b_n7"]


def test_a_sweep_of_too_many_jobs(folder: Folder) -> None:
    """A sweep with more than a thousand combinations is refused."""
    numbers = list(range(40))
    text = SMALL + f"sweep: {{a: {numbers}, b: {numbers}}}\nenvironment: {{A: '{{a}}{{b}}'}}\n"
    (problem,) = folder.problems(text)
    assert (problem.rule, "1600" in problem.message) == ("SP124", True)


MANY = "[" + ", ".join(map(str, range(20_000))) + "]"
SQUARED = "sweep: {a: [" + ", ".join(map(str, range(600))) + "]}, environment: {A: '{a}'}"


@pytest.mark.parametrize(
    ("text", "rule", "line", "part"),
    [
        (f"zip_override_z: {{health_check: {{max_attempts: {MANY}}}}}\n", "SP123", 6, "20000 variants"),
        (f"override_a: {{{SQUARED}}}\noverride_b: {{{SQUARED}}}\n", "SP124", 1, "more than 1000 jobs"),
    ],
    ids=["zip", "variants and sweeps"],
)
def test_a_file_of_too_many_jobs(folder: Folder, text: str, rule: str, line: int, part: str) -> None:
    """More than a thousand jobs are refused before they are made."""
    (problem,) = folder.problems(BASE + text)
    assert (problem.rule, problem.line, part in problem.message) == (rule, line, True), problem


def test_set_changes_a_sweep(folder: Folder) -> None:
    """``--set`` is applied before the expansion."""
    text = SMALL + "sweep: {a: [1, 2]}\nenvironment: {A: '{a}'}\n"
    assert [j.recipe.environment for j in folder.load(text, "sweep.a=[5]").jobs] == [(("A", "5"),)]


def test_variants_of_schema_2(folder: Folder) -> None:
    """``schema`` next to ``base`` applies to every variant."""
    text = (
        "schema: 2\n"
        "base:\n"
        "  name: small\n"
        "  model: {path: /models/m, container: /images/i.sqsh, precision: fp8}\n"
        "  engine: mocker\n"
        "  roles: {agg: {nodes: 1, workers: 1}}\n"
        "override_two: {roles: {agg: {workers: 2}}}\n"
    )
    recipe = folder.job(text).recipe
    assert (recipe.name, recipe.resources.roles[0].workers) == ("small_two", 2)


def test_set_cannot_change_the_base_alone(folder: Folder) -> None:
    """A path that starts with ``base`` is an error, because a setting applies to every variant."""
    found = {p.rule: p.help for p in folder.problems(FILE, "base.name=x")}
    assert found["SP120"] == "remove 'base.' from the path; select variants with FILE:VARIANT"
