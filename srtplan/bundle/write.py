"""Bundle to directory, the only place that writes.

The directory appears complete or not at all: everything is written beside it first and then renamed. What stands
there already is replaced only if it is a bundle whose files are those of its own manifest: no file of anybody else,
no edit, no link. Writing the same bundle again changes nothing on disk.

Nothing is written outside of a root, the folder that the user named: not by a name with ``..`` in it, and not through a
link below the root. The root itself may be a link, it is the user's.
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
    """The bundle cannot be written there; the message says why and what to do."""


def write(bundle: Bundle, directory: Path, root: Path | None = None) -> bool:
    """Write a bundle and return whether anything changed on disk; raises WriteError.

    Parents are made as needed. ``directory`` may be missing, empty, or an unedited bundle, at ``root`` or below it;
    without a root it is the folder above.
    """
    directory = check(directory, root)
    _remove_drafts(directory)
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


def check(directory: Path, root: Path | None = None) -> Path:
    """The real path of a place where a bundle may be written; raises WriteError for any other, and writes nothing."""
    try:
        directory = _below(directory, directory.parent if root is None else root)
        _check_replaceable(directory)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise WriteError(f"cannot write {directory}: {reason}") from error
    return directory


def _below(directory: Path, root: Path) -> Path:
    """The place below the root's real path, reached without a link."""
    absolute, top = (Path(os.path.abspath(p)) for p in (directory, root))  # noqa: PTH100 -- resolve() follows links
    if not absolute.is_relative_to(top):
        raise WriteError(f"{directory} is outside of {root}")
    if re.search(r"[\x00-\x1f\x7f]", str(absolute)):
        raise WriteError(f"{str(directory)!r} has control characters: Slurm cannot be told of such a place")
    place = Path(os.path.realpath(top))
    for part in absolute.relative_to(top).parts:
        if (place / MANIFEST).exists() and (place / "job.sh").exists():
            raise WriteError(f"{place} is a bundle; nothing can be written into it: choose another directory")
        place /= part
        if place.is_symlink():
            raise WriteError(f"{place} is a link; give the directory it leads to")
    return place


def _check_replaceable(directory: Path) -> None:
    """Raise WriteError unless nothing of value stands at the target."""
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


def _remove_drafts(directory: Path) -> None:
    """Remove what writers of this place left that were killed: this user's, of this machine, whose process is gone.

    A folder may be shared by machines, and a process of another one cannot be seen from here.
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
    """Make a folder beside the target that nobody else uses."""
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
