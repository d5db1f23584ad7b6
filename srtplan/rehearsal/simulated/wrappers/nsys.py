"""nsys: the program behind it writes the report that nsys would write, told by its environment."""

import os

from srtplan.rehearsal.simulation.flags import Flags

REPORT, AFTER = "SRT_REHEARSAL_NSYS", "SRT_REHEARSAL_NSYS_AFTER"
"""Where the report goes, without its suffix; how many seconds after the start, where a time is given."""


def prepare(options: Flags) -> None:
    """Tell the program behind where its report goes, and when it is due."""
    report = options.text("o", "output", default="report1").removesuffix(".nsys-rep")
    os.environ[REPORT] = report.replace("%q{SLURM_PROCID}", os.environ.get("SLURM_PROCID", "0"))
    seconds = options.number("delay", default=0) + options.number("duration", default=0)
    os.environ[AFTER] = str(seconds) if options.has("duration") else ""
