"""Which files of a compiled example stand under ``golden/``, and in which form.

In: a case and its bundle. Out: paths below ``golden/<case>/`` with their content. Every case has ``plan.txt``, once; the cases of
``WHOLE`` also have ``bundle/`` with ``job.sh``, ``steps/`` and ``files/``, one of them ``plan.json``. What is the same in every bundle (``lib/``,
``stop``) and what only repeats the rest (``MANIFEST.sha256``, digests in ``plan.json``) is asserted instead of stored.
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
"""The case that also keeps ``plan.json``: it says again what ``job.sh``, launchers and ``plan.txt`` say."""
DIGEST = re.compile(rb'("sha256": ")[0-9a-f]{64}"')


def is_static(path: str) -> bool:
    """Whether a file of a bundle is copied from ``templates/`` as it is."""
    return path == "stop" or path.startswith("lib/")


def masked(plan_json: bytes) -> bytes:
    """``plan.json`` with a fixed word for every digest: a recipe's comment changes its digest, and nothing else."""
    return DIGEST.sub(rb'\1masked"', plan_json)


def files(case: str, bundle: Bundle) -> dict[str, bytes]:
    """Golden files of a case by their path below ``golden/<case>/``."""
    content = {f.path: f.content for f in bundle.files}
    out = {"plan.txt": content.pop("plan.txt")}
    if case in WHOLE:
        del content["MANIFEST.sha256"]
        content["plan.json"] = masked(content["plan.json"])
        if case != WITH_JSON:
            del content["plan.json"]
        out |= {f"bundle/{path}": text for path, text in content.items() if not is_static(path)}
    return out
