"""Lowering of both layouts: every field of the Recipe."""

from __future__ import annotations

import attrs
import pytest
from documents import RICH, RICH2, SMALL, Folder

from srtplan.diagnostics import Finding
from srtplan.ir.data import EMPTY, freeze, thaw
from srtplan.ir.recipe import MountRequest, Recipe, Window


def test_every_section_of_v1_is_lowered(folder: Folder) -> None:
    """Every value of a recipe with all sections is in the Recipe."""
    recipe = folder.job(RICH).recipe
    assert attrs.astuple(recipe.model) == ("/models/r1", "nvcr.io/nvidia/sglang:1.0", "fp8", "/raid/models")
    assert attrs.astuple(recipe.slurm) == ("acct", "part", "02:00:00")
    assert (recipe.dynamo.hash, recipe.dynamo.version, recipe.dynamo.install) == (
        "0123456789abcdef" * 2 + "01234567",
        None,
        True,
    )
    assert (recipe.dynamo.request_plane, recipe.dynamo.event_plane, recipe.dynamo.cargo_patches) == (
        "nats",
        "zmq",
        ('one = "1"',),
    )
    assert attrs.astuple(recipe.health_check) == (20, 5)
    assert attrs.astuple(recipe.infra) == (True, 32)
    assert recipe.profiling.windows == (
        ("prefill", Window(start_step=1, stop_step=2)),
        ("decode", Window(start_step=3, stop_step=9)),
    )
    assert recipe.environment == (("D", "{node}"),)
    assert recipe.srun_options == (("cpu-bind", "none"),)
    assert recipe.sbatch_directives == (("mem", "0"), ("exclusive", ""))
    assert recipe.setup_script == "fix.sh"


def test_mounts_of_v1(folder: Folder) -> None:
    """``extra_mount`` comes first, and each mount has the path of its line."""
    assert folder.job(RICH).recipe.mounts == (
        MountRequest(source="/data", target="/data", flags="ro", origin="recipe", at=("extra_mount", 0)),
        MountRequest(source="/cache", target="/cache", origin="recipe", at=("container_mounts", "/cache")),
    )


def test_roles_of_v1(folder: Folder) -> None:
    """Counts come from ``resources``, options and environment from ``backend``."""
    prefill, decode = folder.job(RICH).recipe.resources.roles
    assert (prefill.mode, prefill.nodes, prefill.workers, prefill.gpus) == ("prefill", 1, 2, 2)
    assert (decode.mode, decode.nodes, decode.workers, decode.gpus) == ("decode", 2, 1, 8)
    assert prefill.env == (("A", "1"), ("B", "x"))
    assert (prefill.extra_args, prefill.kv_events) == (("--x", "1"), EMPTY)
    assert decode.kv_events == freeze({"topic": "t"})
    assert thaw(decode.args) == {"tensor-parallel-size": 8, "list": [1, 2], "nested": {"k": None}}
    assert (decode.args_at, decode.env_at) == (
        ("backend", "sglang_config", "decode"),
        ("backend", "decode_environment"),
    )


def test_frontend_and_benchmark_of_v1(folder: Folder) -> None:
    """Common fields are in the Recipe, all other keys in the options of the plugin."""
    recipe = folder.job(RICH).recipe
    assert (recipe.frontend.type, recipe.frontend.multiple, recipe.frontend.additional) == ("dynamo", True, 2)
    assert (recipe.frontend.dedicated_node, recipe.frontend.nginx_session_affinity) == (True, True)
    assert list(recipe.frontend.args) == ["router-mode", "router-temperature"]
    assert (recipe.benchmark.client_placement, recipe.benchmark.colocate_with_frontend) == (
        "last_decode",
        False,
    )
    options = attrs.asdict(recipe.benchmark.options)  # type: ignore[arg-type]
    assert (options["isl"], options["osl"], options["concurrencies"]) == (1024, 128, (4, 8))


def test_defaults(folder: Folder) -> None:
    """Missing sections have srtctl's defaults."""
    recipe = folder.job(SMALL.replace("backend: {type: mocker}\n", "")).recipe
    assert (recipe.engine.type, recipe.frontend.type, recipe.benchmark.type) == ("sglang", "dynamo", "manual")
    assert (recipe.dynamo.version, recipe.dynamo.request_plane) == ("0.8.0", "tcp")
    assert (recipe.frontend.nginx_container, recipe.frontend.additional) == ("nginx:1.27.4", 9)
    assert attrs.astuple(recipe.health_check) == (180, 10)
    assert recipe.profiling.type == "none"


def test_kv_events_for_all_means_prefill_and_decode(folder: Folder) -> None:
    """``kv_events_config: true`` does not apply to aggregated workers."""
    events = [r.kv_events for r in folder.job(RICH, "backend.kv_events_config=true").recipe.resources.roles]
    assert events == [EMPTY, EMPTY]
    small = folder.job(SMALL.replace("mocker", "sglang"), "backend.kv_events_config=true")
    assert small.recipe.resources.roles[0].kv_events is None


def comparable(recipe: Recipe) -> dict[str, object]:
    """Return a recipe without the paths of its document."""
    plain = attrs.asdict(recipe)
    del plain["source"]
    for part in ("engine", "frontend", "benchmark"):
        del plain[part]["at"]
    for role in plain["resources"]["roles"]:
        for key in ("at", "args_at", "env_at", "extra_args_at", "kv_events_at"):
            del role[key]
    return plain


