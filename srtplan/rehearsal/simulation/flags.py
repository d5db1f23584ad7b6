"""Command lines of engines, read leniently: ``--key value...``, ``--key=value``, ``--key``; the last one wins.

In: argv without the program. Out: values by name, ``_`` and ``-`` alike. A simulated engine knows only the options
that decide where it listens and whom it talks to, and accepts all others, as it must not need an update for each.
"""

from collections.abc import Sequence


class Flags:
    """Options of one command line, and the words that belong to none (before the first option)."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.argv = list(argv)
        self.words: list[str] = []
        self._all: list[tuple[str, list[str]]] = []
        for word in argv:
            if word.startswith("--") or (word.startswith("-") and len(word) > 1 and not word[1].isdigit()):
                name, has_value, value = word.lstrip("-").partition("=")
                self._all.append((name.replace("_", "-"), [value] if has_value else []))
            elif self._all:
                self._all[-1][1].append(word)
            else:
                self.words.append(word)

    def every(self, name: str) -> list[list[str]]:
        """Return the values of each occurrence of an option."""
        return [values for key, values in self._all if key == name]

    def has(self, *names: str) -> bool:
        """Tell whether one of the options is given."""
        return any(key in names for key, _ in self._all)

    def text(self, *names: str, default: str = "") -> str:
        """Return the value of the last of these options that has one."""
        found = [values[0] for key, values in self._all if key in names and values]
        return found[-1] if found else default

    def number(self, *names: str, default: int) -> int:
        """Return an integer option. Raises ValueError if its value is not a number."""
        return int(float(self.text(*names) or default))
