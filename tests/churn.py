"""Count the golden lines that an edit of one recipe field changes.

In: ``EDITS``, each a field of an example and its new value. Out: the number of changed lines by golden file. A replaced line
counts once: the count of a file is the larger of the added and deleted lines of ``git diff --numstat``.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import goldens
import yaml
from attrs import frozen

from srtplan import pipeline


@frozen(eq=False)
class Edit:
    """A new value for one field of an example, by its dotted key; a mapping is merged (a worker and its node)."""

    case: str
    key: str
    value: Any

    def __str__(self) -> str:
        """The edit in the form of ``--set``."""
        return f"{self.case}: {self.key}={self.value}"


COMMON: tuple[tuple[str, Any], ...] = (
    ("name", "renamed"),
    ("slurm.time_limit", "03:30:00"),
    ("health_check.max_attempts", 90),
    ("model.container", "/images/other.sqsh"),
)
"""Fields that every example has or can have."""

OWN: dict[str, tuple[tuple[str, Any], ...]] = {
    "mocker-disagg": (("benchmark.isl", 256), ("resources.prefill_workers", 4)),
    "quickstart": (
        ("model.path", "hf:Qwen/Qwen3-1.7B"),
        ("benchmark.isl", 256),
        ("benchmark.concurrencies", [2, 8]),
        ("backend.speedup_ratio", 50),
        ("resources.agg_workers", 4),
    ),
    "sglang-manual": (
        ("resources", {"agg_nodes": 3, "agg_workers": 6}),
        ("backend.sglang_config.aggregated.mem-fraction-static", 0.8),
    ),
    "sglang-router-1p1d": (
        ("benchmark.isl", 2048),
        ("benchmark.concurrencies", "4x32"),
        ("benchmark.num_prompts_mult", 10),
        ("frontend.args.policy", "round_robin"),
        ("backend.sglang_config.decode.mem-fraction-static", 0.8),
        ("resources", {"decode_nodes": 2, "decode_workers": 2}),
    ),
    "sglang-wide-ep": (
        ("benchmark.isl", 2048),
        ("benchmark.osl", 512),
        ("dynamo.version", "0.8.2"),
        ("frontend.args.router-mode", "round-robin"),
        ("frontend.num_additional_frontends", 2),
        ("backend.sglang_config.prefill.mem-fraction-static", 0.8),
        ("backend.sglang_config.decode.mem-fraction-static", 0.7),
        ("backend.decode_environment.MC_FORCE_MNNVL", "0"),
        ("resources", {"prefill_nodes": 3, "prefill_workers": 3}),
    ),
    "trtllm-disagg": (
        ("backend.trtllm_config.decode.max_batch_size", 128),
        ("backend.decode_environment.TRTLLM_ENABLE_PDL", "0"),
    ),
    "trtllm-serve-gsm8k": (("benchmark.num_examples", 100), ("benchmark.num_threads", 32)),
    "vllm-dp-custom": (("backend.connector", "lmcache"), ("frontend.num_additional_frontends", 0)),
    "vllm-dp-per-gpu": (
        ("benchmark.concurrencies", [4]),
        ("resources", {"prefill_nodes": 2, "prefill_workers": 4}),
    ),
    "vllm-serve-lm-eval": (("benchmark.limit", 50), ("benchmark.tasks", ["mmlu"])),
}
EDITS = tuple(Edit(case, *edit) for case, own in OWN.items() for edit in (*COMMON, *own))


def changed(edit: Edit, folder: Path) -> dict[str, int]:
    """The number of changed lines by golden file; ``folder`` is scratch space."""
    recipe = yaml.safe_load((goldens.ROOT / "examples" / f"{edit.case}.yaml").read_text())
    _write(edit.case, recipe, folder / "before")
    *above, last = edit.key.split(".")
    section = recipe
    for key in above:
        section = section.setdefault(key, {})
    section[last] = section[last] | edit.value if isinstance(edit.value, dict) else edit.value
    _write(edit.case, recipe, folder / "after")
    return dict(_differences(folder))


def _write(case: str, recipe: Any, folder: Path) -> None:
    """Write a recipe and its golden files to ``folder``."""
    path = folder / "examples" / f"{case}.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    (only,) = pipeline.plan(pipeline.jobs(f"examples/{case}.yaml", cwd=folder, environ={}))
    for name, content in goldens.files(case, pipeline.bundle(only.plan)).items():
        target = folder / "golden" / case / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _differences(folder: Path) -> Iterator[tuple[str, int]]:
    command = ["git", "diff", "--no-index", "--no-renames", "--numstat", "before/golden", "after/golden"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        added, deleted, path = line.split("\t")
        yield path, max(int(added), int(deleted))
