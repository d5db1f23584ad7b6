"""apply on the stand-in cluster: submitted jobs, files, output and rejected recipes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from site_of_stand_ins import BROKEN, HELD, RECIPE, VARIANTS, Site
from status_service import StatusService

UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_a_job_runs_in_its_own_directory(site: Site) -> None:
    """Bundle, log, metadata and run are together; recipe and profile can be removed after the submission."""
    with StatusService() as service:
        reporting = f"reporting: {{status: {{endpoint: '{service.url}'}}}}\n"
        recipe = site.recipe(RECIPE + reporting)
        profile = site.recipe("use_segment_sbatch_directive: false\n", "srtslurm.yaml")
        done = site.apply("-f", recipe, "--tags", "night, night ,x,")
        assert done.returncode == 0, done.stderr
        number = done.stdout.strip()
        recipe.unlink()
        profile.unlink()
        assert site.wait(number) == "COMPLETED"
    folder = site.base / number
    assert (folder / "latest" / "status.json").exists()
    assert "end class=success" in (folder / "logs" / f"srtplan-{number}.log").read_text()
    assert {p.name for p in folder.iterdir()} == {
        "attempt_0", "bundle", "config.yaml", "latest", "logs", f"{number}.json",
    }  # fmt: skip
    assert [p.name for p in site.base.iterdir()] == [number]
    verb, path, body = service.heard[0]
    assert (verb, path, body["job_id"], body["job_name"]) == ("POST", "/api/jobs", number, "tiny")
    assert body["metadata"]["tags"] == ["night", "x"]
    assert body["recipe"] == str(recipe)
    assert service.said()[0] == ("starting", "starting")
    assert service.said()[-1] == ("completed", "cleanup")


def test_all_files_exist_before_the_job_is_released(site: Site) -> None:
    """When scontrol release is called, the bundle is in place and the log exists."""
    site.program(
        "scontrol",
        f'[[ "$1" != release ]] || {{ cd {site.base} && ls -A . "$2" "$2/logs"; }} >{site.folder}/seen; real "$@"',
    )
    done = site.apply("-f", site.recipe(RECIPE))
    number = done.stdout.strip()
    seen = (site.folder / "seen").read_text().split()
    assert set(seen) >= {"bundle", "config.yaml", f"{number}.json", f"srtplan-{number}.log"}
    assert not any(name.startswith(".submit-") for name in seen)
    assert f"scontrol release {number}" in site.called


def test_the_output_of_apply(site: Site) -> None:
    """stdout has only the job id; stderr tells where the logs are and how to follow them."""
    done = site.apply("-f", site.recipe())
    number = done.stdout.strip()
    assert done.stdout == f"{number}\n"
    log = site.base / number / "logs" / f"srtplan-{number}.log"
    assert f"tail -f {log}\n" in done.stderr
    assert log.read_text() == ""
    assert f"{site.base}/{number}/latest/logs" in done.stderr


def test_the_command_line_of_sbatch(site: Site) -> None:
    """The job is submitted on hold, sbatch prints only the job id, and its log is in the job's directory."""
    site.program("sbatch", 'real "$@"')
    done = site.apply("-f", site.recipe())
    assert done.returncode == 0, done.stderr
    (call,) = site.called
    words = call.split()
    assert words[:4] == ["sbatch", "--parsable", "--hold", f"--output={site.base}/%j/logs/srtplan-%j.log"]
    assert re.fullmatch(rf"{site.base}/\.submit-\d+-0/bundle/job\.sh", words[4])


def test_the_environment_of_sbatch(site: Site) -> None:
    """The environment has the output base and the path of the bundle, but not SBATCH_WAIT, which would block."""
    seen = site.folder / "seen"
    site.program(
        "sbatch",
        f'printf "%s\\n" "$SRTPLAN_OUTPUT" "$SRTPLAN_BUNDLE" "${{SBATCH_WAIT-unset}}" >{seen}; real "$@"',
    )
    site.apply("-f", site.recipe(), SBATCH_WAIT="1")
    assert seen.read_text().split() == [str(site.base), f"{site.base}/%j/bundle", "unset"]


def test_json_output_has_a_line_per_job(site: Site) -> None:
    """The keys are srtctl's, and all paths in a line exist."""
    done = site.apply("--json", "-f", site.recipe(VARIANTS), "--tags", "a,b")
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["job_name"] for line in lines] == ["tiny_small", "tiny_large"]
    for line in lines:
        assert (line["status"], line["tags"]) == ("submitted", ["a", "b"])
        assert Path(line["output_dir"]) == site.base / line["slurm_job_id"]
        assert all(Path(line[k]).is_file() for k in ("metadata_path", "config_path", "log_path"))


