"""A rehearsal changes nothing that it did not make: made-up content never stands in a place of the user's."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest
from programs import Programs

from srtplan.rehearsal import run as rehearsal
from srtplan.rehearsal.simulation import writing as _writing
from srtplan.rehearsal.slurm.state import State

NOBODY = 65534
TMP = Path("/tmp")  # noqa: S108 (where bundles put their scratch directories)
URL = "https://example.org/trace.jsonl"


@pytest.fixture
def started(programs: Programs) -> dict[str, str]:
    """The variables of a step that a bundle has started."""
    (programs.folder / "attempt_0" / "run").mkdir(parents=True)
    return {"SRT_RUN_DIR": str(programs.folder / "attempt_0"), "SLURM_JOB_ID": "123"}


@pytest.mark.parametrize(
    ("argv", "file"),
    [
        (("curl", "-o", "{}/trace.jsonl", URL), "trace.jsonl"),
        (("wget", "-O", "{}/trace.jsonl", URL), "trace.jsonl"),
        (("git", "clone", "https://example.org/x.git", "{}/x"), "x/lib/bindings/python/Cargo.toml"),
        (("maturin", "build", "--out", "{}/out"), "out/simulated-0-py3-none-any.whl"),
    ],
)
def test_only_the_run_directory_is_written_to(
    programs: Programs, started: dict[str, str], argv: tuple[str, ...], file: str
) -> None:
    """A download goes into the run directory; a shared folder stays as it is, also behind a link."""
    run, shared = Path(started["SRT_RUN_DIR"]), programs.folder / "shared"
    shared.mkdir()
    (run / "link").symlink_to(shared)
    for folder in (run, shared, run / "link"):
        assert programs.run(*(word.format(folder) for word in argv), env=started)[0] == 0
    assert (run / file).exists()
    assert list(shared.iterdir()) == []


def test_places_are_those_of_the_mounts(programs: Programs, started: dict[str, str]) -> None:
    """A path in a container belongs to the rehearsal if what is mounted there does; so do scratch directories of the job."""
    run, shared = started["SRT_RUN_DIR"], programs.folder / "shared"
    shared.mkdir()
    view = f"{run}/logs:/logs,{shared}:/data,{shared}/missing:/missing"
    environment = started | {_writing.VIEW: view}

    def own(path: str, state: State = programs.state) -> bool:
        return _writing.is_own(path, state, environment)

    assert own("/logs/a")
    assert own(f"{TMP}/srtplan-123-nats/x")
    assert own(str(programs.state.folder / "x"))
    for path in (
        "/data/a",
        "/logs/../data/a",
        f"{TMP}/srtplan-124-nats/x",
        f"{TMP}/srtplan-123-x",
        "/missing/a",
        f"{run}/../x",
    ):
        assert not own(path), path
    (programs.state.folder / "containers").write_text("namespaces\n")
    assert own("/missing/a")


def test_job_numbers_of_rehearsals_are_those_of_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm's are smaller, and a number that has a folder in /tmp is not taken."""
    assert rehearsal._free_number(tmp_path) > 67_108_863
    taken = secrets.randbelow(10**8)
    path = TMP / f"srtplan-{10**8 + taken}-nats"
    path.mkdir()
    draws = iter((taken, taken + 1))
    monkeypatch.setattr(secrets, "randbelow", lambda _most: next(draws))
    try:
        assert rehearsal._free_number(tmp_path) == 10**8 + taken + 1
    finally:
        path.rmdir()


@pytest.mark.skipif(
    os.geteuid() != 0 and "CI" not in os.environ, reason="only root can make files of another user"
)
def test_scratch_directories_of_another_user_stay(tmp_path: Path) -> None:
    """What has the job's name is removed if it is ours; a link is removed, not what it leads to."""
    number = 10**9 + secrets.randbelow(10**9)
    foreign, own, link = (TMP / f"srtplan-{number}-{name}" for name in ("foreign", "own", "link"))
    (tmp_path / "kept").touch()
    foreign.mkdir()
    os.chown(foreign, NOBODY, NOBODY)
    own.mkdir()
    link.symlink_to(tmp_path)
    try:
        rehearsal._remove_scratch(number)
        assert foreign.is_dir()
        assert not own.exists()
        assert not link.is_symlink()
        assert (tmp_path / "kept").exists()
    finally:
        foreign.rmdir()
