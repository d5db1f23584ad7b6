"""Rendered launchers, run through a real bash, give argv and environment byte for byte."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from effort import examples
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from plans import benchmark, plan, step, worker
from shell_lab import TEMPLATES, bash, in_library

from srtplan.bundle import quote
from srtplan.bundle.render import render
from srtplan.bundle.write import write
from srtplan.diagnostics import InternalError
from srtplan.ir.plan import EnvVar, PlanFile, Run, SrunOption, Step
from srtplan.ir.shell import JOB_ID, LOG_DIR, RUN_DIR, Lit, Ref, Word, ip, node, notation, parts, word, words

NODES, IPS = ("n0", "n1"), ("10.0.0.1", "10.0.0.2")
NASTY = st.sampled_from(
    [
        "'",
        '"',
        "$(touch x)",
        "`id`",
        "${IP[0]}",
        "$${",
        "\\",
        "\n",
        "\t",
        ";",
        "&&",
        "#",
        "~",
        "*",
        "!",
        "=",
        "\x7f",
        "é",
        "\u202e",
        "--",
        " ",
    ]
)
TEXT = st.lists(
    NASTY | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=5)
).map("".join)
REFS = st.sampled_from([ip(0), ip(1), node(0), node(1), JOB_ID, LOG_DIR, RUN_DIR])
WORDS = st.lists(TEXT | REFS, max_size=4).map(lambda parts: word(*parts))
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True) | st.sampled_from(
    [
        "NODE",
        "IP",
        "RUN_DIR",
        "ENV",
        "ARGV",
        "IFS",
        "UID",
        "PATH_X",
        "LOG_DIR",
        "STEP",
        "VERB",
        "RANDOM",
        "BASH_ENV",
        "PS4",
        "REPLY",
        "_",
    ]
)
LOCALS = sorted(
    {name for path in TEMPLATES.rglob("*.sh") for line in path.read_text().splitlines()
     if line.strip().startswith("local ") for name in re.findall(r"\b([a-z]\w*)\b(?:=|\s|$)", line.strip()[6:])}
)  # fmt: skip
"""Every local variable of the library: a recipe may have a variable of that name."""
UNTOUCHED = {"PATH", "PWD", "OLDPWD", "SHLVL", "LD_PRELOAD", "LD_LIBRARY_PATH", "_"}

RECORD = """#!/usr/bin/python3
import os, sys
with open(os.environ["RECORD"], "wb") as f:
    env = (k + b"=" + v for k, v in os.environb.items())
    f.write(b"\\0".join([b"%d" % (len(sys.argv) - 1), *map(os.fsencode, sys.argv[1:]), *env]))
