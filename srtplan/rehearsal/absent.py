"""Files of the cluster that this machine does not have, as far as a rehearsal needs something in their place.

In: the plan. Out: a folder with, by their place in the container, the setup scripts and wheels that steps look for below
``/configs``. They say what would have happened and do nothing. Used only where the mount's source does not exist.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIGS = "configs"
SCRIPT = """echo "rehearsal: {name} is on the cluster; here it is not run"
"""


def prepare(plan: Mapping[str, Any], folder: Path) -> None:
    """Make the files that the preambles of the plan's steps look for."""
    (folder / CONFIGS).mkdir(parents=True)
    for step in plan.get("steps", ()):
        for call in step.get("preamble") or ():
            _stand_in(list(map(str, call)), folder / CONFIGS)


def _stand_in(call: list[str], configs: Path) -> None:
    match call:
        case ["setup::script", name] if not Path(name).is_absolute() and ".." not in Path(name).parts:
            (configs / name).parent.mkdir(parents=True, exist_ok=True)
            (configs / name).write_text(SCRIPT.format(name=Path(name).name), encoding="utf-8")
        case ["setup::dynamo_wheel", version, *_] if "/" not in version:
            (configs / f"ai_dynamo_runtime-{version}-simulated.whl").touch()
        case _:
            return