def test_a_sweep_submits_several_jobs(site: Site) -> None:
    """Each combination is compiled and submitted with its own values."""
    text = HELD.replace("isl: 16", 'isl: "{isl}"') + "sweep: {isl: [16, 32, 64]}\n"
    done = site.apply("-f", site.recipe(text))
    numbers = done.stdout.split()
    assert len(numbers) == len(set(numbers)) == 3
    assert [site.metadata(n)["benchmark"]["isl"] for n in numbers] == [16, 32, 64]
    plans = [(site.base / n / "bundle" / "plan.json").read_text() for n in numbers]
    assert len(set(plans)) == 3


def test_a_selector_and_several_files(site: Site) -> None:
    """``-f`` can be repeated, and can select a variant."""
    site.recipe(VARIANTS, "many.yaml")
    site.recipe(HELD, "one.yaml")
    done = site.apply("-f", "many.yaml:large", "-f", "one.yaml")
    assert [site.metadata(n)["job_name"] for n in done.stdout.split()] == ["tiny_large", "tiny"]


def test_a_recipe_from_standard_input(site: Site) -> None:
    """``-f -`` reads the recipe; its text is in the metadata."""
    recipe = site.recipe()
    script = f'cat {recipe} | exec "$@"'
    done = site.cluster.run(
        ["bash", "-c", script, "bash", *site_cli(), "apply", "-o", str(site.base), "-f", "-"],
        cwd=site.folder,
        env=site.environment(),
    )
    assert done.returncode == 0, done.stderr
    recorded = site.metadata(done.stdout.strip())["recipe"]
    assert (recorded["path"], recorded["text"]) == ("-", HELD)


def site_cli() -> list[str]:
    """The command line of srtplan."""
    from site_of_stand_ins import CLI  # noqa: PLC0415

    return CLI


def test_metadata(site: Site) -> None:
    """The metadata has the recipe's text, and every value after profile, ``--set`` and defaults."""
    site.recipe("cluster: alps\ndefault_account: acct\ndefault_time_limit: '02:00:00'\n", "srtslurm.yaml")
    recipe = site.recipe()
    done = site.apply(
        "-f", recipe, "--set", "benchmark.osl=9", "--setup-script", "fix.sh", "--set", "setup_script=a.sh"
    )
    metadata = site.metadata(done.stdout.strip())
    assert (metadata["version"], metadata["cluster"], metadata["engine"], metadata["frontend"]) == (
        "2.0",
        "alps",
        "mocker",
        "dynamo",
    )
    assert (metadata["job_name"], metadata["setup_script"], metadata["nodes"]) == ("tiny", "fix.sh", 1)
    assert metadata["model"] == {"path": "hf:acme/tiny", "container": "/images/i.sqsh", "precision": "fp8"}
    assert metadata["resources"]["agg_workers"] == 1
    assert metadata["benchmark"] == {"type": "sa-bench", "isl": 16, "osl": 9}
    assert UTC.fullmatch(metadata["submitted_at"])
    source, resolved = metadata["recipe"], metadata["recipe"]["resolved"]
    assert (source["path"], source["text"], source["variant"]) == (str(recipe), HELD, None)
    assert source["set"] == ["benchmark.osl=9", "setup_script=a.sh", 'setup_script="fix.sh"']
    assert resolved["slurm"] == {"account": "acct", "partition": None, "time_limit": "02:00:00"}
    assert resolved["benchmark"]["options"]["osl"] == 9
    assert resolved["sbatch_directives"] == {"hold": ""}
    assert resolved["health_check"] == {"max_attempts": 60, "interval_seconds": 1}
    assert resolved["site"]["ports"]["frontend"] == 8000
    assert "at" not in resolved["engine"]


def test_secrets_stay_out_of_the_records(site: Site) -> None:
    """Neither the metadata nor the copy of the recipe contains a secret."""
    text = (
        HELD
        + "environment: {HF_TOKEN: hf-topsecret, PLAIN: '1'}\nreporting: {s3: {bucket: b, secret_access_key: s3cr3tkey}}\n"
    )
    done = site.apply("-f", site.recipe(text), "--set", "environment.API_KEY=fromset77")
    folder = site.base / done.stdout.strip()
    for path in (folder / "config.yaml", folder / f"{folder.name}.json"):
        written = path.read_text()
        assert "bucket" in written
        for secret in ("hf-topsecret", "s3cr3tkey", "fromset77"):
            assert secret not in written, path
    assert site.metadata(folder.name)["recipe"]["resolved"]["environment"] == {
        "HF_TOKEN": "<secret>", "PLAIN": "1", "API_KEY": "<secret>",
    }  # fmt: skip


