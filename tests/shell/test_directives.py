"""#SBATCH lines as the real sbatch reads them."""

from __future__ import annotations

import pytest
from slurm_cluster.client import Cluster

from srtplan.bundle import quote

VALUES = [
    *(
        "plain",
        "two words",
        "  leading",
        "it's",
        'a"b',
        "back\\slash",
        "ends\\",
        'a\\"b',
        "tab\there",
        "a=b",
        "",
    ),
    *("a#b", "#x", "$HOME", "`id`", "*;&|<>()", "'", "\N{LATIN SMALL LETTER E WITH ACUTE}"),
]


@pytest.mark.cluster
@pytest.mark.parametrize("value", VALUES)
def test_a_directive_arrives_as_it_is(real: Cluster, value: str) -> None:
    """Slurm reads the value of a directive byte for byte."""
    lines = [
        f"#SBATCH {quote.sbatch(d).text}"
        for d in (f"--comment={value}", "--job-name=after", "--output=/dev/null")
    ]
    job = real.sbatch(real.script("directive.sh", "\n".join([*lines, "true\n"])))
    said = real.run(["squeue", "--noheader", "--states=all", f"--jobs={job.id}", "--format=%k|%j"]).stdout
    assert said == f"{value}|after\n"
