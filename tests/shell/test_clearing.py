"""Directories of killed steps in /tmp are removed on every node at the end, except those of the supervisor."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from shell_lab import in_library

SRUN = '#!/bin/bash\nwhile [[ "$1" == --* ]]; do shift; done\necho asked >>"$ASKED"\nexec "$@"\n'
SCRIPT = """
JOB_ID="$1" COMPONENTS=(1 1) NODE=(a b) STEP_EXIT=([w]=137)
SCRATCH="$(mktemp -d "/tmp/srtplan-${JOB_ID}-job.XXXXXX")"
mkdir "/tmp/srtplan-${JOB_ID}-w" "/tmp/srtplan-${JOB_ID}0-w"
((EUID != 0)) || { mkdir "/tmp/srtplan-${JOB_ID}-foreign" && chown 65534 "/tmp/srtplan-${JOB_ID}-foreign"; }
stop::_clean_nodes
ls -d "/tmp/srtplan-${JOB_ID}"*
"""


def test_scratch_of_job_sh_stays_until_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes of every component are cleaned; directories of other jobs stay."""
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    job = str(10**8 + random.randrange(10**8))
    done = in_library(SCRIPT, job)
    kept = done.stdout.decode().split()
    for path in kept:
        shutil.rmtree(path)
    kept = [path for path in kept if not path.endswith("-foreign")]
    names = [Path(path).name.partition(".")[0] for path in kept]
    assert os.geteuid() != 0 or f"srtplan-{job}-foreign\n" in done.stdout.decode()
    assert names == [f"srtplan-{job}-job", f"srtplan-{job}0-w"], done
    assert (tmp_path / "asked").read_text() == "asked\nasked\n"
