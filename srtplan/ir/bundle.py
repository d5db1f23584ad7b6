"""The Bundle: files with their content and mode, not yet on disk."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class BundleFile:
    """``path`` is relative to the bundle, with ``/``."""

    path: str
    content: bytes
    executable: bool = False


@frozen(kw_only=True)
class Bundle:
    """All files of a bundle, MANIFEST.sha256 included, sorted by path."""

    name: str
    files: tuple[BundleFile, ...]

    def text(self, path: str) -> str:
        """One file as text; KeyError if there is none."""
        return {f.path: f for f in self.files}[path].content.decode()
