"""The view of a container: this machine's files, with the step's mounts at their places inside.

In: ``--container-mounts``. Out: a private mount namespace in which the calling process (a task, before its exec) finds
``/logs``, ``/model`` and so on. A source that this machine does not have, such as the cluster's model directory, is
what ``absent`` holds for it, or an empty folder. Needs root or unprivileged user namespaces; without either, simulated
programs map the paths of their argv themselves (``simulated/naming.py``), and shell scripts that name such paths do
not find them.
"""

import contextlib
import ctypes
import os
from pathlib import Path

from srtplan.rehearsal.slurm.state import State, write

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000


class Mount:
    """One entry of --container-mounts: ``SOURCE[:TARGET[:FLAGS]]``."""

    def __init__(self, source: str, target: str, *, is_read_only: bool) -> None:
        self.source, self.target, self.is_read_only = source, target, is_read_only


def mounts(text: str) -> list[Mount]:
    """Return the entries of a --container-mounts value. Raises ValueError with pyxis's text for a bad one."""
    found = []
    for entry in filter(None, text.split(",")):
        source, target, flags, *_ = [*entry.split(":"), "", ""]
        if not source or (target and not target.startswith("/")):
            raise ValueError(f"Invalid --container-mounts argument: {entry}")
        found.append(Mount(source, target or source, is_read_only="ro" in flags.split("+")))
    return found


def probe(state: State) -> None:
    """Note in the state whether containers have their own view of the files, unless its settings decide that."""
    kind = state.setting("containers", "") or ("namespaces" if _is_possible() else "paths")
    write(state.folder / "containers", kind)


def _is_possible() -> bool:
    """Tell, by trying in a child, whether this user may have mount namespaces here."""
    pid = os.fork()
    if pid == 0:
        try:
            _unshare()
            _mount("tmpfs", "/tmp", "tmpfs", 0)  # noqa: S108 (in the child's own namespace, which ends at once)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def enter(root: Path, entries: list[Mount], absent: Path) -> None:
    """Give this process the view of a container.

    ``root`` is an empty folder to build it on; ``absent`` has, by target, what stands for sources that do not exist.
    Raises OSError.
    """
    _unshare()
    _mount("tmpfs", str(root), "tmpfs", 0)
    view = _View(root, absent)
    view.add(sorted(entries, key=lambda one: one.target.count("/")))
    os.chroot(root)


def _unshare() -> None:
    """Take a mount namespace of our own, in a user namespace with the same ids unless we are root."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWNS) != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")
    _mount("none", "/", None, MS_REC | MS_PRIVATE)


def _mount(source: str, target: str, kind: str | None, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [os.fsencode(word) if word is not None else None for word in (source, target, kind)]
    if libc.mount(*words, ctypes.c_ulong(flags), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def _bind(source: Path, target: Path) -> None:
    _mount(str(source), str(target), None, MS_BIND | MS_REC)


class _View:
    """The file tree that is being built below ``root``. Directories in ``own`` are ours; the others are the host's."""

    def __init__(self, root: Path, absent: Path) -> None:
        self.root, self.absent = root, absent
        self.own: set[Path] = set()
        self._borrow(Path("/"), root)

    def _borrow(self, folder: Path, target: Path) -> None:
        """Fill ``target``, a fresh tmpfs, with what the host has in ``folder``."""
        self.own.add(target)
        for entry in sorted(folder.iterdir()):
            place = target / entry.name
            with contextlib.suppress(OSError):  # what may not be seen or bound is left out
                if entry.is_symlink():
                    place.symlink_to(entry.readlink())
                elif entry.is_dir():
                    place.mkdir()
                    _bind(entry, place)
                else:
                    place.touch()
                    _bind(entry, place)

    def add(self, entries: list[Mount]) -> None:
        """Put mounts at their places, all places first: making one may rebuild the folder around it."""
        sources = [self._source(entry) for entry in entries]
        places = [
            self._place(Path(e.target), is_folder=s.is_dir()) for e, s in zip(entries, sources, strict=True)
        ]
        for entry, source, place in zip(entries, sources, places, strict=True):
            if not place.exists():  # inside a mount before it; enroot makes it there, too
                place.mkdir(parents=True)
            _bind(source, place)
            if entry.is_read_only:
                with contextlib.suppress(OSError):  # flags of the host's own mount may be locked
                    _mount("none", str(place), None, MS_REMOUNT | MS_BIND | MS_RDONLY)

    def _source(self, entry: Mount) -> Path:
        """Return what is mounted; for what this machine does not have a stand-in, or an empty folder or file."""
        source, inside = Path(entry.source), entry.target.strip("/")
        if source.exists():
            return source
        if (self.absent / inside).exists():
            return self.absent / inside
        source = self.root / ".missing" / inside.replace("/", "_")
        source.parent.mkdir(exist_ok=True)
        if source.suffix:
            source.touch()
        else:
            source.mkdir(exist_ok=True)
        return source

    def _place(self, target: Path, *, is_folder: bool) -> Path:
        """Return the mount point for a target; make it, without writing to a folder of the host."""
        place = self.root
        parts = target.parts[1:]
        for index, part in enumerate(parts):
            parent, place = place, place / part
            if place.exists():
                place = self._resolved(place)
                continue
            if parent not in self.own:
                _mount("tmpfs", str(parent), "tmpfs", 0)
                self._borrow(Path("/") / parent.relative_to(self.root), parent)
            if is_folder or index < len(parts) - 1:
                place.mkdir()
                self.own.add(place)
            else:
                place.touch()
        return place

    def _resolved(self, place: Path) -> Path:
        """Follow a link as it will be read after chroot: ``/lib -> usr/lib``, ``/var/run -> /run``."""
        for _ in range(8):
            if not place.is_symlink():
                break
            link = place.readlink()
            place = self.root / link.relative_to("/") if link.is_absolute() else place.parent / link
        return place
