"""reporting, observability, telemetry, identity: what they become, and the warnings for the rest."""

from __future__ import annotations

from documents import SMALL, Folder

from srtplan.ir.recipe import Observability, Reporting

STATUS = (
    "reporting: {status: {endpoint: 'https://a.org/', endpoints: ['https://b.org/x', 'https://a.org']}}\n"
)


def test_endpoints_are_base_urls_each_once(folder: Folder) -> None:
    """One endpoint and several add up; a slash at the end does not make another one."""
    job = folder.job(SMALL + STATUS)
    assert job.recipe.reporting == Reporting(endpoints=("https://a.org", "https://b.org/x"))
    assert not job.warnings.problems


def test_the_profile_reports_for_recipes_that_do_not_say(folder: Folder) -> None:
    """The profile's section is the default as a whole: a recipe's own replaces it."""
    profile = "reporting: {status: {endpoint: 'http://site:8080'}}\n"
    assert folder.job(SMALL, profile=profile).recipe.reporting.endpoints == ("http://site:8080",)
    own = folder.job(SMALL + STATUS, profile=profile).recipe.reporting
    assert "http://site:8080" not in own.endpoints
    none = folder.job(SMALL + "reporting: {}\n", profile=profile).recipe.reporting
    assert none.endpoints == ()


def test_a_fault_of_the_profiles_endpoint_is_shown_there(folder: Folder) -> None:
    """The line of srtslurm.yaml, not one of the recipe; and no password on the screen."""
    profile = "cluster: c\nreporting: {status: {endpoint: 'http://me:hunter2@site'}}\n"
    (problem,) = folder.problems(SMALL, profile=profile)
    assert (problem.rule, problem.file, problem.line) == ("SP235", "srtslurm.yaml", 2)
    assert "hunter2" not in problem.message


def test_observability_becomes_two_switches(folder: Folder) -> None:
    """Spans in the logs and spans by OTLP are enabled independently."""
    text = SMALL + "observability: {enable_otel: true, otel_endpoint: 'http://otel:4317'}\n"
    expected = Observability(enabled=False, otel=True, otel_endpoint="http://otel:4317")
    job = folder.job(text)
    assert job.recipe.observability == expected
    assert not job.warnings.problems


def test_what_is_switched_off_is_not_warned_about(folder: Folder) -> None:
    """A recipe that disables scraping, builds and sampling causes no warning."""
    off = "observability: {enabled: true, scrape_metrics: false, build_dashboard: false, tachometer: {enabled: false}}"
    job = folder.job(f"{SMALL}{off}\ntelemetry: {{enabled: false, required: true}}\nreporting: null\n")
    assert job.recipe.observability.enabled
    assert not job.warnings.problems


def test_every_part_that_is_not_done_has_its_own_warning(folder: Folder) -> None:
    """Scraping, dashboard and tachometer are three features."""
    job = folder.job(SMALL + "observability: {enabled: true, tachometer: {enabled: true}}\n")
    assert [p.rule for p in job.warnings] == ["SP133"] * 3
    for part in ("scrape_metrics", "build_dashboard", "observability.tachometer"):
        assert sum(f"'{part}'" in p.message for p in job.warnings) == 1, part
