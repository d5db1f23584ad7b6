"""Run a bundle on this machine, without Slurm, GPUs or root: ``srtplan rehearse BUNDLE``.

``slurm/`` stands in for Slurm's commands, ``simulated/`` for the programs that the steps start, and ``run.py``
puts both on PATH and runs the bundle's ``job.sh``. The stand-ins are started as programs of their own
(``start.py``), hundreds of times in one rehearsal: they import nothing but the standard library and this package,
and what this module offers is imported only on first use.
"""

TYPE_CHECKING = False  # as typing says, without the time that importing typing takes in each stand-in
if TYPE_CHECKING:
    from srtplan.rehearsal.cluster import StandInCluster
    from srtplan.rehearsal.faults import Fault, FaultError
    from srtplan.rehearsal.run import RehearsalError, rehearse

__all__ = ["Fault", "FaultError", "RehearsalError", "StandInCluster", "rehearse"]

_HOMES = {
    "Fault": "faults",
    "FaultError": "faults",
    "RehearsalError": "run",
    "StandInCluster": "cluster",
    "rehearse": "run",
}


def __getattr__(name: str) -> object:
    """Import the requested name (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415 (a stand-in must not pay for it)

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
