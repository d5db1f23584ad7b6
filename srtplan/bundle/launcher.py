"""Render ``steps/<step>.sh``: one step as arrays.

In: a Step. Out: the text of its launcher, with a flag and its value on one line::

    ARGV=(
      python3 -m dynamo.sglang
      --model-path /model
      --host 0.0.0.0
    )
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from srtplan.bundle import quote
from srtplan.bundle.quote import Quoted
from srtplan.bundle.templates import fill
from srtplan.ir.plan import Run, Step
from srtplan.ir.shell import Lit, Words, parts

_MODULE = Lit("-m")


def render_step(step: Step) -> str:
    """The launcher of a step."""
    return fill(
        "step.sh.j2",
        name=quote.step_name(step.name),
        header=quote.comment(f"{step.name}: {step.note or step.stage}"),
        srun=[quote.option(o.name, o.value) for o in step.srun],
        launch_env=[quote.env_pair(e.name, e.value) for e in step.env if e.launch],
        env_from=_names(step.env_from),
        env=[quote.env_pair(e.name, e.value) for e in step.env if not e.launch],
        preamble=[render_call(c) for c in step.preamble],
        argv=command_lines(step.argv),
        runs=[_run(r) for r in step.runs],
        run_total=quote.number(len(step.runs)),
    )


def _names(names: Sequence[str]) -> Quoted | None:
    return Quoted(" ".join(quote.env_name(n).text for n in names)) if names else None


def render_call(words: Words) -> Quoted:
    """A call of a library function."""
    head = words[0]
    name = quote.function_name(head.text if isinstance(head, Lit) else "")
    return Quoted(" ".join([name.text, *(quote.bash_word(w).text for w in words[1:])]))


def command_lines(words: Words) -> list[Quoted]:
    """The lines of a command: every option begins a line, except ``-m``, which stays with its program."""
    lines: list[list[str]] = []
    for w in words:
        first = parts(w)[0]
        flag = isinstance(first, Lit) and first.text.startswith("-") and w != _MODULE
        if flag or not lines:
            lines.append([])
        lines[-1].append(quote.bash_word(w).text)
    return [Quoted(" ".join(line)) for line in lines]


@frozen
class _Run:
    head: Quoted
    body: list[Quoted]
    tail: Quoted


def _run(run: Run) -> _Run:
    *body, tail = command_lines(run.argv)
    head = (Lit(run.name), run.result or Lit(""), Lit(run.client))
    return _Run(Quoted(" ".join(quote.bash_word(w).text for w in head)), body, tail)
