"""What would leave this machine: downloads, clones, builds of what was cloned.

In: argv of curl, wget, git, maturin. Out: files in the places where the real ones would have put them, if those places
are the rehearsal's own.
"""

import json
import os
import sys
from pathlib import Path

from srtplan.rehearsal.simulated.writing import is_own
from srtplan.rehearsal.slurm.state import State

TRACE_LINES = 20
OUTPUT = ("-o", "--output", "-O", "--output-document")


def _say(text: str) -> int:
    sys.stderr.write(f"rehearsal: {text}\n")
    return 0


def _option(words: list[str], *names: str) -> str:
    """Return the value of an option, empty if it is not given."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, has_value, value = word.partition("=")
        if name in names:
            return value if has_value else following
    return ""


def download(state: State, words: list[str]) -> int:
    """Be curl or wget for a URL outside: write a small file of the right kind."""
    url = next(word for word in words if "://" in word)
    target = _option(words, *OUTPUT)
    text = _content(url)
    if not target or target == "-":
        sys.stdout.write(text)
        return _say(f"would fetch {url}")
    if not is_own(target, state, os.environ):
        return _say(f"would fetch {url}; {target} is not written, as it is outside of the run directory")
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    Path(target).write_text(text, encoding="utf-8")
    return _say(f"would fetch {url}; {target} is made up")


def _content(url: str) -> str:
    """Return what a file of this name could hold: a trace of requests for ``.jsonl``."""
    if not url.endswith(".jsonl"):
        return "{}\n"
    rows = [
        {"timestamp": 10 * i, "input_length": 64, "output_length": 16, "hash_ids": [i]}
        for i in range(TRACE_LINES)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def git(state: State, words: list[str]) -> int:
    """Be git for what needs the network: a clone has the folders that a build of Dynamo looks for."""
    if "clone" in words:
        places = [word for word in words[words.index("clone") + 1 :] if not word.startswith("-")]
        url = next(
            (word for word in places if "://" in word or "@" in word), places[0] if places else "repository"
        )
        after = places[places.index(url) + 1 :] if url in places else []
        target = Path(after[0] if after else url.rstrip("/").rpartition("/")[2].removesuffix(".git"))
        if is_own(target, state, os.environ):
            (target / "lib" / "bindings" / "python").mkdir(parents=True, exist_ok=True)
            (target / "lib" / "bindings" / "python" / "Cargo.toml").touch()
    return _say(f"would run: git {' '.join(words)}")


def maturin(state: State, words: list[str]) -> int:
    """Be maturin: a build leaves a wheel."""
    out = _option(words, "-o", "--out") or "target/wheels"
    if words[:1] == ["build"] and is_own(out, state, os.environ):
        Path(out).mkdir(parents=True, exist_ok=True)
        (Path(out) / "simulated-0-py3-none-any.whl").touch()
    return _say(f"would run: maturin {' '.join(words)}")
