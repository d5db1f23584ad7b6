"""Render recipe options as command-line flags, and check them.

In: the ``args`` mapping of a role, ``{"tensor_parallel_size": 8, "trust-remote-code": True, "x": None}``.
Out: words, ``--tensor-parallel-size 8 --trust-remote-code``.

``true`` becomes a bare flag; ``false`` and ``null`` are omitted. A list becomes one word per
item, a mapping becomes JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache

from srtplan.plugin import Data, Finding, Map, Path, Words, thaw, words

LAST_PORT = 65535
_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
_DIGITS = re.compile(r"[+-]?[0-9]{1,18}")


@lru_cache(maxsize=1024)
def dashed(key: str) -> str:
    """Return a flag's name as engines spell it: ``tensor_parallel_size`` is the flag ``--tensor-parallel-size``."""
    return key.replace("_", "-").lstrip("-")


def text(value: Data) -> str:
    """Return a scalar as an argument, a mapping or list as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return str(value) if isinstance(value, (str, int, float)) else json.dumps(thaw(value))


def render(
    args: Map, *, skip: Collection[str] = (), name: Callable[[str], str] = dashed, ordered: bool = True
) -> Words:
    """Return the flags of a mapping, sorted by key unless ``ordered`` is False; ``skip`` holds dashed names."""
    flat: list[str] = []
    pairs = sorted(args.pairs) if ordered else args.pairs
    for key, value in pairs:
        if name(key) in skip or value is None or value is False:
            continue
        flat.append(f"--{name(key)}")
        if isinstance(value, tuple):
            flat += [text(item) for item in value]
        elif value is not True:
            flat.append(text(value))
    return words(*flat)


def lookup(args: Map, *names: str) -> Data:
    """Return the value of the first of ``names`` (dashed) in the mapping, in either spelling; None if there is none."""
    by_name = {dashed(k): v for k, v in args.pairs}
    return next((by_name[n] for n in names if n in by_name), None)


def number(value: Data) -> int | None:
    """Return an integer, also from a string as on a command line; None for anything else."""
    if isinstance(value, str):
        return int(value) if _DIGITS.fullmatch(value.strip()) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def seconds(text: str) -> int:
    """Return a Slurm time limit in seconds, 0 if it is not one (sbatch(1): M, M:S, H:M:S, D-H, D-H:M, D-H:M:S)."""
    match = _TIME.fullmatch(text)
    if match is None:
        return 0
    days, a, b, c = (int(g) if g else 0 for g in match.groups())
    if match[1] is not None or match[4] is not None:
        return ((days * 24 + a) * 60 + b) * 60 + c
    return a * 60 + b


def find(args: Map, extra: Iterable[str], *names: str) -> tuple[bool, Data]:
    """Return whether a flag is set in the options or extra arguments, and its last value (True for a bare flag)."""
    found: tuple[bool, Data] = (False, None)
    value = lookup(args, *names)
    if value is not None and value is not False:
        found = (True, value)
    words = tuple(extra)
    for n, word in enumerate(words):
        head, equals, tail = word.partition("=")
        if head.startswith("-") and dashed(head.lstrip("-")) in names:
            following = words[n + 1 : n + 2]
            takes = following and not following[0].startswith("--")
            found = (True, tail if equals else following[0] if takes else True)
    return found


def count(args: Map, extra: Iterable[str], *names: str) -> int | None:
    """Return the integer value of a flag in the options or extra arguments, or None."""
    return number(find(args, extra, *names)[1])


def check_sizes(args: Map, extra: Iterable[str], at: Path, extra_at: Path, *names: str) -> Iterable[Finding]:
    """Report sizes that are not positive integers: their product is compared with the worker's GPUs."""
    places: list[tuple[Path, str, Data]] = [
        ((*at, k), k, v) for k, v in args.pairs if dashed(k) in names and v is not None
    ]
    words = tuple(extra)
    for n, word in enumerate(words):
        if word.startswith("-") and dashed(word.partition("=")[0].lstrip("-")) in names:
            places.append(((*extra_at, n), word.partition("=")[0], find(Map(), words[n : n + 2], *names)[1]))
    for path, key, value in places:
        if (number(value) or 0) <= 0:
            message = f"'{key}' must be a positive integer, not {text(value)}"
            yield Finding(rule="SP511", path=path, message=message)


