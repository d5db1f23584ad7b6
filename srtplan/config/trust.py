"""Whether a profile that was found, not named, can be trusted: no other user could have written it.

In: a path. Out: why it cannot be trusted, or "". A profile holds shell text that every step runs, and names of secrets. In
a folder that other users can write to, any of them could plant one. The rule is that of git's ``safe.directory``
(git-config(1), 2.35.2) and of ssh's ``StrictModes`` (sshd_config(5)): the file and its folder belong to the user or root,
and neither the group nor others may write. A sticky folder such as /tmp is allowed: other users can write to it, but
cannot replace the user's file.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

ROOT = 0


def distrust(path: Path) -> str:
    """Return who else could have written a file or its folder, or "". A link is checked together with its target."""
    try:
        real = Path(os.path.realpath(path))
        link = os.lstat(path)
        if stat.S_ISLNK(link.st_mode) and not _is_ours(link.st_uid):
            return f"the link {_belongs(link.st_uid)}"
        return _file(real.stat()) or _folder(real.parent) or _folder(Path(os.path.realpath(path.parent)))
    except OSError as error:
        return f"its owner cannot be determined: {error.strerror}"


def _is_ours(uid: int) -> bool:
    return uid in {os.geteuid(), ROOT}


def _belongs(uid: int) -> str:
    import pwd  # noqa: PLC0415 -- only for the message

    try:
        name = f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        name = f"uid {uid}"
    return f"belongs to {name}, not to you or root"


def _writers(mode: int) -> str:
    """Return who else may write: ``everyone``, ``its group``, or ""."""
    if mode & stat.S_IWOTH:
        return "everyone"
    return "its group" if mode & stat.S_IWGRP else ""


def _file(found: os.stat_result) -> str:
    if not _is_ours(found.st_uid):
        return f"the file {_belongs(found.st_uid)}"
    who = _writers(found.st_mode)
    return f"the file is writable by {who}" if who else ""


def _folder(folder: Path) -> str:
    found = folder.stat()
    if not _is_ours(found.st_uid):
        return f"its folder {folder} {_belongs(found.st_uid)}"
    who = _writers(found.st_mode)
    return f"its folder {folder} is writable by {who}" if who and not found.st_mode & stat.S_ISVTX else ""
