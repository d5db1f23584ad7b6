"""``srtplan compile | check | plan | apply | dry-run | rehearse``.

Exit codes: 0 all is well, 1 problems in the input (or a rehearsal's own code), 2 wrong usage, 70 srtplan itself is at fault.
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
"""Errors of a place that takes nothing (any more): never a fault of srtplan."""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point: run a command, turn what it raises into an exit code."""
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
            _lost(e)
            sys.exit(1)
        internal(e)
        sys.exit(INTERNAL)
    sys.exit(code if isinstance(code, int) else 0)


def _lost(error: OSError) -> None:
    """Say it, unless a reader has had enough; what is left is given up, so that Python does not try again at its end."""
    if not isinstance(error, BrokenPipeError):
        say(f"srtplan: cannot write: {error.strerror}")
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="srtplan")
def cli() -> None:
    """Compile recipes for distributed LLM inference into shell bundles for Slurm."""


class _Given(click.Path):
    """A path that is not empty: Python takes "" for the current directory, and a script's unset variable is "".

    Where several are given, one that cannot be read must not keep the command from the others: it takes ``readable=False``.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """The path, as click makes it."""
        if value == "":
            self.fail("it is empty; is a variable unset?", param, ctx)
        return super().convert(value, param, ctx)


_cluster = click.option(
    "--cluster",
    type=_Given(path_type=Path, dir_okay=False),
    help="Cluster profile; default: $SRTSLURM_CONFIG, then srtslurm.yaml here or up to two folders above.",
)
_sets = click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a value: --set benchmark.isl=1024"
)
_offset = click.option(
    "--port-offset", default=0, metavar="N", help="Move every port by N: for two jobs on the same nodes."
)
_no_preflight = click.option(
    "--no-preflight", is_flag=True, help="Leave out the checks of paths, ports and GPUs on the nodes."
)
_recipes = click.argument(
    "recipes", nargs=-1, required=True, metavar="RECIPE...", type=_Given(readable=False)
)


@cli.command("compile")
@_recipes
@click.option("-o", "--output", type=_Given(path_type=Path), required=True, help="Where the bundle goes.")
@_cluster
@_sets
@_offset
@_no_preflight
def compile_(
    recipes: tuple[str, ...], output: Path, cluster: Path | None, sets: tuple[str, ...], *,
    port_offset: int, no_preflight: bool,
) -> int:  # fmt: skip
    """Write the bundle of each RECIPE (a file, file:variant, or a directory of recipes)."""
    from srtplan import pipeline  # noqa: PLC0415
    from srtplan.cli import build  # noqa: PLC0415

    options = pipeline.Options(port_offset=port_offset, preflight=not no_preflight)
    return build.compile_all(recipes, output, cluster=cluster, sets=sets, options=options)


@cli.command()
@_recipes
@_cluster
@_sets
def check(recipes: tuple[str, ...], cluster: Path | None, sets: tuple[str, ...]) -> int:
    """Find everything that can be known before the queue; write nothing."""
    from srtplan.cli import build  # noqa: PLC0415

    return build.check_all(recipes, cluster=cluster, sets=sets)


@cli.command()
@click.argument("recipe", type=_Given(readable=False))
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="plan.json instead of the page; of several jobs a list.",
)
@_cluster
@_sets
def plan(recipe: str, *, as_json: bool, cluster: Path | None, sets: tuple[str, ...]) -> int:
    """Show what would run: nodes with GPUs, endpoints, steps, ports, probes, mounts."""
    from srtplan.cli import build  # noqa: PLC0415

    return build.show(recipe, as_json=as_json, cluster=cluster, sets=sets)


def _submission(command: Callable[..., int]) -> Callable[..., int]:
    """The options of apply and dry-run."""
    for option in (
        click.option("-y", "--yes", is_flag=True, help="Do not ask before several jobs are submitted."),
        click.option("--json", "as_json", is_flag=True, help="A line of JSON per job."),
        click.option("--tags", default="", metavar="A,B", help="Words to find the job by, for its metadata."),
        click.option("--setup-script", metavar="NAME", help="As setup_script in the recipe."),
        _sets,
        _cluster,
        _offset,
        _no_preflight,
        click.option(
            "-o",
            "--output",
            type=_Given(path_type=Path, file_okay=False),
            help="Runs go to OUTPUT/<job id>; default: output_dir of the profile, else ./outputs.",
        ),
        click.option(
            "-f",
            "--file",
            "files",
            multiple=True,
            required=True,
            type=_Given(readable=False),
            metavar="RECIPE|DIR|-",
            help="A recipe, recipe:variant, a directory of recipes, or - for standard input.",
        ),
    ):
        command = option(command)
    return command


@cli.command()
@_submission
def apply(*, as_json: bool, yes: bool, tags: str, **request: Any) -> int:  # noqa: ANN401 -- as click hands them over
    """Compile recipes and submit their jobs."""
    from srtplan.cli import apply as command  # noqa: PLC0415
    from srtplan.cli.gather import Request, split_tags  # noqa: PLC0415

    return command.run(Request(tags=split_tags(tags), **request), as_json=as_json, yes=yes)


@cli.command("dry-run")
@_submission
def dry_run(*, as_json: bool, yes: bool, tags: str, **request: Any) -> int:  # noqa: ANN401
    """Show all that apply would submit: directives, nodes, mounts, environment, every command."""
    from srtplan.cli import dryrun  # noqa: PLC0415
    from srtplan.cli.gather import Request, split_tags  # noqa: PLC0415

    del yes
    return dryrun.run(Request(tags=split_tags(tags), **request), as_json=as_json)


@cli.command()
@click.argument("bundle", type=_Given(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--fault", "faults", multiple=True, metavar="STEP:KIND[@S]", help="Let a step fail: decode_1:crash@5s"
)
@click.option("-o", "--output", type=_Given(path_type=Path), help="Where the run goes; default: outputs/.")
@click.option(
    "--timeout", type=click.FloatRange(min=1), help="End it as a time limit would, after so many seconds."
)
def rehearse(bundle: Path, faults: tuple[str, ...], output: Path | None, timeout: float | None) -> int:
    """Run a BUNDLE on this machine with simulated Slurm and engines: no root, no GPU."""
    from srtplan.cli import rehearsal  # noqa: PLC0415

    return rehearsal.run(bundle, faults=faults, output=output, timeout=timeout)


_TOGETHER = (("--fail-above", "--compare"), ("--threshold", "--compare"), ("--format", "--pictures"))
_APART = (("--csv", "--json"), *(("--compare", name) for name in ("--csv", "--json", "--html", "--pictures")))
"""Options of ``results`` of which one would have no effect."""


def _fit(ctx: click.Context) -> None:
    """Raise UsageError for options that have no effect."""
    given = {
        p.opts[0]
        for p in ctx.command.params
        if p.name and ctx.get_parameter_source(p.name) is click.core.ParameterSource.COMMANDLINE
    }
    for name, other in _TOGETHER:
        if name in given and other not in given:
            raise click.UsageError(f"{name} needs {other}", ctx)
    for pair in _APART:
        if given.issuperset(pair):
            raise click.UsageError(f"{' and '.join(pair)} do not go together", ctx)


def _percent(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """From 0 up; NaN is above and below nothing."""
    if value is not None and not value >= 0:
        raise click.BadParameter("must be a number of percent, 0 or more", ctx, param)
    return value


@cli.command()
@click.argument(
    "runs", nargs=-1, required=True, metavar="RUN...", type=_Given(path_type=Path, readable=False)
)
@click.option("--csv", "as_csv", is_flag=True, help="A row per measured run, instead of the tables.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Everything, and the Pareto front of every workload, instead of the tables.",
)
@click.option(
    "--html", type=_Given(path_type=Path, dir_okay=False), help="Write one page with tables and pictures."
)
@click.option(
    "--pictures", type=_Given(path_type=Path, file_okay=False), help="Write the pictures into a folder."
)
@click.option(
    "--format", "kinds", multiple=True, type=click.Choice(["png", "svg"]), default=["png"], show_default=True,
    help="Of the pictures; may be given twice.",
)  # fmt: skip
@click.option(
    "--compare", is_flag=True, help="Two runs beside each other, with the difference of their plans."
)
@click.option(
    "--threshold", default=5.0, show_default=True, callback=_percent, metavar="PERCENT",
    help="With --compare: from which a change is marked.",
)  # fmt: skip
@click.option(
    "--fail-above", type=float, callback=_percent, metavar="PERCENT",
    help="With --compare: exit with 1 if a figure is worse by more, or missing.",
)  # fmt: skip
@click.pass_context
def results(
    ctx: click.Context, runs: tuple[Path, ...], *, as_csv: bool, as_json: bool, html: Path | None, pictures: Path | None,
    kinds: tuple[str, ...], compare: bool, threshold: float, fail_above: float | None,
) -> int:  # fmt: skip
    """Show what RUNs have left: a run's directory, a job's, or a directory of jobs.

    Exits with 0 if all was shown, 1 if a run is missing or broken.
    """
    from srtplan.cli import results as command  # noqa: PLC0415

    _fit(ctx)
    if compare:
        return command.compare(runs, threshold=threshold, fail_above=fail_above)
    form = "csv" if as_csv else "json" if as_json else "table"
    return command.show(runs, form=form, html=html, folder=pictures, kinds=kinds)
