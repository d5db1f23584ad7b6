"""No frontend: the one aggregated worker of an engine with an HTTP interface serves at the public port itself."""

from __future__ import annotations

from srtplan.frontends._direct import Direct

PLUGIN = Direct()