"""


class Lab:
    """A bundle directory, a run directory, and a program that records what it was called with."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run_dir, self.out = folder, folder / "run dir", folder / "record.out"
        (self.run_dir / "run" / "steps").mkdir(parents=True)
        (self.run_dir / "run" / "nodes.sh").write_text(f"NODE=({' '.join(NODES)})\nIP=({' '.join(IPS)})\n")
        self.program = folder / "bin" / "srun"
        self.program.parent.mkdir()
        self.program.write_text(RECORD)
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)
        self.number = 0

    def value(self, w: Word) -> str:
        """What a word is in this run."""
        known = {"JOB_ID": "7", "RUN_DIR": str(self.run_dir), "LOG_DIR": f"{self.run_dir}/logs"}

        def one(p: Lit | Ref) -> str:
            if isinstance(p, Lit):
                return p.text
            return {"NODE": NODES, "IP": IPS}[p.name][p.index] if p.index is not None else known[p.name]

        return "".join(one(p) for p in parts(w))

    def run(self, made: Step, verb: str) -> tuple[list[str], dict[str, str]]:
        """Run a launcher; argv and environment as the program saw them."""
        self.number += 1
        bundle = self.folder / f"bundle{self.number}"
        write(render(plan(made)), bundle)
        self.out.unlink(missing_ok=True)
        done = bash(
            'exec bash "$@"',
            f"{bundle}/steps/{made.name}.sh",
            verb,
            str(self.run_dir),
            env={
                "PATH": f"{self.program.parent}:{os.environ['PATH']}",
                "RECORD": str(self.out),
                "SLURM_JOB_ID": "7",
                "SLURM_STEP_ID": "3",
            },
        )
        assert done.returncode == 0, done.stderr.decode()
        count, *rest = self.out.read_bytes().split(b"\0")
        argv, env = rest[: int(count)], rest[int(count) :]
        pairs = (pair.partition(b"=") for pair in env)
        return (
            [a.decode() for a in argv],
            {k.decode(): v.decode(errors="surrogateescape") for k, _, v in pairs},
        )


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One folder for all examples of this module."""
    with tempfile.TemporaryDirectory(prefix="srtplan-quoting-") as folder:
        yield Lab(Path(folder))


@given(argv=st.lists(WORDS, max_size=6), env=st.dictionaries(NAMES, WORDS, max_size=4))
@settings(max_examples=examples(150), deadline=None)
def test_a_step_gets_its_argv_and_environment(lab: Lab, argv: list[Word], env: dict[str, Word]) -> None:
    """Whatever a word holds, the command sees exactly that, and so does the environment, whatever its name."""
    event("empty argv" if not argv else "argv")
    env = {k: v for k, v in env.items() if k not in UNTOUCHED | {"RECORD"} and "\0" not in notation(v)}
    made = worker("w_0", argv=(Lit("srun"), *argv))
    made = evolve(made, env=tuple(EnvVar(name=k, value=v) for k, v in env.items()))
    got_argv, got_env = lab.run(made, "task")
    assert got_argv == [lab.value(w) for w in argv] or (
        got_argv == [] and [lab.value(w) for w in argv] == [""]
    )
    assert {k: got_env.get(k) for k in env} == {k: lab.value(v) for k, v in env.items()}
    assert got_env["SRT_STEP"] == "w_0"
    assert not (lab.folder / "x").exists()


@pytest.mark.parametrize("kind", ["argv", "scratch", "run"])
def test_no_variable_of_the_library_hides_one_of_the_recipe(lab: Lab, kind: str) -> None:
    """A variable reaches the command even if the library has a local variable of that name."""
    assert {"pair", "code", "name", "result", "tries"} <= set(LOCALS)
    env = tuple(EnvVar(name=name, value=Lit(f"<{name}>")) for name in LOCALS)
    made = worker("w_0", argv=(Lit("srun"),))
    if kind == "scratch":
        made = evolve(made, preamble=(words("setup::scratch", lab.folder / "scratch"),))
    if kind == "run":
        made = benchmark(Run(name="r", argv=(Lit("srun"),)))
    _, got = lab.run(evolve(made, env=env), "task")
    assert {name: got.get(name) for name in LOCALS} == {name: f"<{name}>" for name in LOCALS}


@given(values=st.lists(WORDS, max_size=4), launch=WORDS)
@settings(max_examples=examples(80), deadline=None)
def test_srun_gets_its_options(lab: Lab, values: list[Word], launch: Word) -> None:
    """Options of srun arrive as --name=value, variables for srun itself in its environment."""
    options = tuple(SrunOption(name=f"option-{n}", value=v) for n, v in enumerate(values))
    made = evolve(worker("w_0"), srun=options, env=(EnvVar(name="FOR_SRUN", value=launch, launch=True),))
    argv, env = lab.run(made, "launch")
    own = [f"--option-{n}={lab.value(v)}" for n, v in enumerate(values)]
    assert argv[: len(own)] == own
    assert argv[len(own)] == "bash"
    assert argv[-2:] == ["task", str(lab.run_dir)]
    assert env["FOR_SRUN"] == lab.value(launch)


@example(argv=[Lit("\x01")], name="")
@given(argv=st.lists(WORDS, min_size=1, max_size=4), name=TEXT)
@settings(max_examples=examples(60), deadline=None)
def test_a_run_gets_its_argv(lab: Lab, argv: list[Word], name: str) -> None:
    """The commands of a ladder arrive as they are in the plan."""
    made = benchmark(Run(name=name, argv=(Lit("srun"), Lit("-x"), *argv)))
    got, _ = lab.run(made, "task")
    assert got == ["-x", *(lab.value(w) for w in argv)]


@given(text=WORDS)
@settings(max_examples=examples(150), deadline=None)
def test_files_are_filled_in(text: Word) -> None:
    """A file of the bundle in the plan's notation becomes the text with this run's values, whatever else it holds."""
    try:
        written = render(plan(files=(PlanFile(path="f", content=text, run_time=True),))).text("files/f")
    except InternalError:
        event("refused: a dollar before a reference")
        return
    done = in_library(
        'NODE=(n0 n1) IP=(10.0.0.1 10.0.0.2) JOB_ID=7 RUN_DIR=/r LOG_DIR=/r/logs; run::_resolve_references "$1"; printf %s "${REPLY}"',
        written,
    )
    lab = {"JOB_ID": "7", "RUN_DIR": "/r", "LOG_DIR": "/r/logs"}
    want = "".join(
        p.text
        if isinstance(p, Lit)
        else {"NODE": NODES, "IP": IPS}[p.name][p.index]
        if p.index is not None
        else lab[p.name]
        for p in parts(text)
    )
    assert done.stdout.decode() == want, done.stderr


@pytest.mark.slow
def test_odd_words_pass_shellcheck(tmp_path: Path) -> None:
    """Words that look like mistakes are no reason for a warning in the launcher."""
    odd = [
        "a,b",
        "a=b",
        "$HOME",
        "`x`",
        "it's",
        "\u2018quoted\u2019",
        "two\nlines",
        "~",
        "*",
        "{a,b}",
        "x\\",
        "",
        "[a]",
        "-n",
        "$(x)",
        "\u202e",
    ]
    made = evolve(
        step("odd_0", "worker", words(*odd, word("x", ip(0), "$y", "\n"))),
        env=tuple(EnvVar(name=f"V{n}", value=Lit(o)) for n, o in enumerate(odd)),
        note="shellcheck disable=all\nsecond line $(x)",
    )
    write(render(plan(made)), tmp_path / "b")
    done = subprocess.run(
        ["shellcheck", "-x", "-o", "quote-safe-variables,require-variable-braces", "steps/odd_0.sh"],
        cwd=tmp_path / "b",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""


def test_what_no_word_can_hold_is_refused() -> None:
    """NUL in a word, a line break in a directive and a name that no variable can have are internal errors."""
    for bad in (
        lambda: quote.bash_word(Lit("a\0b")),
        lambda: quote.sbatch("--job-name=a\nb"),
        lambda: quote.env_pair("A;touch x;B", Lit("v")),
        lambda: quote.function_name("rm -rf /"),
        lambda: quote.step_name("a/b"),
    ):
        with pytest.raises(InternalError):
            bad()
