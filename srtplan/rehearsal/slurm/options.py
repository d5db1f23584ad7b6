"""Command lines of Slurm's commands: ``--key=value``, ``--key value``, ``-k value``, flags, then words.

In: the options a command knows and its argv. Out: a dict of the options and the rest. Errors read like those of
the real commands (getopt's texts), measured on Slurm 22.05.
"""

import sys
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Known:
    """The options of one command. ``values`` take a word, ``maybe`` take one only after ``=``, ``flags`` none."""

    command: str
    values: frozenset[str]
    maybe: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    short: dict[str, str] = field(default_factory=dict)
    error: int = 1


class UsageError(Exception):
    """A command line that the real command would refuse; ``code`` is its exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def parse(known: Known, argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """Split argv into options and words; parsing ends at the first word that is no option, as in srun.

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


def parse_anywhere(known: Known, argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """Like ``parse``, with options after words too, as in scancel and scontrol."""
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


PYXIS_VALUES = frozenset({"container-image", "container-mounts", "container-workdir", "container-name", "container-env"})
PYXIS_FLAGS = frozenset(
    f"{no}container-{name}" for no in ("", "no-") for name in ("mount-home", "remap-root", "entrypoint", "writable", "readonly")
) | {"container-entrypoint-log"}

SRUN = Known(
    command="srun",
    values=PYXIS_VALUES
    | frozenset(
        """account acctg-freq bcast chdir comment constraint core-spec cores-per-socket cpus-per-gpu cpus-per-task
        cpu-bind cpu-freq delay-boot dependency distribution error exclude export gpu-bind gpu-freq gpus
        gpus-per-node gpus-per-socket gpus-per-task gres het-group hint immediate input job-name jobid licenses mem
        mem-bind mem-per-cpu mem-per-gpu mpi msg-timeout network nodefile nodelist nodes ntasks ntasks-per-core
        ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode output partition qos relative reservation segment
        signal slurmd-debug sockets-per-node task-epilog task-prolog threads threads-per-core time time-min tmp wait
        wckey""".split()
    ),
    maybe=frozenset({"kill-on-bad-exit", "no-kill", "exclusive", "propagate"}),
    flags=PYXIS_FLAGS
    | frozenset(
        """contiguous disable-status exact external-launcher interactive label no-allocate overcommit overlap
        oversubscribe preserve-env pty quiet quit-on-interrupt spread-job unbuffered verbose whole version
        help""".split()
    ),
    short={
        "A": "account", "c": "cpus-per-task", "C": "constraint", "D": "chdir", "d": "dependency", "e": "error",
        "G": "gpus", "h": "help", "i": "input", "J": "job-name", "k": "no-kill", "K": "kill-on-bad-exit",
        "l": "label", "L": "licenses", "m": "distribution", "N": "nodes", "n": "ntasks", "o": "output",
        "O": "overcommit", "p": "partition", "q": "quit-on-interrupt", "Q": "quiet", "r": "relative",
        "s": "oversubscribe", "S": "core-spec", "t": "time", "T": "threads", "u": "unbuffered", "v": "verbose",
        "V": "version", "w": "nodelist", "W": "wait", "x": "exclude", "X": "disable-status",
    },
    error=255,
)  # fmt: skip

SBATCH = Known(
    command="sbatch",
    values=(SRUN.values - {"bcast", "threads", "msg-timeout", "het-group", "task-epilog", "task-prolog", "slurmd-debug"})
    | frozenset(
        """array batch begin clusters deadline export-file gid kill-on-invalid-dep mail-type mail-user mcs-label
        nice power priority profile switches test-only uid wrap""".split()
    ),
    maybe=frozenset({"no-kill", "exclusive", "propagate", "get-user-env", "nice"}),
    flags=PYXIS_FLAGS
    | frozenset(
        """contiguous ignore-pbs no-requeue overcommit oversubscribe parsable quiet reboot requeue spread-job
        test-only use-min-nodes verbose version wait hold help""".split()
    ),
    short={k: v for k, v in SRUN.short.items() if v not in {"kill-on-bad-exit", "label", "threads", "wait", "unbuffered"}}
    | {"a": "array", "b": "begin", "H": "hold", "W": "wait", "F": "nodefile"},
    error=255,
)
