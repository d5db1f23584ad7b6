"""Random damage to recipes, as caused by people, editors and disks.

In: the text of a real recipe and a random generator. Out: the bytes of the damaged file and the kind of damage. The result
depends only on the seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import yaml

Mutation = Callable[[str, random.Random], bytes]
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 10**9, 10**400, 1.5, float("inf"), float("nan"), "", " ", "x" * 5000, "\x85", "${HOME}", "{node}", "../..", "a\nb",
    [], [None], [[]], {}, {"x": {}}, {"": ""}, {None: 1}, {1: 2}, [{"a": 1}, 2], "🙂", "8", "yes", "4:00:00", "2001-01-01",
)  # fmt: skip


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values below the top."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for k, v in items for p in ((*path, k), *_places(v, (*path, k)))]


def _tree(change: Callable[[Any, Any, random.Random], None]) -> Mutation:
    """Return a mutation that changes a few values of the document."""

    def mutate(text: str, rng: random.Random) -> bytes:
        tree = yaml.safe_load(text)
        for _ in range(rng.choice([1, 1, 2, 5])):
            *way, key = rng.choice(_places(tree))
            holder = tree
            for part in way:
                holder = holder[part]
            change(holder, key, rng)
        return str(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)).encode()

    return mutate


def _wrong_type(holder: Any, key: Any, rng: random.Random) -> None:
    holder[key] = rng.choice(ODD)


def _missing(holder: Any, key: Any, rng: random.Random) -> None:
    del rng
    del holder[key]


def _extra(holder: Any, key: Any, rng: random.Random) -> None:
    if isinstance(holder, list):
        holder.append(rng.choice(ODD))
    else:
        holder[f"{key}{rng.choice('sx_-')}"] = rng.choice(ODD)


def _truncated(text: str, rng: random.Random) -> bytes:
    raw = text.encode()
    return raw[: rng.randrange(len(raw))]


def _typos(text: str, rng: random.Random) -> bytes:
    letters = list(text)
    for _ in range(rng.choice([1, 3, 20])):
        at = rng.randrange(len(letters))
        letters[at] = rng.choice(
            ["", "\t", "\n", ":", "- ", "'", '"', "{", "]", "&a ", "*a ", "!!x ", "#", "%", "@", "|", "é"]
        )
    return "".join(letters).encode()


def _repeated_line(text: str, rng: random.Random) -> bytes:
    lines = text.splitlines()
    at = rng.randrange(len(lines))
    return "\n".join([*lines[: at + 1], *lines[at : at + rng.choice([1, 5])], *lines[at + 1 :]]).encode()


def _indented(text: str, rng: random.Random) -> bytes:
    lines = text.splitlines()
    at = rng.randrange(len(lines))
    lines[at] = rng.choice([" ", "\t", "   "]) + lines[at]
    return "\n".join(lines).encode()


def _binary(text: str, rng: random.Random) -> bytes:
    raw = bytearray(text.encode())
    kind = rng.choice(["noise", "all", "utf16", "nul"])
    if kind == "all":
        return rng.randbytes(20_000)
    if kind == "utf16":
        return text.encode("utf-16")
    for _ in range(5):
        raw[rng.randrange(len(raw))] = 0 if kind == "nul" else rng.randrange(256)
    return bytes(raw)


def _bomb(text: str, rng: random.Random) -> bytes:
    levels = "".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]\n" for n in range(1, 12))
    merged = "".join(f"m{n}: &m{n} {{x{n}: *m{n - 1}, y{n}: *m{n - 1}}}\n" for n in range(1, 30))
    lines = text.splitlines()
    return rng.choice(
        [
            f"b0: &b0 [x, x]\n{levels}{text}\nenvironment: *b11\n",
            f"m0: &m0 {{x: 1}}\n{merged}{text}\nbackend: *m29\n",
            text + "\nx: " + "[" * 100_000,
            text + "\nx: " + "{a: " * 20_000 + "1" + "}" * 20_000,
            "- " * 50_000,
            "".join(f"{'  ' * n}k{n}:\n" for n in range(600)),
            f"{text}\nself: &s {{s: *s}}\n",
            "\n".join([*lines, "sweep:", *(f"  p{n}: [{', '.join(map(str, range(50)))}]" for n in range(9))]),
            f"base:\n{''.join(f'  {line}{chr(10)}' for line in lines)}zip_override_z: {{name: [{'a, ' * 20_000}a]}}\n",
        ]
    ).encode()  # fmt: skip


def _large(text: str, rng: random.Random) -> bytes:
    size = rng.choice([100_000, 10_000_000])
    return rng.choice(
        [
            text + "\n#" + "x" * size,
            text + "\ndescription: " + "x" * size,
            text + "\nenvironment:\n" + "".join(f"  A{n}: 'x'\n" for n in range(size // 14)),
            text + "\ntags: [" + "a, " * (size // 3) + "a]",
            text + "\n" * size,
            text + "\nx: '" + "\\n" * (size // 2),
        ]
    ).encode()


def _numbers(text: str, rng: random.Random) -> bytes:
    """Replace every number of the resources."""
    tree = yaml.safe_load(text)
    for section in [tree.get("resources"), tree.get("base", {}).get("resources")]:
        for key, value in (section or {}).items():
            if isinstance(value, int):
                section[key] = rng.choice([0, 1, 7, 64, 1000, 10**6, 10**12, -3])
    return str(yaml.safe_dump(tree, sort_keys=False)).encode()


KINDS: dict[str, Mutation] = {
    "a wrong type": _tree(_wrong_type),
    "a missing key": _tree(_missing),
    "a key too many": _tree(_extra),
    "cut off": _truncated,
    "typing errors": _typos,
    "a repeated line": _repeated_line,
    "wrong indentation": _indented,
    "binary": _binary,
    "a bomb": _bomb,
    "large": _large,
    "other numbers": _numbers,
}


def mutate(text: str, seed: int) -> tuple[str, bytes]:
    """Return the kind of one mutation (kinds take turns) and the damaged file."""
    kind = list(KINDS)[seed % len(KINDS)]
    try:
        return kind, KINDS[kind](text, random.Random(seed))
    except (IndexError, KeyError):
        return "cut off", _truncated(text, random.Random(seed))
