"""The sections ``reporting``, ``observability``, ``telemetry`` and ``identity``, and their warnings."""

from __future__ import annotations

from documents import SMALL, Folder

from srtplan.ir.recipe import Observability, Reporting

STATUS = (
    "reporting: {status: {endpoint: 'https://a.org/', endpoints: ['https://b.org/x', 'https://a.org']}}\n"
)


def test_endpoints_are_distinct_base_urls(folder: Folder) -> None:
    """``endpoint`` and ``endpoints`` are combined; a trailing slash makes no difference."""
    job = folder.job(SMALL + STATUS)
    assert job.recipe.reporting == Reporting(endpoints=("https://a.org", "https://b.org/x"))
    assert not job.warnings.problems


def test_the_profile_sets_the_default_of_reporting(folder: Folder) -> None:
    """A section of the recipe replaces the whole section of the profile."""
    profile = "reporting: {status: {endpoint: 'http://site:8080'}}\n"
    assert folder.job(SMALL, profile=profile).recipe.reporting.endpoints == ("http://site:8080",)
    own = folder.job(SMALL + STATUS, profile=profile).recipe.reporting
    assert "http://site:8080" not in own.endpoints
    none = folder.job(SMALL + "reporting: {}\n", profile=profile).recipe.reporting
    assert none.endpoints == ()


def test_an_invalid_endpoint_of_the_profile_is_reported_there(folder: Folder) -> None:
    """The position is in srtslurm.yaml, and the message does not show a password."""
    profile = "cluster: c\nreporting: {status: {endpoint: 'http://me:hunter2@site'}}\n"
    (problem,) = folder.problems(SMALL, profile=profile)
    assert (problem.rule, problem.file, problem.line) == ("SP235", "srtslurm.yaml", 2)
    assert "hunter2" not in problem.message


def test_traces_and_otel_are_independent(folder: Folder) -> None:
    """Spans in the logs and spans over OTLP are enabled separately."""
    text = SMALL + "observability: {enable_otel: true, otel_endpoint: 'http://otel:4317'}\n"
    expected = Observability(enabled=False, otel=True, otel_endpoint="http://otel:4317")
    job = folder.job(text)
    assert job.recipe.observability == expected
    assert not job.warnings.problems


def test_disabled_parts_have_no_warning(folder: Folder) -> None:
    """There is no warning if scraping, dashboard and sampling are switched off."""
    off = "observability: {enabled: true, scrape_metrics: false, build_dashboard: false, tachometer: {enabled: false}}"
    job = folder.job(f"{SMALL}{off}\ntelemetry: {{enabled: false, required: true}}\nreporting: null\n")
    assert job.recipe.observability.enabled
    assert not job.warnings.problems


def test_every_ignored_part_has_a_warning(folder: Folder) -> None:
    """Scraping, dashboard and tachometer each have a warning."""
    job = folder.job(SMALL + "observability: {enabled: true, tachometer: {enabled: true}}\n")
    assert [p.rule for p in job.warnings] == ["SP133"] * 3
    for part in ("scrape_metrics", "build_dashboard", "observability.tachometer"):
        assert sum(f"'{part}'" in p.message for p in job.warnings) == 1, part
