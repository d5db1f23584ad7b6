"""The cluster profile ``srtslurm.yaml``: the search for it, and its content.

In: the current directory, the environment, ``--cluster``. Out: a ``Profile`` with its tree (whose values become defaults of
the recipe in ``layers``), the ``Site`` and its mounts; or problems. A named profile that is missing or invalid is an
error, as is a profile that was found but that another user could have written (``trust``). No profile is not an error.
"""

# ruff: noqa: RUF009 -- may() is attrs.field() with a description

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from functools import lru_cache
from pathlib import Path

import attrs
from attrs import evolve, field, frozen

from srtplan.config.layouts import mounts
from srtplan.config.layouts.environment import expand
from srtplan.config.layouts.v1_sections import may
from srtplan.config.locate import locate
from srtplan.config.trust import distrust
from srtplan.config.typed.plugins import check_type
from srtplan.config.typed.structure import AT, structure
from srtplan.config.yaml.parse import compose
from srtplan.config.yaml.source import fatal, read
from srtplan.config.yaml.tree import Mapping, Origin, Spot
from srtplan.diagnostics import Finding, Problem
from srtplan.ir.data import Data, Map
from srtplan.ir.recipe import SECRETS_FILE, MountRequest, Pairs, Ports, Site

NAME = "srtslurm.yaml"
VARIABLE = "SRTSLURM_CONFIG"
MAX_PORT = 65535
_FILE = re.compile(r"~?/.*[^/]")


@frozen(kw_only=True, eq=False, repr=False)
class ClusterFile:
    """The cluster profile ``srtslurm.yaml``: defaults of every recipe, and settings of the site."""

    cluster: str | None = may(None, "name of the cluster; for display only")
    default_account: str | None = may(None, "default of `slurm.account`")
    default_partition: str | None = may(None, "default of `slurm.partition`")
    default_time_limit: str | None = may(None, "default of `slurm.time_limit`")
    default_gpu_type: str | None = may(None, "default of `resources.gpu_type`")
    default_sbatch_directives: Pairs | None = may(
        None, "defaults of `sbatch_directives`, merged key by key; the recipe overrides them"
    )
    default_health_check: dict[str, int] | None = may(
        None, "default of `health_check`, for recipes without this section"
    )
    default_mounts: Pairs | None = may(
        None, "mounts of every job as a mapping of host path to container path"
    )
    default_bash_preamble: str | None = may(None, "shell text that every step runs first")
    default_host_setup: Data = may(
        None, "ignored with a warning: srtplan runs nothing on the nodes outside the job's steps"
    )
    env_from: tuple[str, ...] | None = may(None, "default of `env_from`")
    gpus_per_node: int | None = may(None, "default of `resources.gpus_per_node`")
    model_paths: Pairs | None = may(None, "aliases for `model.path`")
    containers: Pairs | None = may(None, "aliases for container images")
    use_gpus_per_node_directive: bool = may(default=True, doc="emit `--gpus-per-node`")
    use_segment_sbatch_directive: bool = may(default=True, doc="emit `--segment`")
    use_exclusive_sbatch_directive: bool = may(default=False, doc="emit `--exclusive`")
    use_het_jobs: bool = may(default=False, doc="default of `resources.het_jobs`")
    nginx_raise_ulimit: bool = may(default=False, doc="default of `frontend.nginx_raise_ulimit`")
    network_interface: str | None = may(
        None, "network interface whose address the nodes use to reach each other"
    )
    srtctl_root: str | None = may(None, "folder whose `configs/` is mounted at `/configs`")
    output_dir: str | None = may(
        None, "base directory of runs; defaults to `outputs` in the submit directory"
    )
    secrets_file: str | None = may(
        None,
        "file with `NAME=value` lines and mode 600, for variables of `env_from` that are not in the job's environment; "
        "`~/` is the submitter's home; defaults to `~/.srtplan-secrets`",
    )
    runtime: str = may("pyxis", "container runtime: `pyxis`, or `none` to run without containers")
    ports: Ports = may(Ports(), "first port of every kind")
    cloud: Map | None = may(None, "no effect (srtctl ignores it, too)")
    reporting: Map | None = may(None, "default of `reporting`")
    telemetry: Map | None = may(None, "no effect; srtplan does not collect metrics")


