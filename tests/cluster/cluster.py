#!/usr/bin/env python3
"""A real multi-node Slurm on one Linux machine, for the tests and for experiments.

    cluster.py up 4                  start it; returns when all nodes are idle
    cluster.py run sbatch job.sh     run a command on the login host
    cluster.py run --node node2 ps   run a command on a node
    cluster.py status                show the hosts and sinfo
    cluster.py power-off NODE        kill everything on NODE and drop its network; power-on boots it again
    cluster.py link-down NODE        cut NODE's network, its processes keep running; link-up restores it
    cluster.py down                  destroy it and remove all its files

It requires root, Linux with namespaces, and the packages that `tests/rig/install` installs. It uses only Python's standard
library. `slurm_cluster/__init__.py` describes how it is built.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from slurm_cluster import boot, commands
from slurm_cluster.config import DIRECTORY_VARIABLE, ClusterConfig, default_directory


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument(
        "--dir",
        type=lambda text: Path(text).absolute(),
        default=default_directory(),
        help=f"state of the cluster (default: ${DIRECTORY_VARIABLE}, else %(default)s)",
    )
    verbs = top.add_subparsers(dest="verb", required=True)
    add_up(verbs.add_parser("up", help="start a cluster"))
    down = verbs.add_parser("down", help="destroy the cluster")
    down.add_argument("--keep", action="store_true", help="keep the state directory, for its logs")
    run = verbs.add_parser("run", help="run a command on the login host or on a node")
    run.add_argument("--node", default="")
    run.add_argument("command", nargs=argparse.REMAINDER)
    verbs.add_parser("status", help="show the hosts and sinfo")
    for verb in ("power-off", "power-on", "link-down", "link-up"):
        verbs.add_parser(verb).add_argument("node")
    # the program calls itself with these three verbs, inside the cluster and as its guard
    verbs.add_parser("_login")
    verbs.add_parser("_node").add_argument("node")
    verbs.add_parser("_guard").add_argument("owner", type=int)
    return top


def add_up(up: argparse.ArgumentParser) -> None:
    """Add the options of `up`: one per field of ClusterConfig."""
    base = ClusterConfig(directory=Path("/"))
    up.add_argument("nodes", type=int)
    up.add_argument("--gpus", type=int, default=base.gpus, help="fake GPUs per node (%(default)s)")
    up.add_argument("--gpu-type", default=base.gpu_type, help="for --gpus-per-node=TYPE:N; without it only N")
    up.add_argument("--cpus", type=int, default=base.cpus, help="claimed CPUs per node (%(default)s)")
    up.add_argument("--prefix", default=base.prefix, help="node names are PREFIX0 and up (%(default)s)")
    up.add_argument("--auth", choices=("munge", "none"), default=base.auth)
    up.add_argument(
        "--share",
        action="append",
        default=[],
        type=os.path.abspath,
        help="a directory below /tmp that all nodes share (else /tmp is each node's own)",
    )
    up.add_argument(
        "--proctrack",
        choices=("auto", "cgroup", "linuxproc", "pgid"),
        default=base.proctrack,
        help="auto: cgroup where there is a writable v1 freezer, else linuxproc",
    )
    up.add_argument(
        "--no-pyxis", dest="pyxis", action="store_false", help="without the stand-in for --container-image"
    )
    up.add_argument("--images", type=os.path.abspath, help="where container images are found by name")
    up.add_argument("--conf", action="append", default=[], help="one more line for slurm.conf")
    up.add_argument("--debug", default=base.debug, help="SlurmctldDebug and SlurmdDebug (%(default)s)")
    up.add_argument("--slurmd-timeout", type=int, default=base.slurmd_timeout, help="seconds (%(default)s)")
    up.add_argument("--kill-wait", type=int, default=base.kill_wait, help="seconds (%(default)s)")
    up.add_argument("--timeout", type=float, default=60, help="seconds until `up` gives up (%(default)s)")
    up.add_argument("--scratch", type=os.path.abspath, help="a directory that goes away with the cluster")
    up.add_argument("--owner", type=int, default=0, help="a process whose end takes the cluster down")


def raise_cluster(args: argparse.Namespace) -> int:
    """Turn the options of `up` into a ClusterConfig."""
    given = {k: v for k, v in vars(args).items() if k in ClusterConfig.__dataclass_fields__}
    given |= {
        "share": tuple(args.share),
        "conf": tuple(args.conf),
        "images": args.images or "",
        "scratch": args.scratch or "",
    }
    return commands.up(ClusterConfig(directory=args.dir, **given), timeout=args.timeout, owner=args.owner)


VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "up": raise_cluster,
    "down": lambda args: commands.down(args.dir, keep=args.keep),
    "run": lambda args: commands.run(args.dir, args.command, node=args.node),
    "status": lambda args: commands.status(args.dir),
    "power-off": lambda args: commands.power(args.dir, args.node, on=False),
    "power-on": lambda args: commands.power(args.dir, args.node, on=True),
    "link-down": lambda args: commands.link(args.dir, args.node, up=False),
    "link-up": lambda args: commands.link(args.dir, args.node, up=True),
    "_login": lambda args: boot.login(args.dir),
    "_node": lambda args: boot.node(args.dir, args.node),
    "_guard": lambda args: commands.guard(args.dir, args.owner),
}


def main(argv: list[str]) -> int:
    """Run one verb and return its exit status."""
    args = parser().parse_args(argv)
    return VERBS[args.verb](args)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except commands.ClusterError as error:
        sys.exit(f"cluster: {error}")