def test_both_layouts_give_the_same_recipe(folder: Folder) -> None:
    """The same job in v1 and in ``schema: 2`` differs only in the paths."""
    assert comparable(folder.job(RICH2).recipe) == comparable(folder.job(RICH).recipe)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("resources.prefill_nodes", "roles.prefill.nodes"),
        ("backend.type", "engine, and roles"),
        ("frontend.dedicated_node", "frontend.placement.node: dedicated"),
        ("benchmark.client_placement", "benchmark.placement.node"),
        ("dynamo.version", "dynamo.source.pypi"),
    ],
)
def test_a_v1_key_in_schema_2_gets_its_new_name_as_help(folder: Folder, key: str, name: str) -> None:
    """The help for an unknown key that v1 has names the key of schema 2."""
    (problem,) = folder.problems(RICH2, f"{key}=x")
    assert problem.rule == "SP110"
    assert problem.help.startswith(f"in schema 2, write {name}")


def test_roles_of_schema_2_have_more_keys(folder: Folder) -> None:
    """Only schema 2 sets srun options, an image and ``critical`` by role."""
    text = RICH2.replace(
        "    gpus: 8\n",
        "    gpus: 8\n    container: alias\n    critical: false\n    srun_options: {mem: '0'}\n",
    )
    decode = folder.job(text, profile="containers: {alias: /i.sqsh}\n").recipe.resources.roles[1]
    assert (decode.container, decode.critical, decode.srun_options) == ("/i.sqsh", False, (("mem", "0"),))


def test_decode_shares_the_prefill_nodes(folder: Folder) -> None:
    """``colocate`` is the same as ``decode_nodes: 0`` in v1."""
    text = RICH2.replace(
        "nodes: 2\n    workers: 1\n    gpus: 8", "nodes: colocate\n    workers: 1\n    gpus: 2"
    )
    text = text.replace("workers: 2\n", "workers: 1\n    gpus: 2\n")
    decode = folder.job(text).recipe.resources.roles[1]
    assert (decode.nodes, decode.gpus) == (0, 2)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("resources", "decode_nodes"), 20),
        (("infra", "nats_max_payload_mb"), 55),
        (("frontend", "dedicated_node"), 34),
        (("dynamo", "hash"), 36),
        (("backend", "type"), 10),
        (("roles", "decode", "args", "list"), 24),
        (("benchmark", "isl"), 42),
    ],
)
def test_v1_paths_have_positions_in_schema_2(folder: Folder, path: tuple[str, ...], line: int) -> None:
    """A finding at a v1 path is shown at the corresponding key of schema 2."""
    problem = folder.job(RICH2).locate(Finding(rule="SP499", message="x", path=path))
    assert problem.line == line, problem.render()


def test_a_finding_in_the_profile(folder: Folder) -> None:
    """A path that starts with the name of the profile leads into it."""
    job = folder.job(SMALL, profile="cluster: x\nports:\n  http: 6000\n")
    problem = job.locate(Finding(rule="SP499", message="x", path=("srtslurm.yaml", "ports", "http")))
    assert (problem.file, problem.line, problem.column) == ("srtslurm.yaml", 3, 9)
    alone = folder.path / "srtslurm.yaml"
    alone.unlink()
    problem = folder.job(SMALL).locate(
        Finding(rule="SP499", message="x", path=("srtslurm.yaml", "ports", "http"))
    )
    assert (problem.file, problem.line) == ("srtslurm.yaml", 0)


def test_warnings_do_not_prevent_a_job(folder: Folder) -> None:
    """A job has its warnings in source order."""
    job = folder.job(SMALL + "enable_config_dump: true\noutput: {}\n")
    assert [(p.rule, p.severity, p.line) for p in job.warnings] == [
        ("SP132", "warning", 5),
        ("SP132", "warning", 6),
    ]


def test_variables_in_paths_are_expanded(folder: Folder) -> None:
    """``$VAR``, ``${VAR}`` and ``~`` are expanded at compile time."""
    text = SMALL.replace("/models/m", "'$MODELS/${NAME}'").replace("/images/i.sqsh", "~/i.sqsh")
    recipe = folder.job(text, MODELS="/lustre/models", NAME="r1", HOME="/home/me").recipe
    assert (recipe.model.path, recipe.model.container) == ("/lustre/models/r1", "/home/me/i.sqsh")


def test_the_path_of_the_source_is_relative(folder: Folder) -> None:
    """A relative path is unchanged; an absolute path becomes relative to the current directory."""
    from srtplan.config import load  # noqa: PLC0415 -- only here

    path = folder.write(SMALL, "sub/r.yaml")
    for argument in ("sub/r.yaml", str(path), "./sub/r.yaml"):
        (job,) = load(argument, cwd=folder.path, environ={}).jobs
        assert job.recipe.source.path == "sub/r.yaml"
        assert len(job.recipe.source.sha256) == 64


@pytest.mark.parametrize(
    ("key", "name"),
    [("hash", "source.rev"), ("cargo_patches", "patches")],
)
def test_messages_spell_keys_as_in_the_recipe(folder: Folder, key: str, name: str) -> None:
    """A finding on a v1 key names the key of schema 2 if the recipe has that layout."""
    finding = Finding(
        rule="SP499", message=f"'{key}' has no effect: dynamo.{key} is unused", path=("dynamo", key)
    )
    message = f"'{name}' has no effect: dynamo.{name} is unused"
    assert folder.job(RICH2).locate(finding).message == message
    assert folder.job(RICH).locate(finding).message == finding.message


def test_common_keys_are_suggested_for_unknown_keys_of_a_plugin(folder: Folder) -> None:
    """A misspelled common key gets a suggestion, although the options of the plugin are a class of their own."""
    (problem,) = folder.problems(SMALL + "frontend: {nginx_contaner: nginx:1}\n")
    assert problem.help == "did you mean 'nginx_container'?"
