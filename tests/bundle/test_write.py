"""Writing: complete or not at all, and never over anybody else's files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from attrs import evolve
from plans import disaggregated, nats, plan

from srtplan.bundle import write as writing
from srtplan.bundle.render import MANIFEST, render
from srtplan.bundle.write import WriteError, write
from srtplan.ir.bundle import Bundle

ROOT = Path(__file__).resolve().parents[2]


def first() -> Bundle:
    """One bundle."""
    return render(disaggregated())


def second() -> Bundle:
    """Another one, with fewer files."""
    return render(plan(nats()))


def tree(folder: Path) -> dict[str, bytes]:
    """Files below a folder with their content."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def content(bundle: Bundle) -> dict[str, bytes]:
    """Files of a bundle with their content."""
    return {f.path: f.content for f in bundle.files}


def test_a_bundle_is_written_as_it_is(tmp_path: Path) -> None:
    """Every file has its bytes and mode, parents are created, and nothing else is left."""
    write(first(), tmp_path / "a" / "b")
    assert tree(tmp_path / "a" / "b") == content(first())
    assert os.access(tmp_path / "a" / "b" / "job.sh", os.X_OK)
    assert not os.access(tmp_path / "a" / "b" / "plan.json", os.X_OK)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    """The same bundle leaves the directory alone: same inodes, same times."""
    target = tmp_path / "b"
    assert write(first(), target)
    before = _stamps(target)
    assert not write(first(), target)
    assert _stamps(target) == before


def _stamps(target: Path) -> dict[Path, tuple[int, int, int]]:
    """What changes with a file: its inode, and when its bytes and its entry were changed."""
    stats = {p: p.stat() for p in [target, *target.rglob("*")]}
    return {p: (s.st_ino, s.st_mtime_ns, s.st_ctime_ns) for p, s in stats.items()}


def test_another_bundle_replaces_it(tmp_path: Path) -> None:
    """Files that the new bundle has not are gone."""
    write(first(), tmp_path / "b")
    assert write(second(), tmp_path / "b")
    assert tree(tmp_path / "b") == content(second())
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_a_changed_mode_is_a_change(tmp_path: Path) -> None:
    """A launcher that lost its executable bit is rewritten."""
    write(first(), tmp_path / "b")
    (tmp_path / "b" / "job.sh").chmod(0o644)
    assert write(first(), tmp_path / "b")
    assert os.access(tmp_path / "b" / "job.sh", os.X_OK)


def test_without_an_exchange_two_renames_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system cannot swap directories the result is the same."""
    monkeypatch.setattr(writing.ctypes, "CDLL", lambda *_a, **_k: object())
    write(first(), tmp_path / "b")
    write(second(), tmp_path / "b")
    assert tree(tmp_path / "b") == content(second())
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def _foreign_folder(target: Path) -> str:
    (target / "notes.txt").parent.mkdir()
    (target / "notes.txt").write_text("mine")
    return "not a bundle"


def _foreign_file(target: Path) -> str:
    write(first(), target)
    (target / "steps" / "mine.sh").write_text("mine")
    return "steps/mine.sh is not part of the bundle"


def _edited_file(target: Path) -> str:
    write(first(), target)
    (target / "job.sh").write_text("mine")
    return "job.sh was edited"


def _edited_manifest(target: Path) -> str:
    write(first(), target)
    (target / MANIFEST).write_text("mine")
    return "is not part of the bundle"


def _link_inside(target: Path) -> str:
    write(first(), target)
    (target / "steps" / "nats_0.sh").unlink()
    (target / "steps" / "nats_0.sh").symlink_to("/etc/passwd")
    return "is not a regular file"


def _link_to_a_folder_inside(target: Path) -> str:
    write(first(), target)
    (target / "more").symlink_to("/etc")
    return "is not a regular file"


def _link(target: Path) -> str:
    write(first(), target.with_name("real"))
    target.symlink_to(target.with_name("real"))
    return "is a link"


def _file(target: Path) -> str:
    target.write_text("mine")
    return "is not a directory"


@pytest.mark.parametrize(
    "prepare",
    [
        _foreign_folder,
        _foreign_file,
        _edited_file,
        _edited_manifest,
        _link_inside,
        _link_to_a_folder_inside,
        _link,
        _file,
    ],
)
def test_foreign_files_are_not_replaced(tmp_path: Path, prepare: object) -> None:
    """A directory with foreign or edited files is rejected and left unchanged."""
    target = tmp_path / "b"
    says = prepare(target)  # type: ignore[operator]
    before = tree(tmp_path)
    with pytest.raises(WriteError, match=says):
        write(second(), target)
    assert tree(tmp_path) == before


def test_an_empty_directory_is_accepted(tmp_path: Path) -> None:
    """An existing empty directory is accepted."""
    (tmp_path / "b").mkdir()
    write(first(), tmp_path / "b")
    assert tree(tmp_path / "b") == content(first())


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    """A bundle that cannot be written completely is not written at all, and its draft is gone."""
    write(first(), tmp_path / "b")
    odd = second()
    odd = evolve(odd, files=(*odd.files, evolve(odd.files[0], path="x/" + "y" * 300)))
    with pytest.raises(WriteError, match="cannot write"):
        write(odd, tmp_path / "b")
    assert tree(tmp_path / "b") == content(first())
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


LOOP = """
import sys; sys.path[:0] = [{root!r}, {here!r}]
from pathlib import Path
from test_write import first, second, write
print("ready", flush=True)
while True:
    write(first(), Path({target!r})); write(second(), Path({target!r}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.001, 0.004, 0.009, 0.016, 0.023, 0.031])
