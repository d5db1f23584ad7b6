"""``srtplan compile | check | plan | apply | dry-run | rehearse``.

Exit codes: 0 success, 1 invalid input, 2 usage error, 70 internal error. ``rehearse`` returns the job's own code.
Commands import what they need when they run, so that ``check`` starts fast.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from srtplan import __version__
from srtplan.cli.output import INTERNAL, internal, problems, say
from srtplan.diagnostics import InputError

CANNOT_WRITE = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
"""Errors of a full, closed or read-only output, which are not internal errors."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and turn its exceptions into an exit code."""
    try:
        code = cli.main(
            args=list(argv) if argv is not None else None, prog_name="srtplan", standalone_mode=False
        )
        sys.stdout.flush()
    except click.ClickException as e:
        e.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except InputError as e:
        problems(e.report)
        sys.exit(1)
    except Exception as e:  # noqa: BLE001 -- the last resort: a user never sees a bare traceback
        if isinstance(e, OSError) and e.errno in CANNOT_WRITE:
            _report_write_error(e)
            sys.exit(1)
        internal(e)
        sys.exit(INTERNAL)
    sys.exit(code if isinstance(code, int) else 0)


def _report_write_error(error: OSError) -> None:
    """Report an output that cannot be written; say nothing if the reader of a pipe has gone.

    What is still buffered is discarded. Otherwise Python would try to write it again on exit.
    """
    if not isinstance(error, BrokenPipeError):
        say(f"srtplan: cannot write: {error.strerror}")
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="srtplan")
def cli() -> None:
    """Compile recipes for distributed LLM inference into Slurm job bundles."""


class _NonEmptyPath(click.Path):
    """A path that is not empty. Python reads "" as the current directory, and a script's unset variable is "".

    Commands that take several paths use ``readable=False``: one unreadable file must not hide the others' problems.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """Return the path as click converts it."""
        if value == "":
            self.fail("the path is empty; is a variable unset?", param, ctx)
        return super().convert(value, param, ctx)


_cluster = click.option(
    "--cluster",
    type=_NonEmptyPath(path_type=Path, dir_okay=False),
    help="Cluster profile. Defaults to $SRTSLURM_CONFIG, then to srtslurm.yaml in the current directory or up to "
    "two levels above.",
)
_sets = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a value of the recipe, for example benchmark.isl=1024. Repeatable.",
)
_offset = click.option(
    "--port-offset", default=0, metavar="N", help="Add N to every port, so that two jobs can share nodes."
)
_no_preflight = click.option(
    "--no-preflight", is_flag=True, help="Do not check paths, ports and GPUs on the nodes before starting."
)
_recipes = click.argument(
    "recipes", nargs=-1, required=True, metavar="RECIPE...", type=_NonEmptyPath(readable=False)
)


@cli.command("compile")
@_recipes
@click.option(
    "-o",
    "--output",
    type=_NonEmptyPath(path_type=Path),
    required=True,
    help="Directory to write the bundle to.",
)
@_cluster
@_sets
@_offset
@_no_preflight
def compile_(
    recipes: tuple[str, ...], output: Path, cluster: Path | None, sets: tuple[str, ...], *,
    port_offset: int, no_preflight: bool,
) -> int:  # fmt: skip
    """Write a bundle for each RECIPE.

    RECIPE is a file, FILE:VARIANT, or a directory that is searched for recipes. Prints the path of every job.sh.
    """
    from srtplan import pipeline  # noqa: PLC0415
    from srtplan.cli import build  # noqa: PLC0415

    options = pipeline.Options(port_offset=port_offset, preflight=not no_preflight)
    return build.compile_all(recipes, output, cluster=cluster, sets=sets, options=options)


@cli.command()
@_recipes
@_cluster
@_sets
def check(recipes: tuple[str, ...], cluster: Path | None, sets: tuple[str, ...]) -> int:
    """Report all problems of each RECIPE without writing anything."""
    from srtplan.cli import build  # noqa: PLC0415

    return build.check_all(recipes, cluster=cluster, sets=sets)


@cli.command()
@click.argument("recipe", type=_NonEmptyPath(readable=False))
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print plan.json instead of text; a list if there are several jobs.",
)
@_cluster
@_sets
def plan(recipe: str, *, as_json: bool, cluster: Path | None, sets: tuple[str, ...]) -> int:
    """Show the plan of RECIPE.

    Prints nodes, GPUs, endpoints, steps, ports, probes and mounts.
    """
    from srtplan.cli import build  # noqa: PLC0415

    return build.show(recipe, as_json=as_json, cluster=cluster, sets=sets)


def _submission(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of apply and dry-run to a command."""
    for option in (
        click.option("-y", "--yes", is_flag=True, help="Submit several jobs without asking."),
        click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per job."),
        click.option("--tags", default="", metavar="A,B", help="Tags to record in the job's metadata."),
        click.option("--setup-script", metavar="NAME", help="Override setup_script of the recipe."),
        _sets,
        _cluster,
        _offset,
        _no_preflight,
        click.option(
            "-o",
            "--output",
            type=_NonEmptyPath(path_type=Path, file_okay=False),
            help="Base directory of runs; each goes to DIRECTORY/<job id>. Defaults to output_dir of the profile, "
            "then to ./outputs.",
        ),
        click.option(
            "-f",
            "--file",
            "files",
            multiple=True,
            required=True,
            type=_NonEmptyPath(readable=False),
            metavar="RECIPE|DIR|-",
            help="A recipe, RECIPE:VARIANT, a directory of recipes, or - for standard input. Repeatable.",
        ),
    ):
        command = option(command)
    return command


