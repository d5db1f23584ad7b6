"""Write a Bundle to a directory; the only module that writes bundles.

The directory appears complete or not at all: it is written under a temporary name and then renamed. An existing
directory is replaced only if it is an unedited bundle: all its files match its manifest, and it contains no other file
and no link. Writing the same bundle again changes nothing on disk.

Nothing is written outside the root, the directory that the user named: neither through ``..`` in a name nor through a
link below the root. The root itself may be a link.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import stat
from pathlib import Path

from srtplan.bundle.render import MANIFEST
from srtplan.ir.bundle import Bundle

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class WriteError(Exception):
    """The bundle cannot be written; the message gives the reason and a remedy."""


def write(bundle: Bundle, directory: Path, root: Path | None = None) -> bool:
    """Write a bundle and return whether anything changed on disk; raises WriteError.

    Creates parent directories as needed. ``directory`` must be missing, empty, or an unedited bundle, and be ``root`` or
    lie below it. ``root`` defaults to the parent of ``directory``.
    """
    directory = check(directory, root)
    _remove_drafts(directory)
    if _holds(directory, bundle):
        return False
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        draft = _new_folder(directory)
    except OSError as error:
        raise WriteError(f"cannot write to {directory.parent}: {error.strerror}") from error
    try:
        _fill(draft, bundle)
        _put_in_place(draft, directory)
    except OSError as error:
        raise WriteError(f"cannot write {directory}: {error.strerror}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return True


def check(directory: Path, root: Path | None = None) -> Path:
    """Return the real path of a directory if a bundle may be written there, else raise WriteError; writes nothing."""
    try:
        directory = _below(directory, directory.parent if root is None else root)
        _check_replaceable(directory)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise WriteError(f"cannot write {directory}: {reason}") from error
    return directory


def _below(directory: Path, root: Path) -> Path:
    """The real path of a directory below the root; raises WriteError for a link on the way."""
    absolute, top = (Path(os.path.abspath(p)) for p in (directory, root))  # noqa: PTH100 -- resolve() follows links
    if not absolute.is_relative_to(top):
        raise WriteError(f"{directory} is outside {root}")
    if re.search(r"[\x00-\x1f\x7f]", str(absolute)):
        raise WriteError(
            f"{str(directory)!r} contains control characters, which Slurm does not accept in a path"
        )
    place = Path(os.path.realpath(top))
    for part in absolute.relative_to(top).parts:
        if (place / MANIFEST).exists() and (place / "job.sh").exists():
            raise WriteError(f"{place} is a bundle; choose a directory outside it")
        place /= part
        if place.is_symlink():
            raise WriteError(f"{place} is a link; use the directory that it points to")
    return place


def _check_replaceable(directory: Path) -> None:
    """Raise WriteError if the target contains anything but an unedited bundle."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise WriteError(f"{directory} exists and is not a directory")
    present = _listing(directory)
    if not present:
        return
    if MANIFEST not in present:
        raise WriteError(f"{directory} is not empty and not a bundle; choose another directory")
    known = _known(directory / MANIFEST)
    for path, mode in sorted(present.items()):
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise WriteError(f"{directory / path} is not a regular file; remove it first")
        if stat.S_ISREG(mode) and path != MANIFEST and path not in known:
            raise WriteError(f"{directory / path} is not part of the bundle; move it away first")
        if path in known and _sha256(directory / path) != known[path]:
            raise WriteError(f"{directory / path} was edited; save your changes and remove {directory} first")


def _listing(directory: Path) -> dict[str, int]:
    """Mode of every entry below a directory, by relative path; links are not followed."""
    found: dict[str, int] = {}
    for folder, folders, files in os.walk(directory, followlinks=False):
        for name in (*folders, *files):
            path = Path(folder, name)
            found[path.relative_to(directory).as_posix()] = path.lstat().st_mode
    return found


def _known(manifest: Path) -> dict[str, str]:
    """The checksums of a manifest by path, without malformed lines, so that their files count as foreign."""
    lines = manifest.read_text(encoding="utf-8", errors="replace").splitlines()
    return {path: digest for digest, sep, path in (line.partition("  ") for line in lines) if sep}


def _holds(directory: Path, bundle: Bundle) -> bool:
    """Return whether the directory already holds this bundle, including file modes."""
    if not directory.is_dir():
        return False
    present = {path for path, mode in _listing(directory).items() if stat.S_ISREG(mode)}
    return present == {f.path for f in bundle.files} and all(
        (directory / f.path).read_bytes() == f.content
        and os.access(directory / f.path, os.X_OK) == f.executable
        for f in bundle.files
    )


def _remove_drafts(directory: Path) -> None:
    """Remove drafts of this directory whose writer was killed: those of this user on this machine without a process.

    Machines may share the directory, and the processes of another machine are not visible.
    """
    ours = re.compile(rf"\.{re.escape(directory.name)}\.{re.escape(os.uname().nodename)}\.(\d+)\.\d+")
    if not directory.parent.is_dir():
        return
    for entry in os.scandir(directory.parent):
        found = ours.fullmatch(entry.name)
        if found and entry.stat(follow_symlinks=False).st_uid == os.geteuid() and not _runs(int(found[1])):
            shutil.rmtree(entry.path, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _new_folder(directory: Path) -> Path:
    """Create a unique temporary directory next to the target."""
    number = 0
    while True:
        draft = directory.with_name(f".{directory.name}.{os.uname().nodename}.{os.getpid()}.{number}")
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
    """Rename the draft to the target. The old target takes the name of the draft, for the caller to remove."""
    try:
        draft.rename(directory)
    except OSError:
        _exchange(draft, directory)


def _exchange(draft: Path, directory: Path) -> None:
    """Swap two directories atomically (renameat2, Linux 3.15), or with renames if the file system cannot."""
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
