"""Rules on single sections: generators of findings, each with an id that ``docs/reference/errors.md`` documents.

In: a ``Draft``, of which any part may be missing. Out: findings. Rules that need several sections (whether the workers fit
onto the nodes, whether the engine accepts its options) belong to ``plan/rules`` and the plugins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from srtplan.config.layouts.draft import Draft
from srtplan.config.rules import names, options, places, resources, sections
from srtplan.diagnostics import Finding

Rule = Callable[[Draft], Iterator[Finding]]


def _counts(draft: Draft) -> Iterator[Finding]:
    """SP220 to SP225: nodes, workers and GPUs of the modes."""
    if draft.counts is not None and draft.gpus_per_node is not None:
        yield from resources.check(draft.counts, draft.gpus_per_node)


RULES: tuple[Rule, ...] = (
    names.job_name,
    names.environment,
    names.setup_script,
    options.sbatch,
    options.srun,
    options.queue,
    options.time_limit,
    places.model,
    places.images,
    places.files,
    _counts,
    sections.unused_roles,
    sections.health_check,
    sections.dynamo,
    sections.infra,
    sections.frontend,
)


def check(draft: Draft) -> Iterator[Finding]:
    """Yield the findings of every rule."""
    for rule in RULES:
        yield from rule(draft)
