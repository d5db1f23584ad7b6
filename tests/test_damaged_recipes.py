"""Damaged recipes give problems with positions, quickly, and leave no files behind."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from corpus import ENVIRON, PROFILE, corpus, recipes
from mutations import KINDS, mutate

from srtplan.cli.main import main

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
PLACED = re.compile(r"^\S[^\n]*?:([1-9]\d*):([1-9]\d*): (error|warning)\[SP\d{3}\]: ", re.MULTILINE)
PROBLEM = re.compile(r"^(?! )[^\n]*(?:error|warning)\[SP\d{3}\]: ", re.MULTILINE)
CPU_SECONDS = 20.0
"""What only work that grows with a power of the input takes; a compile takes less than one."""
MEMORY = 1 << 30


@contextmanager
def _no_hang() -> Iterator[None]:
    """Fail after ten seconds of CPU time."""

    def over(*_: object) -> None:
        raise TimeoutError("used a minute of CPU")

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, 60)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _compile_here(argv: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, float]:
    """Compile in this process; return exit code, stderr and seconds of CPU time."""
    began = time.process_time()
    with _no_hang(), pytest.raises(SystemExit) as end:
        main(argv)
    took = time.process_time() - began
    return int(end.value.code or 0), capsys.readouterr().err, took


def _compile_there(argv: Sequence[str], folder: Path) -> tuple[int, str, float]:
    """Compile in a subprocess with limited memory; return exit code, stderr and seconds of CPU time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["prlimit", f"--as={MEMORY}", sys.executable, "-c", "from srtplan.cli.main import main; main()", *argv],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.returncode, done.stderr, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def check(code: int, said: str, took: float, out: Path) -> None:
    """Assert that any file gets a proper answer in time: all bundles, or none and positions."""
    assert code in (0, 1), said
    assert "Traceback" not in said
    assert "internal error" not in said
    assert took < CPU_SECONDS
    if code == 0:
        assert list(out.rglob("MANIFEST.sha256"))
        assert not list(out.rglob(".*"))
    else:
        assert not out.exists(), sorted(out.rglob("*"))
        assert "error[SP" in said
    assert len(PLACED.findall(said)) == len(PROBLEM.findall(said)), said


def spoil(
    sources: Sequence[Path], seeds: range, folder: Path, capsys: pytest.CaptureFixture[str], *extra: str
) -> Counter[str]:
    """Compile a mutation for each seed, every fortieth in a subprocess; return how many of each kind were refused."""
    refused: Counter[str] = Counter()
    wrong: list[str] = []
    for seed in seeds:
        source = sources[seed * 7 % len(sources)]
        kind, spoiled = mutate(source.read_text(), seed)
        place = folder / str(seed)
        place.mkdir()
        (place / "r.yaml").write_bytes(spoiled)
        argv = ["compile", str(place / "r.yaml"), "-o", str(place / "out"), *extra]
        code, said, took = _compile_there(argv, place) if seed % 40 == 39 else _compile_here(argv, capsys)
        try:
            check(code, said, took, place / "out")
        except AssertionError as e:
            wrong.append(
                f"{source.name}, seed {seed}, {kind} ({took:.1f} s): {place / 'r.yaml'}\n{str(e)[:600]}"
            )
        refused[kind] += code
    assert not wrong, "\n\n".join(wrong)
    return refused


def test_damaged_examples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of mutation of the examples is refused at least once, and some mutations are harmless."""
    monkeypatch.chdir(tmp_path)
    refused = spoil(EXAMPLES, range(110), tmp_path, capsys)
    assert all(refused[kind] for kind in KINDS), refused
    assert sum(refused.values()) < 110


@pytest.mark.corpus
def test_damaged_public_recipes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred mutations of real recipes, with the profile of their site."""
    folder = corpus()
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    sources = [folder / name for name in recipes()]
    refused = spoil(sources, range(1000, 1200), tmp_path, capsys, "--cluster", str(folder / PROFILE))
    assert all(refused[kind] for kind in KINDS), refused
