"""Log lines, events and status: valid for any text, harmless if writes fail."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from shell_lab import in_library

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=30)


@given(texts=st.lists(TEXT, max_size=4), number=st.integers(-5, 10**9))
@settings(max_examples=examples(120), deadline=None)
def test_an_event_is_a_line_of_json(texts: list[str], number: int) -> None:
    """Any text becomes an equivalent JSON string; numbers stay numbers."""
    fields = [f"k{n}={t}" for n, t in enumerate(texts)]
    done = in_library('EVENT_FD=1; event::write kind "$@"', *fields, f"n:={number}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"\n") == 1
    event = json.loads(done.stdout)
    assert event.pop("t") >= 0
    assert event == {"event": "kind", "n": number} | {f"k{n}": t for n, t in enumerate(texts)}


@given(name=TEXT, cause=TEXT)
@settings(max_examples=examples(40), deadline=None)
def test_the_status_is_json(name: str, cause: str) -> None:
    """The status is valid JSON for any job name and cause."""
    script = """
    RUN_DIR="$(mktemp -d)" JOB_NAME="$1" CAUSE="$2" CODE=74
    status::write; cat "${RUN_DIR}/status.json"; rm -r "${RUN_DIR}"
    """
    status = json.loads(in_library(script, name, cause).stdout)
    assert (status["name"], status["cause"], status["code"]) == (name, cause, 74)


def test_a_full_disk_does_not_fail_the_log(tmp_path: Path) -> None:
    """If a write fails, the log functions succeed and print nothing to stderr."""
    script = """
    exec {LOG_FD}>/dev/full {EVENT_FD}>/dev/full
    log::info one; log::text two three; event::write kind a=b
    RUN_DIR=/nonexistent; status::write
    echo "code $?" >&2
    """
    done = in_library(script)
    assert done.stderr == b"code 0\n"
    assert done.stdout.count(b"\n") == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_the_last_status_is_written_on_a_full_disk() -> None:
    """Without space for a new file the old one is overwritten in place and stays valid JSON."""
    script = """
    RUN_DIR="$(mktemp -d)"; mount -t tmpfs -o size=64k tmpfs "${RUN_DIR}"
    STAGE="a stage with a long name" CAUSE="" CODE=""; status::write
    cat /dev/zero >"${RUN_DIR}/fill" 2>/dev/null
    STAGE=end CODE=74 CLASS=worker; status::write
    cat "${RUN_DIR}/status.json"; ls "${RUN_DIR}" >&2
    CAUSE="$(printf '%500s' x)"; status::write; cat "${RUN_DIR}/status.json"
    umount "${RUN_DIR}"; rmdir "${RUN_DIR}"
    """
    done = in_library(script)
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["stage"], first["code"], first["class"]) == ("end", 74, "worker")
    assert len(second["cause"]) == 500
    assert done.stderr.split() == [b"fill", b"status.json"]


def test_a_closed_stdout_does_not_end_the_supervisor() -> None:
    """The supervisor continues when stdout is closed."""
    script = "trap ':' PIPE; exec 1> >(exit 0); sleep 0.2; log::info one; log::info two; echo alive >&2"
    assert b"alive" in in_library(script).stderr


def test_the_clock_counts_from_the_start() -> None:
    """The clock counts seconds and hundredths of a second since the start."""
    done = in_library('sleep 1.1; clock::read; echo "${NOW} ${NOW_CS}"')
    seconds, hundredths = map(int, done.stdout.split())
    assert seconds >= 1
    assert hundredths // 100 == seconds


def test_a_log_that_grows_too_large_starts_over(tmp_path: Path) -> None:
    """The old content is kept in one file, the writer continues at the beginning, and smaller logs are unchanged."""
    script = """
    LOG_DIR="$1"; exec {big}>>"$1/a.out" {small}>>"$1/b.out"
    head -c 3000000 /dev/zero | tr '\\0' x >&"${big}"; echo b >&"${small}"
    NOW=59; log::cap; wait; NOW=60; log::cap; wait; echo after >&"${big}"; NOW=61; log::cap; wait
    """
    done = in_library(script, str(tmp_path), env={"SRTPLAN_LOG_CAP_MB": "2"})
    assert done.returncode == 0, done.stderr
    assert {p.name: p.stat().st_size for p in tmp_path.iterdir()} == {
        "a.out": 6,
        "a.out.old": 3_000_000,
        "b.out": 2,
    }
    in_library(script, str(tmp_path), env={"SRTPLAN_LOG_CAP_MB": "0"})
    assert (tmp_path / "a.out").stat().st_size == 3_000_012