@frozen(kw_only=True, eq=False, repr=False)
class Profile:
    """A profile; ``tree`` is None if there is none."""

    tree: Mapping | None = None
    site: Site = field(factory=Site)
    mounts: tuple[MountRequest, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def broken(self) -> bool:
        """Whether the profile has errors, so that it is not used."""
        return any(p.severity == "error" for p in self.problems)


def load(cwd: Path, environ: Dict[str, str], cluster: Path | None) -> Profile:
    """Return the profile of ``--cluster``, of the environment, or of this directory and the two above it."""
    found = find(cwd, environ, cluster)
    if found is None:
        return Profile()
    path, name = found
    root, duplicates = _root(name, read(path, name).origin.text)
    profile = _profile(root, environ)
    return evolve(profile, problems=(*duplicates, *profile.problems))


@lru_cache(maxsize=4)
def _root(name: str, text: str) -> tuple[Mapping, tuple[Problem, ...]]:
    """Return the tree of a profile and its duplicate keys. Cached: all recipes of a directory share it."""
    origin = Origin(name, text)
    root, duplicates = compose(origin)
    if root is None:
        return Mapping(Spot(origin), {}), duplicates
    if not isinstance(root, Mapping):
        raise fatal(*duplicates, root.spot.problem("SP107", "a profile must be a mapping of keys to values"))
    return root, duplicates


def find(cwd: Path, environ: Dict[str, str], cluster: Path | None) -> tuple[Path, str] | None:
    """Return the path of the profile and the name to show for it.

    Raises InputError for a named profile that does not exist, and for a found one that cannot be trusted.
    """
    named = str(cluster) if cluster else environ.get(VARIABLE)
    if named:
        path = cwd / named
        if not path.is_file():
            by, undo = ("--cluster", "omit the option") if cluster else (VARIABLE, "unset the variable")
            message = f"no such file (named by {by})"
            hint = f"correct the path, or {undo}"
            raise fatal(
                Problem(
                    file=named, line=0, column=0, severity="error", rule="SP301", message=message, help=hint
                )
            )
        return path, named
    for prefix in ("", "../", "../../"):
        if (cwd / prefix / NAME).is_file():
            _trust(cwd / prefix / NAME, prefix + NAME)
            return cwd / prefix / NAME, prefix + NAME
    return None


def _trust(path: Path, name: str) -> None:
    """Raise InputError if anyone but the user and root could have written a profile that was found."""
    if why := distrust(path):
        message = f"another user could have written this profile: {why}"
        hint = f"check its content; to use it, pass --cluster {name}"
        raise fatal(
            Problem(file=name, line=0, column=0, severity="error", rule="SP306", message=message, help=hint)
        )


def _profile(root: Mapping, environ: Dict[str, str]) -> Profile:
    file, found = _file(root)
    findings = [*found]
    site = Site()
    requests: list[MountRequest] = []
    if file:
        site = _site(file, environ, findings)
        for host, target in file.default_mounts or ():
            made = mounts.make(host, target, "", "profile", environ, (AT, "default_mounts", host), findings)
            requests += [made] if made else []
    problems = tuple(locate(None, root, f) for f in findings)
    return Profile(tree=root, site=site, mounts=tuple(requests), problems=problems)


@lru_cache(maxsize=4)
def _file(root: Mapping) -> tuple[ClusterFile | None, tuple[Finding, ...]]:
    """Return the content of a profile and the problems that do not depend on the environment."""
    findings: list[Finding] = []
    file = structure(root, ClusterFile, (AT,), findings)
    if file:
        _check(file, findings)
    return file, tuple(findings)


def _site(file: ClusterFile, environ: Dict[str, str], findings: list[Finding]) -> Site:
    def path(key: str) -> str | None:
        value = getattr(file, key)
        return _folder(expand(value, environ, (AT, key), findings), key, findings) if value else None

    return Site(
        cluster=file.cluster,
        runtime=file.runtime,
        network_interface=file.network_interface,
        gpus_per_node_directive=file.use_gpus_per_node_directive,
        segment_directive=file.use_segment_sbatch_directive,
        exclusive_directive=file.use_exclusive_sbatch_directive,
        srtctl_root=path("srtctl_root"),
        output_dir=path("output_dir"),
        secrets_file=_secrets_file(file, environ, findings),
        bash_preamble=file.default_bash_preamble or "",
        ports=file.ports,
    )


def _secrets_file(file: ClusterFile, environ: Dict[str, str], findings: list[Finding]) -> str:
    """Return the path with variables expanded, but not ``~``: each user of the profile has a different home."""
    if file.secrets_file is None:
        return SECRETS_FILE
    at, home = (AT, "secrets_file"), "~" if file.secrets_file.startswith("~") else ""
    known = len(findings)
    found = home + expand(file.secrets_file[len(home) :], environ, at, findings)
    is_path = _FILE.fullmatch(found) and found.isprintable()
    if not is_path and len(findings) == known:
        message = f"'{found}' is not the path of a file"
        hint = "write an absolute path, or a path that begins with ~/"
        findings.append(Finding(rule="SP304", path=at, message=message, help=hint))
    return found


def _folder(value: str, key: str, findings: list[Finding]) -> str:
    """Return a folder of the profile; add a finding if it cannot be written to or mounted (mounts have no quoting)."""
    at = (AT, key)
    if any(f.path == at for f in findings):
        return value
    if key == "srtctl_root" and (not value.startswith("/") or ":" in value or "," in value):
        message = f"{key} must be an absolute path without ',' and ':', not '{value}'"
        findings.append(Finding(rule="SP305", path=at, message=message))
    elif not value.isprintable():
        message = f"{key} cannot contain control characters: {value!r}"
        findings.append(Finding(rule="SP305", path=at, message=message))
    return value


def _check(file: ClusterFile, findings: list[Finding]) -> None:
    check_type("runtime", file.runtime, (AT, "runtime"), findings)
    for port in attrs.fields(Ports):
        findings.extend(_port(port.name, getattr(file.ports, port.name), file.ports.ephemeral_floor))
    for key, value in (("cloud", file.cloud), ("telemetry", file.telemetry)):
        if value:
            message = f"'{key}' has {attrs.fields_dict(ClusterFile)[key].metadata['doc']}"
            findings += [
                Finding(
                    rule="SP132",
                    path=(AT, key),
                    on_key=True,
                    severity="warning",
                    message=message,
                    help="remove it",
                )
            ]
    if file.default_host_setup:
        message = "'default_host_setup' is ignored: srtplan runs nothing on the nodes outside the job's steps"
        hint = "move commands that every step needs to `default_bash_preamble:`"
        path = (AT, "default_host_setup")
        findings += [
            Finding(rule="SP133", path=path, on_key=True, severity="warning", message=message, help=hint)
        ]
    name = file.network_interface
    if name is not None and (not name or not name.isascii() or any(c in " /\t\n" for c in name)):
        message = f"'{name}' is not the name of a network interface"
        hint = "write a name from `ip -brief address` on a node"
        findings.append(Finding(rule="SP303", path=(AT, "network_interface"), message=message, help=hint))


def _port(name: str, value: int, floor: int) -> list[Finding]:
    """Return the problem of a port outside its range or in the kernel's ephemeral range, or of a stride below 1."""
    at = (AT, "ports", name)
    if name.endswith("_stride"):
        return (
            []
            if value > 0
            else [Finding(rule="SP302", path=at, message=f"{name} must be at least 1, not {value}")]
        )
    if not 0 < value <= MAX_PORT:
        return [
            Finding(rule="SP302", path=at, message=f"{name} must be a port from 1 to {MAX_PORT}, not {value}")
        ]
    if name != "ephemeral_floor" and value >= floor:
        message = f"port {value} of {name} lies in the ephemeral range, which starts at {floor}"
        hint = (
            "choose a lower port, or set `ephemeral_floor:` under `ports:` to the start of the nodes' range"
        )
        return [Finding(rule="SP302", path=at, message=message, help=hint)]
    return []
