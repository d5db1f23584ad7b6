"""Status services of ``reporting``: told of a job when it is queued; from then on the job tells them itself (report.sh).

srtctl's API: ``POST <service>/api/jobs``. Best effort: all services at once, five seconds each, an answer is only reported.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from http.client import HTTPException

from srtplan import __version__
from srtplan.submit.metadata import utc

TIMEOUT_S = 5


def submitted(services: Iterable[str], metadata: Mapping[str, object]) -> tuple[str, ...]:
    """Tell all services of a new job; what went wrong, a line each."""
    recipe = metadata["recipe"]
    body = {
        "job_id": metadata["job_id"],
        "job_name": metadata["job_name"],
        "submitted_at": metadata["submitted_at"],
        "cluster": metadata["cluster"],
        "recipe": recipe["path"] if isinstance(recipe, Mapping) else None,
        "metadata": metadata,
    }
    return _tell(services, "POST", "/api/jobs", {k: v for k, v in body.items() if v is not None})


def withdrawn(services: Iterable[str], job: str, why: str) -> tuple[str, ...]:
    """Tell them that a job they know of has been cancelled before it could start."""
    now = utc(datetime.now(timezone.utc))
    body = {"status": "failed", "stage": "cleanup", "message": why, "completed_at": now, "updated_at": now}
    return _tell(services, "PUT", f"/api/jobs/{job}", body)


def _tell(services: Iterable[str], verb: str, path: str, body: object) -> tuple[str, ...]:
    urls = [s + path for s in services]
    if not urls:
        return ()
    data = json.dumps(body).encode()
    with ThreadPoolExecutor(len(urls)) as pool:
        return tuple(fault for fault in pool.map(lambda url: _send(verb, url, data), urls) if fault)


def _send(verb: str, url: str, data: bytes) -> str:
    headers = {"Content-Type": "application/json", "User-Agent": f"srtplan/{__version__}"}
    request = urllib.request.Request(url, data=data, method=verb, headers=headers)  # noqa: S310 -- SP235 saw to http
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
            return ""
    except (OSError, ValueError, HTTPException) as error:
        return f"{verb} {url}: {getattr(error, 'reason', '') or error}"
