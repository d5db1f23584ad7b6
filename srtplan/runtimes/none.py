"""No container: steps run in the host's environment and see the host's paths. The image of a recipe is not used."""

from __future__ import annotations

from attrs import frozen

from srtplan.ir.plan import Container, Mount, SrunOption


@frozen(eq=False, repr=False)
class Host:
    """The runtime plugin."""

    name: str = "none"
    maps_paths: bool = False

    def srun(self, container: Container, mounts: tuple[Mount, ...]) -> tuple[SrunOption, ...]:
        """Nothing to add."""
        del container, mounts
        return ()


PLUGIN = Host()
