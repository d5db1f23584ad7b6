"""dry-run shows everything, calls nothing and writes nothing."""

from __future__ import annotations

import json

import pytest
from site_of_stand_ins import BROKEN, RECIPE, VARIANTS, Site

from srtplan.cli.parameters import parameters
from srtplan.config.yaml.parse import parse
from srtplan.config.yaml.tree import Mapping, Origin

TWO = (
    RECIPE.replace("agg_workers: 1", "agg_workers: 2")
    + "environment: {A: 'x y', B: \"1\\n2\"}\nsetup_script: fix.sh\n"
)


@pytest.fixture
def quiet(site: Site) -> Site:
    """A site that records every call of a Slurm command."""
    for name in ("sbatch", "scontrol", "scancel", "squeue"):
        site.program(name, "exit 1")
    return site


def section(text: str, title: str) -> list[str]:
    """The lines of a section of the output."""
    lines = text.split("\n")
    begin = next(n for n, line in enumerate(lines) if line.startswith(title))
    end = next((n for n, line in enumerate(lines) if n > begin and not line.strip()), len(lines))
    return lines[begin + 1 : end]


def test_nothing_is_submitted_or_written(quiet: Site) -> None:
    """No Slurm command is called, no directory is created, and the exit code is 0."""
    recipe = quiet.recipe()
    before = set(quiet.folder.rglob("*"))
    done = quiet.run("dry-run", "-f", recipe, "-y", "--tags", "a")
    assert done.returncode == 0
    assert done.stderr == "1 job, nothing was submitted\n"
    assert (quiet.called, set(quiet.folder.rglob("*"))) == ([], before)


def test_a_job_in_full(quiet: Site) -> None:
    """The output has directives, nodes, mounts with their origin, every command, and sbatch's command line."""
    profile = "default_mounts: {/data: /data}\noutput_dir: /lustre/runs\n"
    quiet.recipe(profile, "srtslurm.yaml")
    text = quiet.run("dry-run", "-f", quiet.recipe(TWO)).stdout
    assert "  --job-name=tiny" in section(text, "SBATCH")
    assert any("agg_0 agg_1" in line for line in section(text, "NODES"))
    assert any(line.split() == ["/data", "/data", "profile"] for line in section(text, "MOUNTS"))
    commands = "\n".join(section(text, "COMMANDS"))
    for step in ("nats", "etcd", "agg_0", "agg_1", "frontend_0", "benchmark"):
        assert f"  {step}, on node 0: " in commands
    assert "    srun --overlap " in commands
    assert (
        "    setup::script fix.sh\n    python3 -m dynamo.mocker\n      --model-path acme/tiny\n" in commands
    )
    assert "    concurrency_2:\n" in commands
    (sbatch, where) = section(text, "SUBMISSION")
    assert sbatch.split()[:4] == [
        "sbatch",
        "--parsable",
        "--hold",
        "--output=/lustre/runs/%j/logs/srtplan-%j.log",
    ]
    assert where.endswith("/lustre/runs/JOB_ID")


def test_the_environment_by_scope(quiet: Site) -> None:
    """Variables of all workers are listed once, a worker's own with its name; a value stays on one line."""
    text = quiet.run("dry-run", "-f", quiet.recipe(TWO)).stdout
    rows = [tuple(line.split(None, 2)) for line in section(text, "ENVIRONMENT")]
    assert rows[0] == ("scope", "variable", "value")
    lines = section(text, "ENVIRONMENT")
    assert sum("agg workers" in line and " A " in line and line.endswith("x y") for line in lines) == 1
    assert ("agg_0", "CUDA_VISIBLE_DEVICES", "0,1,2,3") in rows
    assert ("agg_1", "CUDA_VISIBLE_DEVICES", "4,5,6,7") in rows
    assert ("frontend_0", "A", "x y") in rows
    assert ("frontend_0", "B", "1\\n2") in rows


def test_several_jobs_begin_with_a_table(quiet: Site) -> None:
    """The table has number, name and differing values; then each job follows in full."""
    text = quiet.run("dry-run", "-f", quiet.recipe(VARIANTS)).stdout
    assert [line.split() for line in section(text, "JOBS")] == [
        ["#", "name", "nodes", "parameters"],
        ["1", "tiny_small", "1", "isl=32", "osl=8"],
        ["2", "tiny_large", "1", "isl=64", "osl=4"],
    ]
    assert text.count("\nCOMMANDS") == 2
    assert "==== 2 of 2: tiny_large ====" in text


def test_a_directory_names_its_recipes(quiet: Site) -> None:
    """Jobs of several files are listed with their file; an invalid recipe is reported, and the others are shown."""
    quiet.recipe(RECIPE, "all/a.yaml")
    quiet.recipe(RECIPE, "all/b.yaml")
    quiet.recipe(BROKEN, "all/c.yaml")
    done = quiet.run("dry-run", "-f", "all")
    assert done.returncode == 1
    assert [line.split() for line in section(done.stdout, "JOBS")] == [
        ["#", "name", "nodes", "recipe", "parameters"],
        ["1", "tiny", "1", "all/a.yaml"],
        ["2", "tiny", "1", "all/b.yaml"],
    ]
    assert "all/c.yaml:3" in done.stderr


def test_an_invalid_recipe_is_rejected(quiet: Site) -> None:
    """As with apply, one invalid recipe stops all: no job is shown, and the exit code is 1."""
    done = quiet.run("dry-run", "-f", quiet.recipe(RECIPE, "a.yaml"), "-f", quiet.recipe(BROKEN, "b.yaml"))
    assert (done.returncode, done.stdout) == (1, "")


def test_json(quiet: Site) -> None:
    """The output has one line per job with its plan, and a line with the error of an invalid recipe."""
    quiet.recipe(VARIANTS, "all/a.yaml")
    quiet.recipe(BROKEN, "all/b.yaml")
    done = quiet.run("dry-run", "--json", "-f", "all", "-o", "/runs")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["status"] for line in lines] == ["error", "dry-run", "dry-run"]
    assert [line["plan"]["name"] for line in lines[1:]] == ["tiny_small", "tiny_large"]
    assert {line["output_base"] for line in lines[1:]} == {"/runs"}
    assert done.returncode == 1


def trees(*texts: str) -> list[Mapping]:
    """The parsed documents."""
    parsed = [parse(Origin("x", text)) for text in texts]
    return [tree for tree in parsed if isinstance(tree, Mapping)]


def test_parameters_have_the_shortest_unique_name() -> None:
    """A parameter is named by its key, with parent keys if that is ambiguous; the job's name is not a parameter."""
    one = "{name: a, p: {tp: 1, x: 1}, d: {tp: 1, list: [1]}, only: 1}"
    two = "{name: b, p: {tp: 2, x: 1}, d: {tp: 2, list: [1, 2]}}"
    assert parameters(trees(one, two)) == [
        "p.tp=1 d.tp=1 list=[1] only=1",
        "p.tp=2 d.tp=2 list=[1, 2] only=-",
    ]


def test_equal_jobs_have_no_parameters() -> None:
    """A single job, or jobs that differ only in their name, have no parameters."""
    assert parameters(trees("{name: a, b: 1}")) == [""]
    assert parameters(trees("{name: a, b: 1}", "{name: b, b: 1}")) == ["", ""]