@pytest.mark.parametrize("as_json", [False, True])
def test_one_invalid_recipe_stops_all(site: Site, *, as_json: bool) -> None:
    """If one of the named files has an error, no job is submitted, and the error is shown with its position."""
    site.program("sbatch", 'real "$@"')
    site.recipe(HELD, "good.yaml")
    site.recipe(BROKEN, "bad.yaml")
    done = site.apply("-f", "good.yaml", "-f", "bad.yaml", *(["--json"] if as_json else []))
    assert done.returncode == 1
    assert "bad.yaml:3" in done.stderr
    assert "1 job would have been valid" in done.stderr
    assert (site.jobs, site.called, site.listing()) == ({}, [], [])
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["status"], line["recipe"]) for line in lines] == (
        [("error", "bad.yaml")] if as_json else []
    )


def test_one_invalid_variant_stops_all(site: Site) -> None:
    """The variants of a recipe are submitted together or not at all."""
    done = site.apply("-f", site.recipe(VARIANTS + "override_bad: {resources: {agg_workers: 0}}\n"))
    assert (done.returncode, done.stdout, site.jobs) == (1, "", {})


def test_valid_recipes_of_a_directory_are_submitted(site: Site) -> None:
    """Invalid recipes in a directory are reported, the others are submitted, and the exit code is 1."""
    site.recipe(HELD.replace("tiny", "first"), "all/a.yaml")
    site.recipe(BROKEN, "all/sub/b.yml")
    site.recipe(HELD.replace("tiny", "third"), "all/sub/c.yaml")
    done = site.apply("-f", "all")
    assert done.returncode == 1
    assert [site.metadata(n)["job_name"] for n in done.stdout.split()] == ["first", "third"]
    assert "all/sub/b.yml:3" in done.stderr
    assert "2 of 2 jobs submitted, 1 recipe refused" in done.stderr


def test_a_directory_of_invalid_recipes(site: Site) -> None:
    """If all recipes are invalid, nothing is submitted and the exit code is 1 (0 with srtctl)."""
    site.recipe(BROKEN, "all/a.yaml")
    done = site.apply("-f", "all")
    assert (done.returncode, done.stdout, site.listing()) == (1, "", [])


@pytest.mark.parametrize("argv", [["-f", "empty"], ["-f", "-", "-f", "-"], []])
def test_usage_errors(site: Site, argv: list[str]) -> None:
    """An empty directory, repeated standard input and a missing recipe fail with 2 and a message."""
    (site.folder / "empty").mkdir()
    done = site.apply(*argv)
    assert done.returncode == 2
    assert "Error: " in done.stderr


def test_a_base_with_a_percent_sign_is_rejected(site: Site) -> None:
    """Slurm expands ``%x`` and similar patterns in the path of its log."""
    done = site.run("apply", "-f", site.recipe(), "-o", "100%done")
    assert (done.returncode, site.jobs) == (2, {})
    assert "100%done" in done.stderr


def test_the_default_base(site: Site) -> None:
    """Without ``-o``, runs go to the profile's ``output_dir``, else to ``outputs`` in the current directory."""
    recipe = site.recipe()
    first = site.run("apply", "-f", recipe).stdout.strip()
    site.recipe(f"output_dir: {site.folder}/from profile\n", "srtslurm.yaml")
    second = site.run("apply", "-f", recipe).stdout.strip()
    assert (site.folder / "outputs" / first / "bundle" / "job.sh").exists()
    assert (site.folder / "from profile" / second / "bundle" / "job.sh").exists()


def test_a_base_with_spaces_and_quotes(site: Site) -> None:
    """The job finds its bundle and writes its log in such a directory."""
    base = site.folder / 'it\'s a "base" $HOME'
    done = site.run("apply", "-f", site.recipe(RECIPE), "-o", base)
    number = done.stdout.strip()
    assert site.wait(number) == "COMPLETED"
    assert "end class=success" in (base / number / "logs" / f"srtplan-{number}.log").read_text()


def test_a_job_without_the_submitters_environment(site: Site) -> None:
    """With ``--export=NONE``, the job finds its bundle by the submitted path, and writes next to it."""
    text = RECIPE + "sbatch_directives: {export: NONE}\n"
    done = site.apply("-f", site.recipe(text))
    number = done.stdout.strip()
    site.wait(number)
    assert (site.base / number / "attempt_0" / "status.json").exists()


def test_a_recipe_can_keep_its_job_on_hold(site: Site) -> None:
    """With ``sbatch_directives: {hold: ''}``, the job is not released, and the command to release it is shown."""
    site.program("scontrol", 'real "$@"')
    done = site.apply("-f", site.recipe(HELD))
    number = done.stdout.strip()
    assert f"scontrol release {number}" in done.stderr
    assert (site.called, site.jobs) == ([], {number: "PENDING"})
