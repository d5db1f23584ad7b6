"""Slurm's host lists: ``node[0-3,7]`` and back.

In: text such as ``node[0-1,07],x``. Out: ``["node0", "node1", "node07", "x"]``. What Slurm 22.05 refuses is a
ValueError: something after a bracket, a bracket that is not closed, a range that is none.
"""

import re

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
    runs: list[tuple[str, int, int, int]] = []  # prefix, width, first, last
    for host in hosts:
        prefix = host.rstrip("0123456789")
        digits = host[len(prefix) :]
        last = runs[-1] if runs else None
        if last and digits and last[0] == prefix and digits == f"{last[3] + 1:0{last[1]}d}":
            runs[-1] = (prefix, last[1], last[2], int(digits))
        else:
            runs.append((prefix, len(digits), int(digits or -1), int(digits or -1)))
    return ",".join(_write_runs(runs))


def _write_runs(runs: list[tuple[str, int, int, int]]) -> list[str]:
    """Join neighbouring runs of one prefix into one pair of brackets."""
    groups: list[tuple[str, list[tuple[int, int, int]]]] = []
    for prefix, width, first, last in runs:
        if groups and groups[-1][0] == prefix and first >= 0:
            groups[-1][1].append((width, first, last))
        else:
            groups.append((prefix, [(width, first, last)]))
    words = []
    for prefix, ranges in groups:
        pieces = [f"{a:0{w}d}" if a == b else f"{a:0{w}d}-{b:0{w}d}" for w, a, b in ranges]
        if ranges[0][1] < 0:
            words.append(prefix)
        elif len(ranges) == 1 and ranges[0][1] == ranges[0][2]:
            words.append(prefix + pieces[0])
        else:
            words.append(f"{prefix}[{','.join(pieces)}]")
    return words


def components(names: list[str], sizes: str) -> list[list[str]]:
    """Return the names of each component of a heterogeneous job, from the sizes ``"2 3"``; of one if there are none."""
    parts, first = [], 0
    for size in map(int, sizes.split() or [str(len(names))]):
        parts.append(names[first : first + size])
        first += size
    return parts
