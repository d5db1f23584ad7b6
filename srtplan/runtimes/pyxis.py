"""Pyxis and enroot: the image and the mounts are options of srun."""

from __future__ import annotations

from srtplan.plugin import Container, Mount, Runtime, SrunOption, Word, override, word


class Pyxis(Runtime, name="pyxis"):
    """The Pyxis runtime."""

    @override
    def srun(self, container: Container, mounts: tuple[Mount, ...]) -> tuple[SrunOption, ...]:
        """Return ``--container-image`` and related options, without the image's entry point or the user's home."""
        options = [
            SrunOption(name="container-image", value=word(container.image)),
            SrunOption(name="no-container-entrypoint"),
            SrunOption(name="no-container-mount-home"),
        ]
        if container.remap_root:
            options.append(SrunOption(name="container-remap-root"))
        if mounts:
            options.append(SrunOption(name="container-mounts", value=_mounts(mounts)))
        return tuple(options)


def _mounts(mounts: tuple[Mount, ...]) -> Word:
    items: list[str | Word] = []
    for n, m in enumerate(mounts):
        items += [*([","] if n else []), m.source, ":", m.target]
        items += [f":{m.flags}"] if m.flags else []
    return word(*items)


PLUGIN = Pyxis()
