"""Precedence of profile, recipe and ``--set``, and the position of each value."""

from __future__ import annotations

import pytest
from documents import Folder

from srtplan.config.variants.layers import merge
from srtplan.config.yaml.parse import parse
from srtplan.config.yaml.tree import Mapping, Origin, data, spot
from srtplan.ir.data import freeze

PROFILE = """\
cluster: c
default_account: acct
default_partition: part
default_time_limit: "04:00:00"
default_gpu_type: gb200
gpus_per_node: 4
default_sbatch_directives: {mem: "0", comment: profile}
default_health_check: {max_attempts: 7}
default_mounts: {$DATA/cache: /cache}
default_bash_preamble: ulimit -n 65536
model_paths: {r1: /models/r1}
containers: {sgl: /images/sgl.sqsh, nginx: /images/nginx.sqsh}
use_segment_sbatch_directive: false
nginx_raise_ulimit: true
use_het_jobs: true
network_interface: eth1
output_dir: $DATA/runs
runtime: none
ports: {http: 6100, http_stride: 32}
"""
RECIPE = """\
name: x
model: {path: r1, container: sgl, precision: fp8}
resources: {agg_nodes: 1, agg_workers: 1}
frontend: {nginx_container: nginx}
backend: {type: mocker}
"""


def mapping(text: str) -> Mapping:
    """Parse a text to a mapping."""
    node = parse(Origin("f", text))
    assert isinstance(node, Mapping)
    return node


def test_the_profile_sets_defaults(folder: Folder) -> None:
    """Account, partition, time limit, GPUs, directives, health check and mounts come from the profile."""
    recipe = folder.job(RECIPE, profile=PROFILE, DATA="/lustre").recipe
    assert recipe.slurm.account == "acct"
    assert recipe.slurm.partition == "part"
    assert recipe.slurm.time_limit == "04:00:00"
    assert (recipe.resources.gpu_type, recipe.resources.gpus_per_node) == ("gb200", 4)
    assert recipe.resources.het_jobs is True
    assert recipe.sbatch_directives == (("mem", "0"), ("comment", "profile"))
    assert recipe.health_check.max_attempts == 7
    assert recipe.frontend.nginx_raise_ulimit is True
    assert [(m.source, m.target, m.origin) for m in recipe.mounts] == [("/lustre/cache", "/cache", "profile")]


def test_the_site_comes_from_the_profile(folder: Folder) -> None:
    """Settings that are not defaults of a recipe become the Site."""
    site = folder.job(RECIPE, profile=PROFILE, DATA="/lustre").recipe.site
    assert (site.cluster, site.network_interface, site.runtime) == ("c", "eth1", "none")
    assert (site.output_dir, site.bash_preamble) == ("/lustre/runs", "ulimit -n 65536")
    assert (site.gpus_per_node_directive, site.segment_directive) == (True, False)
    assert (site.ports.http, site.ports.http_stride, site.ports.nats) == (6100, 32, 4222)


def test_aliases_are_replaced_by_their_values(folder: Folder) -> None:
    """Aliases of model, image and nginx image are replaced; the position of the value is in the profile."""
    job = folder.job(RECIPE, profile=PROFILE, DATA="/lustre")
    assert job.recipe.model.path == "/models/r1"
    assert job.recipe.model.container == "/images/sgl.sqsh"
    assert job.recipe.frontend.nginx_container == "/images/nginx.sqsh"
    assert str(spot(job.tree, ("model", "path"))) == "srtslurm.yaml:11"
    assert str(spot(job.tree, ("model", "path"), on_key=True)) == "recipe.yaml:2"


def test_the_recipe_overrides_the_profile(folder: Folder) -> None:
    """A value of the recipe overrides the profile; directives are merged key by key."""
    text = (
        RECIPE + "slurm: {account: mine}\nsbatch_directives: {mem: 5G}\nhealth_check: {interval_seconds: 1}\n"
    )
    recipe = folder.job(text, profile=PROFILE, DATA="/lustre").recipe
    assert (recipe.slurm.account, recipe.slurm.partition) == ("mine", "part")
    assert recipe.sbatch_directives == (("mem", "5G"), ("comment", "profile"))
    assert (recipe.health_check.max_attempts, recipe.health_check.interval_seconds) == (180, 1)


