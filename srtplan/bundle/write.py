"""Bundle to directory, the only place that writes.

The directory appears complete or not at all: everything is written beside it first and then renamed. What stands
there already is replaced only if it is a bundle whose files are those of its own manifest: no file of anybody else,
no edit, no link. Writing the same bundle again changes nothing on disk.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import stat
from pathlib import Path

from srtplan.bundle.render import MANIFEST
from srtplan.ir.bundle import Bundle

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class WriteError(Exception):
    """The bundle cannot be written there; the message says why and what to do."""


def write(bundle: Bundle, directory: Path) -> bool:
    """Write a bundle and return whether anything changed on disk; raises WriteError.

    Parents are made as needed. ``directory`` may be missing, empty, or an unedited bundle.
    """
    directory = Path(os.path.abspath(directory))  # noqa: PTH100 -- resolve() would follow a link
    _check_replaceable(directory)
    if _holds(directory, bundle):
        return False
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        draft = _new_folder(directory)
    except OSError as error:
        raise WriteError(f"cannot write beside {directory}: {error.strerror}") from error
    try:
        _fill(draft, bundle)
        _put_in_place(draft, directory)
    except OSError as error:
        raise WriteError(f"cannot write {directory}: {error.strerror}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return True


def _check_replaceable(directory: Path) -> None:
    """Raise WriteError unless nothing of value stands at the target."""
    if directory.is_symlink():
        raise WriteError(f"{directory} is a link; give the directory it leads to")
    if not directory.exists():
        return
    if not directory.is_dir():
        raise WriteError(f"{directory} exists and is not a directory")
    present = _listing(directory)
    if not present:
        return
    if MANIFEST not in present:
        raise WriteError(f"{directory} is not empty and not a bundle of srtplan; choose another directory")
    known = _known(directory / MANIFEST)
    for path, mode in sorted(present.items()):
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise WriteError(f"{directory / path} is not a plain file; remove it first")
        if stat.S_ISREG(mode) and path != MANIFEST and path not in known:
            raise WriteError(f"{directory / path} is not part of the bundle; move it away first")
        if path in known and _sha256(directory / path) != known[path]:
            raise WriteError(
                f"{directory / path} was edited; copy what you need and remove {directory} first"
            )


def _listing(directory: Path) -> dict[str, int]:
    """Mode of every entry below a directory, by relative path; links are not followed."""
    found: dict[str, int] = {}
    for folder, folders, files in os.walk(directory, followlinks=False):
        for name in (*folders, *files):
            path = Path(folder, name)
            found[path.relative_to(directory).as_posix()] = path.lstat().st_mode
    return found


def _known(manifest: Path) -> dict[str, str]:
    """Checksums by path; lines that are none are left out, so that their files count as foreign."""
    lines = manifest.read_text(encoding="utf-8", errors="replace").splitlines()
    return {path: digest for digest, sep, path in (line.partition("  ") for line in lines) if sep}


def _holds(directory: Path, bundle: Bundle) -> bool:
    """Tell whether the directory is this bundle already, modes included."""
    if not directory.is_dir():
        return False
    present = {path for path, mode in _listing(directory).items() if stat.S_ISREG(mode)}
    return present == {f.path for f in bundle.files} and all(
        (directory / f.path).read_bytes() == f.content
        and os.access(directory / f.path, os.X_OK) == f.executable
        for f in bundle.files
    )


def _new_folder(directory: Path) -> Path:
    """Make a folder beside the target that nobody else uses."""
    number = 0
    while True:
        draft = directory.with_name(f".{directory.name}.{os.getpid()}.{number}")
        try:
            draft.mkdir()
        except FileExistsError:
            number += 1
        else:
            return draft


def _fill(draft: Path, bundle: Bundle) -> None:
    for folder in {(draft / f.path).parent for f in bundle.files}:
        folder.mkdir(parents=True, exist_ok=True)
    for file in bundle.files:
        with open(draft / file.path, "xb", opener=_executable if file.executable else None) as handle:
            handle.write(file.content)


def _executable(path: str, flags: int) -> int:
    return os.open(path, flags, 0o777)


def _put_in_place(draft: Path, directory: Path) -> None:
    """Rename the draft to its place; what stood there ends up as the draft, to be removed by the caller."""
    try:
        draft.rename(directory)
    except OSError:
        _exchange(draft, directory)


def _exchange(draft: Path, directory: Path) -> None:
    """Swap two directories in one step (renameat2, Linux 3.15); by two renames where the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    swap = getattr(libc, "renameat2", None)
    if swap and swap(_AT_FDCWD, os.fsencode(draft), _AT_FDCWD, os.fsencode(directory), _RENAME_EXCHANGE) == 0:
        return
    old = _new_folder(directory)
    directory.rename(old)
    draft.rename(directory)
    old.rename(draft)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
