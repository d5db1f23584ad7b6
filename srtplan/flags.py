"""Options of a recipe as command-line flags.

In: the ``args`` mapping of a role, ``{"tensor_parallel_size": 8, "trust-remote-code": True, "x": None}``.
Out: words, ``--tensor-parallel-size 8 --trust-remote-code``.

``true`` is a bare flag, ``false`` and ``null`` are nothing, a list is one word per item, a mapping is JSON.
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
    """The flag's name as engines spell it: ``tensor_parallel_size`` and ``--tensor-parallel-size`` are the same flag."""
    return key.replace("_", "-").lstrip("-")


def text(value: Data) -> str:
    """A scalar as an argument; a mapping or list as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return str(value) if isinstance(value, (str, int, float)) else json.dumps(thaw(value))


def render(
    args: Map, *, skip: Collection[str] = (), name: Callable[[str], str] = dashed, ordered: bool = True
) -> Words:
    """The flags of a mapping, sorted by key unless ``ordered`` is False; ``skip`` holds dashed names."""
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
    """The value of the first of ``names`` (dashed) that the mapping has in either spelling; None if it has none."""
    by_name = {dashed(k): v for k, v in args.pairs}
    return next((by_name[n] for n in names if n in by_name), None)


def number(value: Data) -> int | None:
    """A whole number, also one that is written as a text, as a command line takes it; else None."""
    if isinstance(value, str):
        return int(value) if _DIGITS.fullmatch(value.strip()) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def seconds(text: str) -> int:
    """Seconds of a time limit as Slurm writes it, 0 for none (sbatch(1): M, M:S, H:M:S, D-H, D-H:M, D-H:M:S)."""
    match = _TIME.fullmatch(text)
    if match is None:
        return 0
    days, a, b, c = (int(g) if g else 0 for g in match.groups())
    if match[1] is not None or match[4] is not None:
        return ((days * 24 + a) * 60 + b) * 60 + c
    return a * 60 + b


def find(args: Map, extra: Iterable[str], *names: str) -> tuple[bool, Data]:
    """Whether a flag stands among the options or the further words, and its last value; True without one."""
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
    """The number that a flag has among the options or the further words; None if it has none."""
    return number(find(args, extra, *names)[1])


def check_sizes(args: Map, extra: Iterable[str], at: Path, extra_at: Path, *names: str) -> Iterable[Finding]:
    """Sizes that must be whole and positive, for what they multiply is compared with the GPUs."""
    places: list[tuple[Path, str, Data]] = [
        ((*at, k), k, v) for k, v in args.pairs if dashed(k) in names and v is not None
    ]
    words = tuple(extra)
    for n, word in enumerate(words):
        if word.startswith("-") and dashed(word.partition("=")[0].lstrip("-")) in names:
            places.append(((*extra_at, n), word.partition("=")[0], find(Map(), words[n : n + 2], *names)[1]))
    for path, key, value in places:
        if (number(value) or 0) <= 0:
            message = f"'{key}' must be a positive whole number, not {text(value)}"
            yield Finding(rule="SP511", path=path, message=message)


def check_duplicates(args: Map, at: Path, *same: tuple[str, ...]) -> Iterable[Finding]:
    """A flag that stands in several spellings with different values; ``same`` are dashed names of one flag."""
    first = {name: names[0] for names in same for name in names}
    seen: dict[str, tuple[str, Data]] = {}
    for key, value in args.pairs:
        name = dashed(key)
        other = seen.setdefault(first.get(name, name), (key, value))
        if other[0] != key and other[1] != value:
            yield Finding(
                rule="SP501",
                path=(*at, key),
                on_key=True,
                message=f"'{key}' and '{other[0]}' are the same flag with different values",
                help=f"keep one of them; the engine would take only the last '--{dashed(key)}'",
            )


def check_planned(args: Map, at: Path, flags: dict[str, str]) -> Iterable[Finding]:
    """Flags that the Plan decides; ``flags`` maps a dashed name to where the value comes from."""
    for key, _ in args.pairs:
        if dashed(key) in flags:
            yield Finding(
                rule="SP502",
                path=(*at, key),
                on_key=True,
                message=f"'{key}' is decided by the plan",
                help=f"remove it; {flags[dashed(key)]}",
            )


def check_extra_args(
    words: Iterable[str], args: Map, decides: Collection[str], at: Path, *, options: Collection[str] = ()
) -> Iterable[Finding]:
    """Flags among further words that the role's options have already, or that the Plan decides.

    ``options`` are flags that the plan takes from the options and must not miss.
    """
    given = {dashed(k): k for k, _ in args.pairs}
    for n, text in enumerate(words):
        name = dashed(text.removeprefix("--").partition("=")[0])
        if not text.startswith("--") or name not in (*given, *decides, *options):
            continue
        own, remedy = "it is decided by the plan", "remove it"
        if name in given:
            own, remedy = f"'{given[name]}' stands among the options, too", "keep one of them"
        elif name in options:
            own, remedy = "the plan would not know of it", f"write '{name}' among the options of the role"
        yield Finding(
            rule="SP501" if name in given else "SP502",
            path=(*at, n),
            message=f"'{text}' of the further words: {own}",
            help=remedy,
        )


def check_port(args: Map, at: Path, name: str, floor: int) -> Iterable[Finding]:
    """An option that must be a port, below those that the kernel of the nodes hands out."""
    for key, value in args.pairs:
        if dashed(key) != name or value is None:
            continue
        if isinstance(value, int) and floor <= value <= LAST_PORT:
            message = f"port {value} lies in the ephemeral range, which starts at {floor}"
            help_ = "choose a lower port, leave it out, or set ports.ephemeral_floor in the profile"
            yield Finding(rule="SP302", path=(*at, key), message=message, help=help_)
        elif not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LAST_PORT:
            message = f"'{key}: {text(value)}' is no port: a number from 1 to {LAST_PORT}"
            help_ = "leave it out to have the plan choose one"
            yield Finding(rule="SP509", path=(*at, key), message=message, help=help_)


def check_role(args: Map, at: Path, name: str, allowed: Collection[Data], mode: str) -> Iterable[Finding]:
    """An option whose value does not fit the role."""
    for key, value in args.pairs:
        if dashed(key) == name and value is not None and value not in allowed:
            yield Finding(
                rule="SP503",
                path=(*at, key),
                message=f"'{key}: {text(value)}' contradicts the role: these are {mode} workers",
                help="remove the flag; the plan sets it",
            )
