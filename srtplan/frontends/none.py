"""No frontend: the only aggregated worker of an engine with an HTTP interface serves on the public port."""

from __future__ import annotations

from srtplan.frontends._direct import Direct

PLUGIN = Direct()
