"""Rendering: the same bytes for the same plan, every file in the manifest, no text that is not quoted."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from plans import disaggregated, nats, plan, step

from srtplan.bundle import quote, templates
from srtplan.bundle.render import MANIFEST, render
from srtplan.diagnostics import InternalError
from srtplan.ir.bundle import Bundle
from srtplan.ir.plan import PlanFile, PreflightCheck, SrunOption
from srtplan.ir.shell import Lit, ip, word, words
from srtplan.plan.show.serialise import to_data, to_json


def bundle() -> Bundle:
    """The hand-made plan, rendered."""
    made = disaggregated()
    return render(made, {"plan.json": to_json(made)})


def test_the_same_plan_gives_the_same_bytes() -> None:
    """Nothing of the moment, the machine or the process gets into a bundle."""
    assert bundle() == bundle()
    text = b"".join(f.content for f in bundle().files).decode()
    assert str(Path(__file__).parents[2]) not in text
    assert not re.search(r"20\d\d-\d\d-\d\d", bundle().text("job.sh"))


def test_the_manifest_has_every_other_file() -> None:
    """Each file but the manifest is listed once with its checksum, sorted."""
    made = bundle()
    lines = made.text(MANIFEST).splitlines()
    want = [f"{hashlib.sha256(f.content).hexdigest()}  {f.path}" for f in made.files if f.path != MANIFEST]
    assert lines == want
    assert [f.path for f in made.files] == sorted(f.path for f in made.files)


def test_the_library_is_the_same_in_every_bundle() -> None:
    """Files of lib/ and the stop script are those of the templates, byte for byte."""
    made = {f.path: f.content for f in bundle().files}
    for path, content in templates.library().items():
        assert made[path] == content
    assert {p.partition("/")[0] for p in templates.library()} == {"lib", "stop"}


def test_what_is_run_is_executable() -> None:
    """job.sh, launchers and stop can be run as they are; data cannot."""
    modes = {f.path: f.executable for f in bundle().files}
    assert modes["job.sh"]
    assert modes["stop"]
    assert modes["steps/nats_0.sh"]
    assert not modes["plan.json"]
    assert not modes["lib/job.sh"]
    assert not modes["files/engine.yaml"]


def test_a_template_prints_quoted_text_only() -> None:
    """A bare text in a template is an error, however harmless; so is a name that has no value."""
    environment = templates._environment()
    assert environment.from_string("{{ x }}").render(x=quote.number(3)) == "3"
    for value in ({"x": "text"}, {"x": 3}, {"x": None}, {}):
        with pytest.raises(TypeError, match="print only quoted text"):
            environment.from_string("{{ x }}").render(**value)
    with pytest.raises(UndefinedError):
        environment.from_string("{% if y %}{% endif %}").render()
    assert environment.from_string('echo "${#a[@]}"').render() == 'echo "${#a[@]}"'


def test_options_of_srun_are_one_word_each() -> None:
    """Every option is --name=value, and options of the step override the common ones."""
    own = (
        SrunOption(name="ntasks", value=Lit("8")),
        SrunOption(name="mpi", value=Lit("pmix")),
        SrunOption(name="oversubscribe"),
    )
    made = plan(step("nats_0", "infra", words("sleep", "1"), srun=own, nodes=(0, 1)))
    text = render(made).text("steps/nats_0.sh")
    options = text.partition("SRUN=(\n")[2].partition("\n)")[0].split("\n")
    assert [o.strip() for o in options] == [
        "--overlap",
        "--input=none",
        "--nodes=2",
        "--ntasks=8",
        '--nodelist="${NODE[0]},${NODE[1]}"',
        "--job-name=nats_0",
        '--output="${LOG_DIR}/nats_0.out"',
        "--open-mode=append",
        "--kill-on-bad-exit=1",
        "--mpi=pmix",
        "--oversubscribe",
    ]


def test_a_command_has_a_line_per_option() -> None:
    """A flag stands with its values, and python with its module."""
    made = plan(
        step(
            "x_0", "worker", words("python3", "-m", "a.b", "--one", "--two", 2, word("http://", ip(1)), "-x")
        )
    )
    text = render(made).text("steps/x_0.sh")
    lines = [line.strip() for line in text.partition("ARGV=(\n")[2].partition("\n)")[0].split("\n")]
    assert lines == ["python3 -m a.b", "--one", '--two 2 "http://${IP[1]}"', "-x"]


@pytest.mark.parametrize(
    "broken",
    [
        {"files": (PlanFile(path="../x", content=Lit("")),)},
        {"files": (PlanFile(path="a b", content=Lit("")),)},
        {"files": (PlanFile(path="x", content=Lit("")), PlanFile(path="x", content=Lit("")))},
        {"files": (PlanFile(path="x", content=ip(0)),)},
        {"files": (PlanFile(path="x", content=word("$", ip(0)), run_time=True),)},
        {"preflight": (PreflightCheck(kind="dir", subject="a\tb", nodes=(0,), why=""),)},
    ],
)
def test_a_plan_that_cannot_be_written_is_an_internal_error(broken: dict[str, object]) -> None:
    """A plan that no bundle can represent is an internal error, before anything is written."""
    with pytest.raises(InternalError):
        render(plan(nats(), **broken))


def test_the_plan_keeps_its_documented_order() -> None:
    """plan.json has the keys of its format in order, references in the notation, and reads back."""
    data = json.loads(to_json(disaggregated()))
    assert list(data)[:6] == ["format", "name", "recipe", "served_model_name", "engine", "frontend"]
    assert data["format"] == "srtplan.plan/2"
    assert data["gates"][1] == {"name": "health", "interval_s": 1, "timeout_s": 60}
    assert data["sequence"][-1] == {"verb": "await_terminal", "subject": "benchmark"}
    steps = {s["name"]: s for s in data["steps"]}
    assert steps["prefill_0"]["env"]["HEAD_NODE_IP"] == "${IP[0]}"
    assert (steps["prefill_0"]["stage"], steps["prefill_0"]["ntasks"]) == ("worker", 1)
    assert steps["benchmark"]["runs"][1]["result"] == "${RUN_DIR}/results/c4.json"
    assert to_data(disaggregated()) == data
