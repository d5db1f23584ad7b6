"""Slurm's host lists: ``node[0-3,7]`` and back.

In: text such as ``node[0-1,07],x``. Out: ``["node0", "node1", "node07", "x"]``. What Slurm 22.05 refuses is a
ValueError: something after a bracket, a bracket that is not closed, an invalid range.
"""

import re
from itertools import groupby

_PART = re.compile(r"[^,\[\]\s]*(?:\[[^\]]*\])?(?=,|$)")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?\Z")


def expand(text: str) -> list[str]:
    """Return the host names of a host list, in order."""
    hosts: list[str] = []
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None or not match.group():
            raise ValueError(f"Invalid hostlist: {text}")
        hosts += _expand_part(match.group(), text)
        position = match.end() + 1
    return hosts


def _expand_part(part: str, text: str) -> list[str]:
    """Return the names of one element, ``name`` or ``name[ranges]``."""
    if "[" not in part:
        return [part]
    prefix, inside = part[:-1].split("[", 1)
    names = []
    for piece in inside.split(","):
        match = _RANGE.match(piece)
        if match is None:
            raise ValueError(f"Invalid hostlist: {text}")
        first, last = match.group(1), match.group(2) or match.group(1)
        names += [f"{prefix}{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
    return names


def compress(hosts: list[str]) -> str:
    """Return the shortest host list of names, as Slurm writes it: ``node[0-2,5]``, ``node0``, ``a,b``."""
    words: list[str] = []
    parts = [(host.rstrip("0123456789"), host) for host in hosts]
    for prefix, group in groupby(parts, key=lambda part: part[0]):
        runs: list[list[str]] = []
        for digits in [host[len(prefix) :] for _, host in group]:
            last = runs[-1][-1] if runs else ""
            if last and digits == f"{int(last) + 1:0{len(last)}d}":
                runs[-1].append(digits)
            else:
                runs.append([digits])
        pieces = [run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
        inside = ",".join(pieces)
        words.append(f"{prefix}[{inside}]" if inside != runs[0][0] else prefix + inside)
    return ",".join(words)


def components(names: list[str], sizes: str) -> list[list[str]]:
    """Return the names of each component of a heterogeneous job, from the sizes ``"2 3"``; of one if there are none."""
    parts, first = [], 0
    for size in map(int, sizes.split() or [str(len(names))]):
        parts.append(names[first : first + size])
        first += size
    return parts
