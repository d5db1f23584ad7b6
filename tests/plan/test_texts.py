"""Any text anywhere in a recipe or profile gives a bundle or an error with a position, never an internal error."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from made import Recipe, aggregated, planned, recipe

from srtplan import pipeline
from srtplan.diagnostics import InputError

pytestmark = pytest.mark.usefixtures("alone")
Path = tuple[str | int, ...]

CHANGES: dict[str, Callable[[str], str]] = {
    "tab": lambda s: s + "\tx",
    "line": lambda s: s + "\nx",
    "empty": lambda _: "",
    "colon": lambda s: s + ":x",
    "comma": lambda s: s + ",x",
    "relative": lambda _: "../x",
    "separator": lambda s: s + "\N{LINE SEPARATOR}x",
}
STORE = {"container": "/x.sqsh", "env": {"A": "B"}, "master_extra_args": ["x"]}
BENCHMARKS: tuple[Recipe, ...] = (
    {"type": "sa-bench", "isl": 8, "osl": 8, "concurrencies": [1], "dataset_path": "/d", "custom_tokenizer": "/t",
     "container_image": "/c.sqsh"},
    {"type": "gsm8k", "dataset_path": "/d", "container_image": "/c.sqsh"},
    {"type": "trace-replay", "trace_file": "/t", "concurrencies": [1]},
    {"type": "custom", "command": "x", "container_image": "a:b", "env": {"A": "b"}},
)  # fmt: skip


def documents() -> Iterator[Recipe]:
    """Recipes that have a text in every section."""
    yield recipe(
        "vllm",
        slurm={"account": "a", "partition": "p", "time_limit": "01:00:00"},
        backend={"mooncake_kv_store": STORE, "vllm_config": {"decode": {"kv-transfer-config": "mooncake"}},
                 "decode_environment": {"A": "b"}, "decode_extra_args": ["--x"]},
        frontend={"nginx_container": "/n.sqsh", "nginx_keepalive_timeout": "6s", "args": {"a": "b"}, "env": {"A": "b"},
                  "nginx_session_affinity": True, "nginx_session_affinity_header": "X-A"},
        dynamo={"hash": "0123456789", "cargo_patches": ['x = "1"']},
        environment={"B": "{node}"}, env_from=["C"], container_mounts={"/a": "/b"}, extra_mount=["/c:/d:ro"],
        srun_options={"mem": "0"}, sbatch_directives={"mem": "0"}, setup_script="x.sh",
        observability={"enable_otel": True, "otel_endpoint": "http://x:1"},
        reporting={"status": {"endpoint": "http://x"}},
    )  # fmt: skip
    for benchmark in BENCHMARKS:
        yield recipe("sglang", benchmark=benchmark) | {"resources": aggregated(1, 1)}
    yield recipe("mocker", model={"path": "hf:a/b", "stage_dir": "/s"}, environment={"HF_HOME": "/h"})


PROFILE: Recipe = {
    "cluster": "c", "default_account": "a", "default_partition": "p", "default_time_limit": "01:00:00",
    "default_gpu_type": "g", "default_bash_preamble": "x", "network_interface": "eth0", "srtctl_root": "/r",
    "output_dir": "/o", "runtime": "pyxis", "model_paths": {"m": "/m"}, "containers": {"c": "/c"},
    "default_mounts": {"/a": "/b"}, "default_sbatch_directives": {"mem": "0"}, "env_from": ["X"],
}  # fmt: skip


def texts(value: Any, path: Path = ()) -> Iterator[Path]:
    """Paths of all texts of a document."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts(inner, (*path, step))


def changed(document: Recipe, path: Path, change: Callable[[str], str]) -> Recipe:
    """The document with one text changed."""
    result: Any = copy.deepcopy(document)
    section = result
    for step in path[:-1]:
        section = section[step]
    section[path[-1]] = change(section[path[-1]])
    return yaml.safe_load(yaml.safe_dump(result))  # type: ignore[no-any-return]


def places(data: Recipe, profile: Recipe | None = None) -> list[int]:
    """The lines of what is wrong with a recipe; none if its bundle can be written."""
    try:
        pipeline.bundle(planned(data, profile=profile).plan)
    except InputError as error:
        return [p.line for p in error.report]
    return []


@pytest.mark.parametrize("name", CHANGES)
def test_any_text_of_a_recipe(name: str) -> None:
    """A tab, a line break, a separator of mounts or an empty text gives a bundle or an error at its position."""
    seen = 0
    for document in documents():
        for path in texts(document):
            found = places(changed(document, path, CHANGES[name]))
            assert 0 not in found, path
            seen += bool(found)
    assert seen > 5


@pytest.mark.parametrize("name", CHANGES)
def test_any_text_of_a_profile(name: str) -> None:
    """The same for texts of the profile."""
    found = [places(recipe(), changed(PROFILE, path, CHANGES[name])) for path in texts(PROFILE)]
    assert all(0 not in lines for lines in found)
    assert any(found)
