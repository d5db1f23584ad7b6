"""The frontend ``none`` under srtctl's name for it, for vLLM workers."""

from __future__ import annotations

from srtplan.frontends._direct import Direct


class DirectVLLM(Direct, name="vllm", interfaces=("vllm_http",)):
    """The frontend ``vllm``, which runs no process."""


PLUGIN = DirectVLLM()