def test_a_null_value_means_the_default(folder: Folder) -> None:
    """``account: null`` means the default, the same as a missing key."""
    text = RECIPE + "slurm: {account: null}\nsbatch_directives:\n"
    recipe = folder.job(text, profile=PROFILE, DATA="/lustre").recipe
    assert recipe.slurm.account == "acct"
    assert recipe.sbatch_directives[0] == ("mem", "0")


def test_an_empty_default_is_ignored(folder: Folder) -> None:
    """``default_account: ""`` means Slurm's default."""
    text = RECIPE.replace("agg_nodes", "gpu_type: x, agg_nodes").replace("r1", "/m").replace("sgl", "/i")
    text = text.replace("nginx}", "/n}")
    recipe = folder.job(text, profile='default_account: ""\n').recipe
    assert recipe.slurm.account is None


def test_no_profile_is_needed(folder: Folder, small: str) -> None:
    """A complete recipe loads without a profile; account and partition are unset."""
    recipe = folder.job(small).recipe
    assert (recipe.slurm.account, recipe.slurm.partition, recipe.slurm.time_limit) == (None, None, "01:00:00")
    assert recipe.site.runtime == "pyxis"


@pytest.mark.parametrize("text", ["00:90:00", "0-100", "2:75:61", "90", "UNLIMITED"])
def test_time_limits_of_slurm_are_accepted(folder: Folder, small: str, text: str) -> None:
    """Slurm accepts more than 59 minutes or seconds, and more than 23 hours of a day."""
    assert folder.job(f"{small}slurm: {{time_limit: '{text}'}}\n").recipe.slurm.time_limit == text


def test_a_problem_of_a_default_is_in_the_profile(folder: Folder) -> None:
    """The reported line is in the profile, and the help for an unknown alias names the nearest one."""
    found = folder.problems(RECIPE, profile=PROFILE.replace("04:00:00", "soon"), DATA="/x")
    assert [(p.file, p.line, p.rule) for p in found] == [("srtslurm.yaml", 4, "SP208")]
    found = folder.problems(RECIPE.replace("path: r1", "path: r2"), profile=PROFILE, DATA="/x")
    assert [(p.file, p.line, p.rule) for p in found] == [("recipe.yaml", 2, "SP213")]
    assert "r1" in found[0].help


def test_problems_of_profile_and_recipe_are_reported_together(folder: Folder, small: str) -> None:
    """Both files are reported in one run."""
    found = folder.problems(small + "helth: 1\n", profile="clutser: x\n")
    assert [(p.file, p.rule) for p in found] == [("recipe.yaml", "SP110"), ("srtslurm.yaml", "SP110")]


def test_a_profile_with_syntax_errors_is_an_error(folder: Folder, small: str) -> None:
    """YAML that cannot be parsed, or is a list, is an error."""
    assert [p.rule for p in folder.problems(small, profile="a: [\n")] == ["SP103"]
    assert [p.rule for p in folder.problems(small, profile="- a\n")] == ["SP107"]


def test_an_empty_profile_is_valid(folder: Folder, small: str) -> None:
    """A profile with only comments is valid."""
    assert folder.job(small, profile="# nothing yet\n").recipe.slurm.account is None


MERGES = [
    ("{a: 1}", "{b: 2}", {"a": 1, "b": 2}),
    ("{a: 1}", "{a: 2}", {"a": 2}),
    ("{a: {x: 1, y: 1}}", "{a: {y: 2, z: 3}}", {"a": {"x": 1, "y": 2, "z": 3}}),
    ("{a: [1, 2]}", "{a: [3]}", {"a": [3]}),
    ("{a: {x: 1}}", "{a: 5}", {"a": 5}),
    ("{a: 5}", "{a: {x: 1}}", {"a": {"x": 1}}),
    ("{a: 1, b: 2}", "{a: null}", {"b": 2}),
    ("{a: {x: 1, y: 2}}", "{a: {x: null}}", {"a": {"y": 2}}),
    ("{}", "{a: {x: null, y: 1}}", {"a": {"y": 1}}),
]


@pytest.mark.parametrize(("below", "above", "merged"), MERGES)
def test_merging_of_overrides(below: str, above: str, merged: dict[str, object]) -> None:
    """Mappings are merged by key, everything else is replaced, and null deletes."""
    assert data(merge(mapping(below), mapping(above), null_deletes=True)) == freeze(merged)
