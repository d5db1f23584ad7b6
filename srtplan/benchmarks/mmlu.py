"""mmlu: multiple-choice questions over 57 subjects (see ``_multiple_choice.py``)."""

from __future__ import annotations

from attrs import frozen

from srtplan.benchmarks._multiple_choice import MultipleChoice


@frozen(kw_only=True)
class Options:
    """``repeat`` asks the whole set that many times; the score is the mean."""

    num_examples: int = 200
    max_tokens: int = 2048
    repeat: int = 8
    num_threads: int = 512
    dataset_path: str | None = None
    container_image: str | None = None


ADDRESS = "https://openaipublic.blob.core.windows.net/simple-evals/mmlu.csv"
PLUGIN = MultipleChoice("mmlu", Options, ADDRESS)