@cli.command()
@_submission
def apply(*, as_json: bool, yes: bool, tags: str, **request: Any) -> int:  # noqa: ANN401 -- as click hands them over
    """Compile recipes and submit the jobs."""
    from srtplan.cli import apply as command  # noqa: PLC0415
    from srtplan.cli.gather import Request, split_tags  # noqa: PLC0415

    return command.run(Request(tags=split_tags(tags), **request), as_json=as_json, yes=yes)


@cli.command("dry-run")
@_submission
def dry_run(*, as_json: bool, yes: bool, tags: str, **request: Any) -> int:  # noqa: ANN401
    """Show what apply would submit, without submitting it.

    Prints the sbatch directives, nodes, mounts, environment and commands of every job.
    """
    from srtplan.cli import dryrun  # noqa: PLC0415
    from srtplan.cli.gather import Request, split_tags  # noqa: PLC0415

    del yes
    return dryrun.run(Request(tags=split_tags(tags), **request), as_json=as_json)


@cli.command()
@click.argument("bundle", type=_NonEmptyPath(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="STEP:KIND[@S]",
    help="Make a step fail, for example decode_1:crash@5s. Repeatable.",
)
@click.option(
    "-o", "--output", type=_NonEmptyPath(path_type=Path), help="Directory of the run. Defaults to outputs."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Time limit of the job: end it after this many seconds.",
)
def rehearse(bundle: Path, faults: tuple[str, ...], output: Path | None, timeout: float | None) -> int:
    """Run a BUNDLE on this machine with simulated Slurm and engines.

    Needs neither root nor GPUs. Exits with the code of the job.
    """
    from srtplan.cli import rehearsal  # noqa: PLC0415

    return rehearsal.run(bundle, faults=faults, output=output, timeout=timeout)


_REQUIRED = (("--fail-above", "--compare"), ("--threshold", "--compare"), ("--format", "--pictures"))
"""Options of ``results`` that have no effect without the other."""
_EXCLUSIVE = (
    ("--csv", "--json"),
    *(("--compare", name) for name in ("--csv", "--json", "--html", "--pictures")),
)
"""Options of ``results`` that cannot be combined."""


def _reject_unused_options(ctx: click.Context) -> None:
    """Raise UsageError for options that would have no effect."""
    present = {
        p.opts[0]
        for p in ctx.command.params
        if p.name and ctx.get_parameter_source(p.name) is click.core.ParameterSource.COMMANDLINE
    }
    for name, other in _REQUIRED:
        if name in present and other not in present:
            raise click.UsageError(f"{name} requires {other}", ctx)
    for pair in _EXCLUSIVE:
        if present.issuperset(pair):
            raise click.UsageError(f"{' and '.join(pair)} cannot be used together", ctx)


def _percent(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Return the value; raise BadParameter below 0 and for NaN, which compares false with everything."""
    if value is not None and not value >= 0:
        raise click.BadParameter("must be a percentage of 0 or more", ctx, param)
    return value


@cli.command()
@click.argument(
    "runs", nargs=-1, required=True, metavar="RUN...", type=_NonEmptyPath(path_type=Path, readable=False)
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, one row per measurement, instead of tables.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON, with the Pareto front of every workload, instead of tables.",
)
@click.option(
    "--html",
    type=_NonEmptyPath(path_type=Path, dir_okay=False),
    help="Write an HTML page with tables and charts.",
)
@click.option(
    "--pictures", type=_NonEmptyPath(path_type=Path, file_okay=False), help="Write the charts to a directory."
)
@click.option(
    "--format", "kinds", multiple=True, type=click.Choice(["png", "svg"]), default=["png"], show_default=True,
    help="Format of the charts. Repeatable.",
)  # fmt: skip
@click.option(
    "--compare", is_flag=True, help="Compare two runs side by side, with the differences between their plans."
)
@click.option(
    "--threshold", default=5.0, show_default=True, callback=_percent, metavar="PERCENT",
    help="With --compare: highlight changes of at least this percentage.",
)  # fmt: skip
@click.option(
    "--fail-above", type=float, callback=_percent, metavar="PERCENT",
    help="With --compare: exit with 1 if a value is missing or worse by more than this percentage.",
)  # fmt: skip
@click.pass_context
def results(
    ctx: click.Context, runs: tuple[Path, ...], *, as_csv: bool, as_json: bool, html: Path | None, pictures: Path | None,
    kinds: tuple[str, ...], compare: bool, threshold: float, fail_above: float | None,
) -> int:  # fmt: skip
    """Show the results of one or more RUNs.

    RUN is the directory of a run, of a job, or of several jobs. Exits with 1 if a run is missing or unreadable.
    """
    from srtplan.cli import results as command  # noqa: PLC0415

    _reject_unused_options(ctx)
    if compare:
        return command.compare(runs, threshold=threshold, fail_above=fail_above)
    form = "csv" if as_csv else "json" if as_json else "table"
    return command.show(runs, form=form, html=html, folder=pictures, kinds=kinds)
