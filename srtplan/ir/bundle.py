"""The Bundle: files with their content and mode, before they are written."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class BundleFile:
    """One file; ``path`` is relative to the bundle, with ``/``."""

    path: str
    content: bytes
    executable: bool = False


@frozen(kw_only=True)
class Bundle:
    """All files of a bundle, including MANIFEST.sha256, sorted by path."""

    name: str
    files: tuple[BundleFile, ...]

    def text(self, path: str) -> str:
        """Return a file as text. Raises KeyError if there is none."""
        return {f.path: f for f in self.files}[path].content.decode()
