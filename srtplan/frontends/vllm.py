"""The frontend ``none`` under the name that srtctl gives it for vLLM."""

from __future__ import annotations

from srtplan.frontends._direct import Direct


class DirectVLLM(Direct, name="vllm", interfaces=("vllm_http",)):
    """The frontend plugin."""


PLUGIN = DirectVLLM()
