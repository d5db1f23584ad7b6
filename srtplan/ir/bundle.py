"""The Bundle: files with their content and mode, before they are written."""

from __future__ import annotations

from attrs import frozen

from srtplan.ir.noun import Noun


@frozen(kw_only=True, eq=False, repr=False)
class BundleFile(Noun):
    """One file; ``path`` is relative to the bundle, with ``/``."""

    path: str
    content: bytes
    executable: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class Bundle(Noun):
    """All files of a bundle, including MANIFEST.sha256, sorted by path."""

    name: str
    files: tuple[BundleFile, ...]

    def text(self, path: str) -> str:
        """Return a file as text. Raises KeyError if there is none."""
        return {f.path: f for f in self.files}[path].content.decode()
