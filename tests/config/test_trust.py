"""A profile that is found, not named, is used only if no other user could have written it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from documents import SMALL, Folder

from srtplan.config import load
from srtplan.config.trust import distrust
from srtplan.diagnostics import InputError, Problem

NOBODY = 65534
NAME = "srtslurm.yaml"


@pytest.fixture
def as_root() -> None:
    """Skip unless the test runs as root, who can change owners; fail in CI."""
    if os.geteuid() != 0:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("only root can make files of another user")


@pytest.fixture
def open_folder() -> Iterator[Folder]:
    """A folder that every user may enter, with a recipe and a profile that belong to root."""
    path = Path(tempfile.mkdtemp(prefix="srtplan-trust-"))
    path.chmod(0o755)
    folder = Folder(path)
    folder.write(SMALL, "a/b/recipe.yaml")
    folder.write("default_account: found\n", NAME)
    for entry in (path / "a", path / "a" / "b", path / NAME, path / "a" / "b" / "recipe.yaml"):
        entry.chmod(0o755 if entry.is_dir() else 0o644)
    yield folder
    shutil.rmtree(path)


@contextmanager
def user(uid: int) -> Iterator[None]:
    """Act as another user."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def account(folder: Folder, **named: Path) -> str | None:
    """Return the account from the profile that is found two folders above the recipe."""
    (job,) = load("recipe.yaml", cwd=folder.path / "a" / "b", environ={}, **named).jobs
    return job.recipe.slurm.account


def refused(folder: Folder) -> Problem:
    """Return the problem of a profile that is not trusted."""
    with pytest.raises(InputError) as caught:
        account(folder)
    (problem,) = caught.value.report
    return problem


@pytest.mark.usefixtures("as_root")
def test_a_planted_profile_is_an_error(open_folder: Folder) -> None:
    """A profile of another user is neither used nor ignored; it is used if it is named."""
    os.chown(open_folder.path / NAME, NOBODY, NOBODY)
    problem = refused(open_folder)
    assert (problem.rule, problem.file, problem.severity) == ("SP306", f"../../{NAME}", "error")
    assert "(uid 65534), not to you or root" in problem.message
    assert problem.help.endswith(f"pass --cluster ../../{NAME}")
    assert account(open_folder, cluster=Path(f"../../{NAME}")) == "found"
    (job,) = load(
        "recipe.yaml", cwd=open_folder.path / "a/b", environ={"SRTSLURM_CONFIG": f"../../{NAME}"}
    ).jobs
    assert job.recipe.slurm.account == "found"


@pytest.mark.usefixtures("as_root")
def test_a_refused_profile_does_not_hide_problems_of_the_recipe(open_folder: Folder) -> None:
    """The problems of the recipe are reported together with the profile's."""
    os.chown(open_folder.path / NAME, NOBODY, NOBODY)
    open_folder.write(SMALL + "colour: red\n", "a/b/recipe.yaml")
    with pytest.raises(InputError) as caught:
        account(open_folder)
    assert {p.rule for p in caught.value.report} > {"SP306"}


@pytest.mark.usefixtures("as_root")
def test_the_search_stops_at_an_untrusted_profile(open_folder: Folder) -> None:
    """The search ends at the first profile, trusted or not."""
    near = open_folder.write("default_account: near\n", f"a/{NAME}")
    os.chown(near, NOBODY, NOBODY)
    assert refused(open_folder).file == f"../{NAME}"


@pytest.mark.usefixtures("as_root")
def test_profiles_of_root_and_of_the_user_are_trusted(open_folder: Folder) -> None:
    """A profile of root or of the user is used; that of a third user is refused."""
    profile = open_folder.path / NAME
    with user(NOBODY):
        assert account(open_folder) == "found"
    for place in (open_folder.path, profile):
        os.chown(place, NOBODY, NOBODY)
    with user(NOBODY):
        assert account(open_folder) == "found"
    with user(12345):
        assert "not to you or root" in refused(open_folder).message
    os.chown(profile, 0, 0)
    with user(12345):
        assert f"its folder {open_folder.path} belongs to" in refused(open_folder).message


@pytest.mark.parametrize(
    ("file", "directory", "why"),
    [
        (0o644, 0o755, ""),
        (0o600, 0o700, ""),
        (0o664, 0o755, "the file is writable by its group"),
        (0o646, 0o755, "the file is writable by everyone"),
        (0o644, 0o775, "is writable by its group"),
        (0o644, 0o777, "is writable by everyone"),
        (0o644, 0o1777, ""),
        (0o666, 0o1777, "the file is writable by everyone"),
    ],
)
def test_a_writable_profile_is_refused(open_folder: Folder, file: int, directory: int, why: str) -> None:
    """Neither the file nor its folder may be writable by other users, unless the folder is sticky."""
    (open_folder.path / NAME).chmod(file)
    open_folder.path.chmod(directory)
    assert bool(distrust(open_folder.path / NAME)) == bool(why)
    if why:
        assert why in refused(open_folder).message
    else:
        assert account(open_folder) == "found"


def test_a_link_is_checked_with_its_target(open_folder: Folder) -> None:
    """The target, its folder and the folder of the link are checked."""
    profile, link = open_folder.path / NAME, open_folder.path / "a" / NAME
    link.symlink_to(profile)
    assert account(open_folder) == "found"
    open_folder.path.chmod(0o777)
    assert "is writable by everyone" in refused(open_folder).message
    open_folder.path.chmod(0o755)
    (open_folder.path / "a").chmod(0o777)
    assert "is writable by everyone" in refused(open_folder).message


@pytest.mark.usefixtures("as_root")
def test_a_link_of_another_user_is_not_followed(open_folder: Folder) -> None:
    """In a sticky folder, such a link could lead to a profile for another cluster."""
    (open_folder.path / "a").chmod(0o1777)
    link = open_folder.path / "a" / NAME
    link.symlink_to(open_folder.path / NAME)
    assert account(open_folder) == "found"
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    assert "the link belongs to" in refused(open_folder).message
