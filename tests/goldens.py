"""The golden files of a compiled example.

In: a case and its bundle. Out: paths below ``golden/<case>/`` with their content. Every case has ``plan.txt``. The cases of
``WHOLE`` also have ``bundle/`` with ``job.sh``, ``steps/`` and ``files/``, and one of them has ``plan.json``. Files that are
equal in every bundle (``lib/``, ``stop``) or that repeat others (``MANIFEST.sha256``, digests in ``plan.json``) are asserted
instead of stored.
"""

from __future__ import annotations

import re
from pathlib import Path

from srtplan.ir.bundle import Bundle

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "golden"
CASES = tuple(sorted(p.stem for p in (ROOT / "examples").glob("*.yaml")))
WHOLE = ("quickstart", "sglang-router-1p1d", "sglang-wide-ep")
WITH_JSON = "quickstart"
"""The only case with ``plan.json``, which repeats ``job.sh``, the launchers and ``plan.txt``."""
DIGEST = re.compile(rb'("sha256": ")[0-9a-f]{64}"')


def is_static(path: str) -> bool:
    """Whether a file of a bundle is an unchanged copy from ``templates/``."""
    return path == "stop" or path.startswith("lib/")


def masked(plan_json: bytes) -> bytes:
    """``plan.json`` with a fixed word for every digest, because a comment in a recipe changes only the digest."""
    return DIGEST.sub(rb'\1masked"', plan_json)


def files(case: str, bundle: Bundle) -> dict[str, bytes]:
    """The golden files of a case by path below ``golden/<case>/``."""
    content = {f.path: f.content for f in bundle.files}
    out = {"plan.txt": content.pop("plan.txt")}
    if case in WHOLE:
        del content["MANIFEST.sha256"]
        content["plan.json"] = masked(content["plan.json"])
        if case != WITH_JSON:
            del content["plan.json"]
        out |= {f"bundle/{path}": text for path, text in content.items() if not is_static(path)}
    return out
