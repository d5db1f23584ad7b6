"""Passing a request on to a server behind, the answer back as it comes.

In: a URL and a body. Out: a Response: a stream where the server streams, else its JSON.
"""

import json

from srtplan.rehearsal.simulated import webclient
from srtplan.rehearsal.simulated.naming import Naming
from srtplan.rehearsal.simulated.webserver import Json, Response


async def forward(naming: Naming, url: str, value: Json, headers: dict[str, str] | None = None) -> Response:
    """Post ``value`` to ``url``; 503 if nothing answers there."""
    try:
        answer = await webclient.send(naming, url, value, headers)
        if "event-stream" in answer.headers.get("content-type", ""):
            return Response(stream=answer.chunks(), status=answer.status)
        body = await answer.body()
    except (OSError, EOFError) as error:
        return Response(
            {"error": {"message": f"{url}: {error}", "type": "service_unavailable", "code": 503}}, 503
        )
    try:
        return Response(json.loads(body or b"null"), answer.status)
    except ValueError:
        return Response(text=body.decode(errors="replace"), status=answer.status)
