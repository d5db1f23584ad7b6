"""Report a submission to the status services of ``reporting``. Once the job runs, it reports itself (report.sh).

The API is srtctl's: ``POST <service>/api/jobs``. All services are called at once, with a timeout of five seconds. Errors are
returned as text and never fail the submission.
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


def report_submission(services: Iterable[str], metadata: Mapping[str, object]) -> tuple[str, ...]:
    """Report a new job to all services. Returns one line per failed call."""
    recipe = metadata["recipe"]
    body = {
        "job_id": metadata["job_id"],
        "job_name": metadata["job_name"],
        "submitted_at": metadata["submitted_at"],
        "cluster": metadata["cluster"],
        "recipe": recipe["path"] if isinstance(recipe, Mapping) else None,
        "metadata": metadata,
    }
    return _send_to_all(services, "POST", "/api/jobs", {k: v for k, v in body.items() if v is not None})


def report_cancellation(services: Iterable[str], job: str, why: str) -> tuple[str, ...]:
    """Report that a reported job was cancelled before it started. Returns one line per failed call."""
    now = utc(datetime.now(timezone.utc))
    body = {"status": "failed", "stage": "cleanup", "message": why, "completed_at": now, "updated_at": now}
    return _send_to_all(services, "PUT", f"/api/jobs/{job}", body)


def _send_to_all(services: Iterable[str], verb: str, path: str, body: object) -> tuple[str, ...]:
    urls = [s + path for s in services]
    if not urls:
        return ()
    data = json.dumps(body).encode()
    with ThreadPoolExecutor(len(urls)) as pool:
        return tuple(error for error in pool.map(lambda url: _send(verb, url, data), urls) if error)


def _send(verb: str, url: str, data: bytes) -> str:
    headers = {"Content-Type": "application/json", "User-Agent": f"srtplan/{__version__}"}
    request = urllib.request.Request(url, data=data, method=verb, headers=headers)  # noqa: S310 -- SP235 allows only http
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
            return ""
    except (OSError, ValueError, HTTPException) as error:
        return f"{verb} {url}: {getattr(error, 'reason', '') or error}"
