"""A rehearsal does not report to status services."""

from __future__ import annotations

from site_of_stand_ins import RECIPE, Site
from status_service import StatusService


def test_a_rehearsal_reports_to_nobody(site: Site) -> None:
    """The bundle names a status service, but the rehearsal does not call it."""
    with StatusService() as service:
        recipe = site.recipe(f"{RECIPE}reporting: {{status: {{endpoint: '{service.url}'}}}}\n")
        site.run("compile", recipe, "-o", "bundle")
        assert service.url in (site.folder / "bundle" / "job.sh").read_text()
        assert site.run("rehearse", "bundle").returncode == 0
    assert service.heard == []
