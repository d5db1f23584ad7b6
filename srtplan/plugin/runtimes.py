"""The container runtime contract: how a step enters its image."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from srtplan.ir.plan import Container, Mount, SrunOption
from srtplan.plugin.base import NoOptions, Plugin, declare


class Runtime(Plugin[NoOptions]):
    """A container runtime."""

    maps_paths: ClassVar[bool] = True
    """Whether mount targets (/model, /logs) exist inside the container; if not, steps see the host's paths."""

    def __init_subclass__(cls, *, name: str, maps_paths: bool = True) -> None:
        super().__init_subclass__()
        declare(cls, Runtime, {"name": name, "maps_paths": maps_paths})

    @abstractmethod
    def srun(self, container: Container, mounts: tuple[Mount, ...]) -> tuple[SrunOption, ...]:
        """Return the srun options for an image and its mounts."""
