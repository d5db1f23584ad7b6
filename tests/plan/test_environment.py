"""The submitter's environment: env_from, the secrets file, and --export."""

from __future__ import annotations

import pytest
from made import plan, recipe, rules

from srtplan.bundle.job import render_job
from srtplan.bundle.launcher import render_step
from srtplan.ir.plan import Plan
from srtplan.plan.show import scopes
from srtplan.plan.show.serialise import to_data

pytestmark = pytest.mark.usefixtures("alone")
TOKENS = ["HF_TOKEN", "WANDB_API_KEY"]
HUB = {"model": {"path": "hf:acme/tiny"}, "environment": {"HF_HOME": "/cache"}}


def holders(made: Plan) -> set[str]:
    """Names of the steps that get the secrets."""
    return {s.name for s in made.steps if s.env_from == tuple(TOKENS)}


def test_secrets_are_for_what_runs_the_model_and_its_clients() -> None:
    """Workers, frontends, the benchmark and the download of a hub's model; services, nginx and other preparations not."""
    made = plan(
        recipe(env_from=TOKENS, benchmark={"type": "sa-bench", "isl": 8, "osl": 8, "concurrencies": [1]})
    )
    assert holders(made) == {"prefill_0", "decode_0", "frontend_0", "benchmark"}
    assert {s.name for s in made.steps} - holders(made) == {"nats", "etcd", "nginx"}
    assert "fetch_model" in holders(plan(recipe(env_from=TOKENS, **HUB)))
    staged = plan(recipe(env_from=TOKENS, model={"stage_dir": "/raid/models"}))
    assert "stage_model" in {s.name for s in staged.steps} - holders(staged)


def test_job_and_launcher_name_the_secrets_of_each_step() -> None:
    """A row of STEPS ends with the secrets of the step, job.sh does not export them, and the launcher names them."""
    made = plan(recipe(env_from=TOKENS))
    job = render_job(made).splitlines()
    rows = {line.split()[0].strip("'"): line for line in job if line.startswith("  '")}
    assert rows["decode_0"].endswith(" HF_TOKEN,WANDB_API_KEY'")
    assert "HF_TOKEN" not in rows["nats"]
    assert job.index('export -n "${SECRETS[@]}" # only the steps that list a secret receive it') < job.index(
        "main() {"
    )
    launchers = {s.name: render_step(s) for s in made.steps}
    assert "ENV_FROM=(HF_TOKEN WANDB_API_KEY)\n" in launchers["decode_0"]
    assert "ENV_FROM" not in launchers["nats"]


@pytest.mark.parametrize(
    ("given", "compiled", "printed"),
    [
        (None, "~/.srtplan-secrets", "~/.srtplan-secrets"),
        ("~/my keys", "~/my keys", "~/'my keys'"),
        ("/etc/$NAME/keys", "/etc/site/keys", "/etc/site/keys"),
    ],
)
def test_the_file_of_secrets(
    given: str | None, compiled: str, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The profile names it; variables are replaced while compiling, the home where the job runs."""
    monkeypatch.setenv("NAME", "site")
    made = plan(recipe(env_from=TOKENS), profile={"secrets_file": given})
    assert made.secrets_file == compiled == to_data(made)["secrets_file"]
    assert f"readonly SECRETS_FILE={printed}\n" in render_job(made)


@pytest.mark.parametrize(
    "path", ["secrets", "", "~", "~other/keys", "~/", "/etc/", "/a\nb", "$NONE_SUCH/keys"]
)
def test_an_invalid_path_is_rejected(path: str) -> None:
    """With its own rule, or that of a variable that is not set; not with both."""
    assert rules(recipe(), profile={"secrets_file": path}) == ["SP212" if "$" in path else "SP304"]


@pytest.mark.parametrize(
    ("directive", "export"),
    [
        ("ALL", ("ALL",)), ("all", ("ALL",)), ("NONE", ("NONE",)), ("none", ("NONE",)), ("NIL", ("NIL",)), ("A,B_1", ("A", "B_1")),
        ("ALL,A=1", ("ALL", "A")), ("A=x y,B", ("A", "B")), ("A='1,2',B", ("A", "B")), ("", ("ALL",)),
    ],
)  # fmt: skip
def test_export_of_a_directive(directive: str, export: tuple[str, ...]) -> None:
    """Words as sbatch reads them, without values; the recipe's win over the profile's."""
    made = plan(
        recipe(sbatch_directives={"export": directive}),
        profile={"default_sbatch_directives": {"export": "OTHER"}},
    )
    assert made.export == export
    assert to_data(made)["export"] == list(export)
    words = ",".join(export)
    assert f"readonly EXPORT={words if len(export) == 1 else repr(words)} #" in render_job(made)


def test_the_profile_may_keep_everything_out() -> None:
    """``default_sbatch_directives: {export: NONE}`` is for all recipes; without it all passes."""
    profile = {"default_sbatch_directives": {"export": "NONE"}}
    assert plan(recipe(), profile=profile).export == ("NONE",)
    assert plan(recipe()).export == ("ALL",)


def test_the_table_lists_inherited_variables() -> None:
    """The table of dry-run names what reaches every step where not all does, and where a secret can come from then."""
    said = scopes.environment(plan(recipe(env_from=TOKENS, sbatch_directives={"export": "NONE"})))
    assert any(line.split()[:4] == ["every", "step", "PATH", "HOME"] for line in said)
    assert any(line.split()[-3:] == ["HF_TOKEN", "(from", "~/.srtplan-secrets)"] for line in said)
    said = scopes.environment(plan(recipe(env_from=TOKENS)))
    assert not any("every step" in line for line in said)
    assert any(line.endswith("(from the submitter's environment or ~/.srtplan-secrets)") for line in said)
