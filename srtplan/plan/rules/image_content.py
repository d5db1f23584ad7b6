"""Files that only the image can provide, so that the preflight cannot check them (SP216)."""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import plugin
from srtplan.diagnostics import Finding, Path
from srtplan.ir.recipe import Recipe
from srtplan.plan.launch.mounts import is_mounted
from srtplan.plan.launch.steps import installs_dynamo
from srtplan.plan.readiness.preflight import CONFIGS, WHEELS


def check(recipe: Recipe) -> Iterable[Finding]:
    """Warn about files that must be in the image because nothing is mounted at their folders (SP216)."""
    if not plugin.runtime(recipe.site.runtime).maps_paths:
        return
    wanted: list[tuple[Path, str, tuple[str, ...]]] = []
    if script := recipe.setup_script:
        wanted.append((("setup_script",), script, (f"{CONFIGS}/{script}", f"{CONFIGS}/patches/{script}")))
    if installs_dynamo(recipe) and (wheel := recipe.dynamo.wheel):
        wanted.append((("dynamo", "wheel"), wheel, (WHEELS, f"{CONFIGS}/dynamo-wheels", CONFIGS)))
    for path, value, places in wanted:
        if not any(is_mounted(recipe, place) for place in places):
            yield Finding(
                rule="SP216",
                path=path,
                severity="warning",
                message=f"'{value}' must be in the image: nothing is mounted at {' or '.join(places)}",
                help="set `srtctl_root:` in the cluster profile, or mount a folder at /configs",
            )