def check_duplicates(args: Map, at: Path, *aliases: tuple[str, ...]) -> Iterable[Finding]:
    """Report a flag that several spellings set to different values; ``aliases`` are the dashed names of each flag."""
    first = {name: names[0] for names in aliases for name in names}
    seen: dict[str, tuple[str, Data]] = {}
    for key, value in args.pairs:
        name = dashed(key)
        other = seen.setdefault(first.get(name, name), (key, value))
        if other[0] != key and other[1] != value:
            yield Finding(
                rule="SP501",
                path=(*at, key),
                on_key=True,
                message=f"'{key}' and '{other[0]}' set the same flag to different values",
                help=f"remove one; the engine uses only the last '--{dashed(key)}'",
            )


def check_planned(args: Map, at: Path, flags: dict[str, str]) -> Iterable[Finding]:
    """Report flags that srtplan sets; ``flags`` maps a dashed name to the source of its value."""
    for key, _ in args.pairs:
        if dashed(key) in flags:
            yield Finding(
                rule="SP502",
                path=(*at, key),
                on_key=True,
                message=f"'{key}' is set by srtplan",
                help=f"remove it; {flags[dashed(key)]}",
            )


def check_extra_args(
    words: Iterable[str], args: Map, decides: Collection[str], at: Path, *, options: Collection[str] = ()
) -> Iterable[Finding]:
    """Report extra arguments that repeat the role's options, or that srtplan sets.

    ``options`` are flags that srtplan reads from the role's options only.
    """
    keys = {dashed(k): k for k, _ in args.pairs}
    for n, text in enumerate(words):
        name = dashed(text.removeprefix("--").partition("=")[0])
        if not text.startswith("--") or name not in (*keys, *decides, *options):
            continue
        problem, remedy = "is set by srtplan", "remove it"
        if name in keys:
            problem, remedy = f"repeats '{keys[name]}' of the role's options", "remove one of them"
        elif name in options:
            problem, remedy = "is not read by srtplan", f"move it to the role's options: `{name}: VALUE`"
        yield Finding(
            rule="SP501" if name in keys else "SP502",
            path=(*at, n),
            message=f"'{text}' in {at[-1]} {problem}",
            help=remedy,
        )


def check_port(args: Map, at: Path, name: str, floor: int) -> Iterable[Finding]:
    """Report an option that is not a port, or is in the ephemeral range of the nodes' kernel."""
    for key, value in args.pairs:
        if dashed(key) != name or value is None:
            continue
        if isinstance(value, int) and floor <= value <= LAST_PORT:
            message = f"port {value} is in the ephemeral range, which starts at {floor}"
            help_ = "use a lower port, remove the key, or set `ports.ephemeral_floor` in the cluster profile"
            yield Finding(rule="SP302", path=(*at, key), message=message, help=help_)
        elif not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LAST_PORT:
            message = f"'{key}: {text(value)}' is not a port (1 to {LAST_PORT})"
            help_ = "remove the key to have srtplan allocate a port"
            yield Finding(rule="SP509", path=(*at, key), message=message, help=help_)


def check_role(args: Map, at: Path, name: str, allowed: Collection[Data], mode: str) -> Iterable[Finding]:
    """Report an option whose value contradicts the role."""
    for key, value in args.pairs:
        if dashed(key) == name and value is not None and value not in allowed:
            yield Finding(
                rule="SP503",
                path=(*at, key),
                message=f"'{key}: {text(value)}' contradicts the role: it is set on {mode} workers",
                help="remove the key; srtplan sets the flag from the role",
            )
