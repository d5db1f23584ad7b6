"""A status service that records the requests it receives, on a local port.

It has an address that is no simulated node's and not 127.0.0.1, which means the node itself there.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ADDRESS = "127.0.0.2"


class StatusService:
    """Answers every PUT and POST below ``url``; ``delay`` seconds late, with ``status`` if one is given."""

    def __init__(self, *, delay: float = 0, status: int | None = None) -> None:
        self.heard: list[tuple[str, str, dict[str, Any]]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(delay)
                service.heard.append((self.command, self.path, json.loads(body)))
                self.send_response(status or (201 if self.command == "POST" else 200))
                self.end_headers()

            do_POST = do_PUT  # noqa: N815 -- the server's name for it

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer((ADDRESS, 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{ADDRESS}:{self.server.server_port}"

    @property
    def reports(self) -> list[dict[str, Any]]:
        """The bodies of all PUTs."""
        return [body for verb, _, body in self.heard if verb == "PUT"]

    def said(self) -> list[tuple[str, str]]:
        """Status and stage of all PUTs."""
        return [(body["status"], body["stage"]) for body in self.reports]

    def __enter__(self) -> StatusService:  # noqa: PYI034 -- Self is not in Python 3.10
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
