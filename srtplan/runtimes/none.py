"""No container: steps run in the host's environment and see the host's paths. The image of a recipe is not used."""

from __future__ import annotations

from srtplan.plugin import Container, Mount, Runtime, SrunOption, override


class Host(Runtime, name="none", maps_paths=False):
    """The runtime plugin."""

    @override
    def srun(self, container: Container, mounts: tuple[Mount, ...]) -> tuple[SrunOption, ...]:
        """Nothing to add."""
        del container, mounts
        return ()


PLUGIN = Host()
