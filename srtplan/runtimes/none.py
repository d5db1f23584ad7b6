"""No container: steps run in the host's environment and see the host's paths. The recipe's image is ignored."""

from __future__ import annotations

from srtplan.plugin import Container, Mount, Runtime, SrunOption, override


class Host(Runtime, name="none", maps_paths=False):
    """The runtime without containers."""

    @override
    def srun(self, container: Container, mounts: tuple[Mount, ...]) -> tuple[SrunOption, ...]:
        """Return no options."""
        del container, mounts
        return ()


PLUGIN = Host()