def test_killed_at_any_moment(tmp_path: Path, after: float) -> None:
    """Whenever the writer is killed, the directory is one complete bundle or the other."""
    target = tmp_path / "b"
    script = LOOP.format(root=str(ROOT), here=str(Path(__file__).parent), target=str(target))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        while not target.exists():
            time.sleep(0.001)
        time.sleep(after)
        writer.send_signal(signal.SIGKILL)
    assert tree(target) in (content(first()), content(second()))
    write(first(), target)
    assert tree(target) == content(first())
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("where", ["../b", "x/../../b", "/b", "../out2"])
def test_nothing_is_written_outside_of_the_root(tmp_path: Path, where: str) -> None:
    """A path that leads outside the root is rejected, and no directory is created."""
    with pytest.raises(WriteError, match="is outside"):
        write(first(), tmp_path / "out" / where, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", [".", "b", "a/b", "../out/b"])
def test_the_root_and_directories_below_it_are_accepted(tmp_path: Path, where: str) -> None:
    """The root itself may be a link, however the place below it is spelled."""
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    target = tmp_path / "out" / where
    assert write(first(), target, tmp_path / "out")
    assert tree(target) == content(first())
    assert not write(first(), target, tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "real").is_dir()


@pytest.mark.parametrize("where", ["link", "link/b", "a/link/b"])
def test_no_link_below_the_root_is_followed(tmp_path: Path, where: str) -> None:
    """A link on the path is rejected and named, even if it is broken."""
    for to in ("elsewhere", "gone"):
        root = tmp_path / to
        link = root / where.removesuffix("/b")
        link.parent.mkdir(parents=True)
        (tmp_path / "elsewhere" / "target").mkdir(parents=True, exist_ok=True)
        link.symlink_to(tmp_path / "elsewhere" / "target" if to == "elsewhere" else tmp_path / "nowhere")
        with pytest.raises(WriteError, match="link is a link"):
            write(first(), root / where, root)
    assert list((tmp_path / "elsewhere" / "target").iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


def test_a_place_inside_of_a_bundle_is_refused(tmp_path: Path) -> None:
    """A bundle with another one in it would not run."""
    write(first(), tmp_path / "b")
    for where in ("more", "steps/more"):
        with pytest.raises(WriteError, match="b is a bundle"):
            write(second(), tmp_path / "b" / where, tmp_path)
    assert tree(tmp_path / "b") == content(first())


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    """Drafts of this place and machine go if their process is gone; no other's, no link, and nobody's folder."""
    with subprocess.Popen(["sleep", "60"]) as lives, subprocess.Popen(["true"]) as gone:
        gone.wait()
        host = os.uname().nodename
        dead = f".b.{host}.{gone.pid}.0"
        kept = {f".b.{host}.{lives.pid}.0", f".b.elsewhere.{gone.pid}.0", f".c.{host}.{gone.pid}.0",
                f".b.{host}.{gone.pid}", f"x.b.{host}.{gone.pid}.0"}  # fmt: skip
        for name in (dead, *kept):
            (tmp_path / name).mkdir()
            (tmp_path / name / "job.sh").touch()
        link = f".b.{host}.{gone.pid}.1"
        (tmp_path / link).symlink_to(tmp_path / dead)
        if os.geteuid() == 0:
            foreign = f".b.{host}.{gone.pid}.2"
            (tmp_path / foreign).mkdir()
            os.chown(tmp_path / foreign, 65534, 65534)
            kept.add(foreign)
        write(first(), tmp_path / "b")
        assert {p.name for p in tmp_path.iterdir()} == {"b", link, *kept}
        lives.kill()
