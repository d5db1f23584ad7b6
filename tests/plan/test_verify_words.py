"""verify checks every word of every step, although shared words are checked only once."""

from __future__ import annotations

import pytest
from attrs import evolve
from made import plan, recipe, step

from srtplan.ir.data import Map, freeze
from srtplan.ir.plan import EnvVar, Mount, Plan, PlanFile, Step
from srtplan.ir.shell import Lit, Word, ip, notation, word
from srtplan.plan.verify import verify

NUL = Lit("a\0b")
FAR = word("http://", ip(2), ":1")
"""A job of two nodes has no third."""
CASES = {
    "argv": lambda s, w: evolve(s, argv=(*s.argv, w)),
    "preamble": lambda s, w: evolve(s, preamble=((Lit("setup::script"), w),)),
    "env": lambda s, w: evolve(s, env=(*s.env, EnvVar(name="A", value=w))),
    "mounts": lambda s, w: evolve(s, mounts=(*s.mounts, Mount(source=w, target=Lit("/x"), origin="recipe"))),
}


def broken(made: Plan, changed: Step) -> tuple[str, ...]:
    """What is wrong with a plan in which one step is another."""
    return verify(evolve(made, steps=tuple(changed if s.name == changed.name else s for s in made.steps)))


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("place", CASES)
@pytest.mark.parametrize(("bad", "says"), [(NUL, "contains a NUL character"), (FAR, "refers to node 2 of 2")])
def test_every_word_of_a_step_is_checked(place: str, bad: Word, says: str) -> None:
    """A NUL, or a node that the job does not have, is found in the command, the calls, the environment and the mounts."""
    made = plan(recipe())
    assert verify(made) == ()
    assert f"step decode_0 {says}" in broken(made, CASES[place](step(made, "decode_0"), bad))


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("bad", [NUL, FAR])
def test_every_file_is_checked(bad: Word) -> None:
    """The same in a file of the plan."""
    made = plan(recipe())
    assert len(verify(evolve(made, files=(PlanFile(path="x", content=bad),)))) == 1


@pytest.mark.usefixtures("alone")
def test_options_become_yaml_when_the_file_is_wanted() -> None:
    """Not before: a check makes none. What no file can hold is escaped in it, so verify need not look."""
    options = freeze({"b": {"c": [1, True, "1"]}, "a": NUL.text})
    assert isinstance(options, Map)
    file = PlanFile(path="x", content=options)
    assert verify(evolve(plan(recipe()), files=(file,))) == ()
    assert notation(file.text) == "a: \"a\\0b\"\nb:\n  c:\n  - 1\n  - true\n  - '1'\n"


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("target", "says"), [("x", "not an absolute path"), ("/a,b", "',' or ':'"), ("/a:b", "',' or ':'")]
)
def test_mounts_of_every_step_are_checked(target: str, says: str) -> None:
    """One step whose mounts are not those of the others is not passed over."""
    made = plan(recipe())
    last = made.steps[-1]
    broken_rules = broken(
        made,
        evolve(last, mounts=(*last.mounts, Mount(source=Lit("/x"), target=Lit(target), origin="recipe"))),
    )
    assert any(line.startswith(f"step {last.name} ") and says in line for line in broken_rules)


@pytest.mark.usefixtures("alone")
def test_environment_names_are_checked() -> None:
    """A name that no variable can have."""
    made = plan(recipe())
    assert broken(made, evolve(made.steps[0], env=(EnvVar(name="1A", value=Lit("")),))) == (
        f"step {made.steps[0].name} has invalid environment variable name '1A'",
    )


@pytest.mark.usefixtures("alone")
def test_endpoints_are_on_worker_nodes() -> None:
    """A node that is not for workers carries none."""
    made = plan(recipe())
    nodes = evolve(made.nodes, workers=made.nodes.workers[:1])
    assert verify(evolve(made, nodes=nodes)) == ("decode_0 is placed on a node that is not for workers",)
