"""Command lines of Slurm's commands: ``--key=value``, ``--key value``, ``-k value``, flags, then words.

In: the options a command knows and its argv. Out: a dict of the options and the rest. Errors read like those of
the real commands (getopt's texts), measured on Slurm 22.05.
"""

import sys
from collections.abc import Callable

VERSION = "slurm 22.05.8"
"""The release whose behaviour the stand-ins follow; what ``--version`` prints."""


class Known:
    """The options of one command. ``values`` take a word, ``maybe`` take one only after ``=``, ``flags`` none.

    ``is_mixed``: options may stand after words, too, as in scancel and scontrol.
    """

    def __init__(
        self, command: str, values: str, maybe: str = "", flags: str = "", *, short: dict[str, str], error: int = 1,
        is_mixed: bool = False,
    ) -> None:  # fmt: skip
        self.command, self.short, self.error, self.is_mixed = command, short, error, is_mixed
        self.values, self.maybe, self.flags = set(values.split()), set(maybe.split()), set(flags.split())


class UsageError(Exception):
    """A command line that the real command would refuse; ``code`` is its exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def run(known: Known, argv: list[str], body: Callable[[dict[str, str], list[str]], int]) -> int:
    """Parse a command line, do what ``body`` does with options and words, and return the exit code."""
    try:
        options, words = (_parse_mixed if known.is_mixed else parse)(known, argv)
        if "version" in options:
            sys.stdout.write(f"{VERSION}\n")
            return 0
        return body(options, words)
    except UsageError as error:
        complain(str(error))
        return error.code


def parse(known: Known, argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """Split argv into options and words; parsing ends at the first word that is not an option, as in srun.

    Raises UsageError for an unknown option or a missing value.
    """
    found: dict[str, str] = {}
    rest = list(argv)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            _long(known, word, rest, found)
        else:
            _short(known, word, rest, found)
    return found, rest


def _parse_mixed(known: Known, argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """Like ``parse``, with options after words, too."""
    found: dict[str, str] = {}
    words: list[str] = []
    rest = list(argv)
    while rest:
        options, rest = parse(known, rest)
        found.update(options)
        if rest:
            words.append(rest.pop(0))
    return found, words


def _long(known: Known, word: str, rest: list[str], found: dict[str, str]) -> None:
    name, has_value, value = word[2:].partition("=")
    if name in known.values:
        if not has_value and not rest:
            raise _usage(known, f"option '--{name}' requires an argument")
        found[name] = value if has_value else rest.pop(0)
    elif name in known.maybe:
        found[name] = value
    elif name in known.flags and not has_value:
        found[name] = ""
    elif name in known.flags:
        raise _usage(known, f"option '--{name}' doesn't allow an argument")
    else:
        raise _usage(known, f"unrecognized option '{word}'")


def _short(known: Known, word: str, rest: list[str], found: dict[str, str]) -> None:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        name = known.short.get(letter)
        if name is None:
            raise _usage(known, f"invalid option -- '{letter}'")
        if name not in known.values:
            found[name] = ""
        elif letters or rest:
            found[name], letters = (letters or rest.pop(0)), ""
        else:
            raise _usage(known, f"option requires an argument -- '{letter}'")


def _usage(known: Known, message: str) -> UsageError:
    text = f'{known.command}: {message}\nTry "{known.command} --help" for more information'
    return UsageError(text, known.error)


def complain(message: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


PYXIS_VALUES = "container-image container-mounts container-workdir container-name container-env"
PYXIS_FLAGS = """container-mount-home no-container-mount-home container-remap-root no-container-remap-root
    container-entrypoint no-container-entrypoint container-entrypoint-log container-writable container-readonly"""
COMMON = f"""{PYXIS_VALUES}
    account acctg-freq chdir comment constraint core-spec cores-per-socket cpu-bind cpu-freq cpus-per-gpu
    cpus-per-task delay-boot dependency distribution error exclude export gpu-bind gpu-freq gpus gpus-per-node
    gpus-per-socket gpus-per-task gres hint immediate input job-name licenses mem mem-bind mem-per-cpu mem-per-gpu
    network nodefile nodelist nodes ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode
    output partition qos reservation segment signal sockets-per-node threads-per-core time time-min tmp wckey"""
SHORT = {
    "A": "account", "c": "cpus-per-task", "C": "constraint", "D": "chdir", "d": "dependency", "e": "error",
    "G": "gpus", "h": "help", "i": "input", "J": "job-name", "k": "no-kill", "L": "licenses", "m": "distribution",
    "N": "nodes", "n": "ntasks", "o": "output", "O": "overcommit", "p": "partition", "Q": "quiet",
    "s": "oversubscribe", "S": "core-spec", "t": "time", "v": "verbose", "V": "version", "w": "nodelist",
    "x": "exclude",
}  # fmt: skip
SRUN = Known(
    "srun",
    values=f"""{COMMON} bcast het-group jobid mpi msg-timeout relative slurmd-debug task-epilog task-prolog threads
    wait""",
    maybe="kill-on-bad-exit no-kill exclusive propagate",
    flags=f"""{PYXIS_FLAGS} contiguous disable-status exact external-launcher help interactive label no-allocate
    overcommit overlap oversubscribe preserve-env pty quiet quit-on-interrupt spread-job unbuffered verbose version
    whole""",
    short=SHORT
    | {
        "K": "kill-on-bad-exit", "l": "label", "q": "quit-on-interrupt", "r": "relative", "T": "threads",
        "u": "unbuffered", "W": "wait", "X": "disable-status",
    },
    error=255,
)  # fmt: skip
SBATCH = Known(
    "sbatch",
    values=f"""{COMMON} array batch begin clusters deadline export-file gid kill-on-invalid-dep mail-type mail-user
    mcs-label power priority profile switches uid wrap""",
    maybe="no-kill exclusive propagate get-user-env nice",
    flags=f"""{PYXIS_FLAGS} contiguous help hold ignore-pbs no-requeue overcommit oversubscribe parsable quiet reboot
    requeue spread-job test-only use-min-nodes verbose version wait""",
    short=SHORT | {"a": "array", "b": "begin", "H": "hold", "W": "wait", "F": "nodefile"},
    error=255,
)
