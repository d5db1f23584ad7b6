"""Render a Plan as a Bundle: the text of every file. Makes no decisions.

Out: ``job.sh``, one ``steps/<step>.sh`` per step, ``files/...``, ``lib/...`` and ``stop`` unchanged from the templates,
the documents of the pipeline (``plan.json``, ``plan.txt``), and ``MANIFEST.sha256`` of all these.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from srtplan.bundle.job import render_job
from srtplan.bundle.launcher import render_step
from srtplan.bundle.templates import library
from srtplan.diagnostics import InternalError
from srtplan.ir.bundle import Bundle, BundleFile
from srtplan.ir.plan import Plan, PlanFile, PreflightCheck
from srtplan.ir.shell import Lit, Ref, notation, parts

MANIFEST = "MANIFEST.sha256"
_PATH = re.compile(r"[A-Za-z0-9_.+-]+(/[A-Za-z0-9_.+-]+)*")


def render(plan: Plan, documents: Mapping[str, str] | None = None) -> Bundle:
    """All files of the bundle; ``documents`` are additional files by path. A job needs ``plan.json`` among them."""
    files = sorted(
        [*_files(plan), *(_file(p, t) for p, t in (documents or {}).items())], key=lambda f: f.path
    )
    _check_paths(files)
    return Bundle(name=plan.name, files=tuple(sorted([*files, _manifest(files)], key=lambda f: f.path)))


def _files(plan: Plan) -> Iterator[BundleFile]:
    yield _file("job.sh", render_job(plan), executable=True)
    for step in plan.steps:
        yield _file(f"steps/{step.name}.sh", render_step(step), executable=True)
    for file in plan.files:
        yield _file(f"files/{file.path}", _content(file))
    yield _file("files/preflight.tsv", "".join(_check_line(c) for c in plan.preflight))
    for path, content in library().items():
        yield BundleFile(path=path, content=content, executable=content.startswith(b"#!"))


def _file(path: str, text: str, *, executable: bool = False) -> BundleFile:
    return BundleFile(path=path, content=text.encode(), executable=executable)


def _content(file: PlanFile) -> str:
    """The text of a file; references stay in the Plan's notation until the job resolves them."""
    pieces = parts(file.text)
    if not file.run_time:
        if any(isinstance(p, Ref) for p in pieces):
            raise InternalError([f"{file.path}: references in a file that is not written at run time"])
        return "".join(p.text for p in pieces if isinstance(p, Lit))
    if any(isinstance(p, Lit) and p.text.endswith("$") for p in pieces[:-1]):
        raise InternalError([f"{file.path}: the notation cannot express a dollar sign before a reference"])
    return notation(file.text)


def _check_line(check: PreflightCheck) -> str:
    if re.search(r"[\t\n]", check.subject):
        raise InternalError([f"tab or line break in a preflight check: {check.subject!r}"])
    nodes = ",".join(str(n) for n in check.nodes)
    return "\t".join((check.kind, check.subject, nodes, " ".join(check.why.split()))) + "\n"


def _check_paths(files: list[BundleFile]) -> None:
    paths = [f.path for f in files]
    bad = [p for p in paths if not _PATH.fullmatch(p) or ".." in p.split("/")]
    duplicates = sorted(p for p, count in Counter(paths).items() if count > 1)
    if bad or duplicates:
        raise InternalError(
            [f"invalid bundle path: {p!r}" for p in bad] + [f"duplicate bundle path: {p}" for p in duplicates]
        )


def _manifest(files: list[BundleFile]) -> BundleFile:
    lines = [f"{hashlib.sha256(f.content).hexdigest()}  {f.path}\n" for f in files]
    return _file(MANIFEST, "".join(lines))
