"""Command lines of the load generators: the engines' own clients and aiperf.

In: one load (concurrency, number of prompts, lengths, rate). Out: the client's argv, for example::

    python3 -m sglang.bench_serving --backend sglang-oai --base-url http://... --num-prompts 40 --max-concurrency 4 ...

Lengths are uniform between ``ratio * n`` and ``n`` tokens. SGLang's client and aiperf (in SGLang's style) use the ratio in
this sense. vLLM's and TensorRT-LLM's clients draw around a mean, so mean and half-width are computed from the ratio.
For random prompts, the chat template is applied by the server of the chat API. For a data set, it is applied by the client
(SGLang's, vLLM's) or by the chat API (aiperf).
Sources: ``sglang.bench_serving --help`` (0.5), ``vllm bench serve --help`` (0.11 and later),
``tensorrt_llm.serve.scripts.benchmark_serving --help`` (1.x), ``aiperf profile --help`` (0.13).
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor

from attrs import frozen

from srtplan.plugin import StandIn, Word, Words, word, words

TINY = 1e-9
"""The rounding error of binary fractions."""


@frozen(kw_only=True)
class Load:
    """A run of a load generator. ``rate`` is requests per second or ``inf``; ``result`` is None for a warm-up.

    Lengths apply to random prompts; with a data set, ``osl`` None takes output lengths from its rows.
    """

    url: Word
    model: str
    tokenizer: str
    concurrency: int
    prompts: int
    isl: int | None
    osl: int | None
    ratio: float
    rate: str
    chat_template: bool
    reuse_connections: bool
    dataset_path: str | None
    result: Word | None
    artifacts: Word


def sglang(load: Load) -> Words:
    """Return the command of SGLang's client, which appends its result as one JSON line to the output file.

    It sends at most as many prompts as its data set has rows; only the detailed output contains the count.
    """
    chat = load.chat_template and not load.dataset_path
    return words(
        *("python3", "-m", "sglang.bench_serving", "--backend", "sglang-oai-chat" if chat else "sglang-oai"),
        *("--base-url", load.url, "--model", load.model, "--tokenizer", load.tokenizer),
        *(_sglang_rows(load) if load.dataset_path else _sglang_random(load)),
        *("--num-prompts", load.prompts),
        *("--max-concurrency", load.concurrency, "--request-rate", load.rate, "--seed", 0),
        *("--disable-tqdm", "--output-file", load.result or "/dev/null"),
    )


def _sglang_random(load: Load) -> Words:
    return words(
        *("--dataset-name", "random-ids"),
        *("--random-input-len", load.isl or 1, "--random-output-len", load.osl or 1),
        *("--random-range-ratio", f"{load.ratio:g}"),
    )


def _sglang_rows(load: Load) -> Words:
    return words(
        *("--dataset-name", "custom", "--dataset-path", load.dataset_path or ""),
        *(("--sharegpt-output-len", load.osl) if load.osl else ()),
        *(("--apply-chat-template",) if load.chat_template else ()),
        *(("--output-details",) if load.result else ()),
    )


def vllm(load: Load) -> Words:
    """Return the command of vLLM's client; it reads only prompts from a data set, so it needs an output length."""
    lengths = ("--custom-output-len", load.osl) if load.dataset_path and load.osl else ()
    plain = ("--skip-chat-template",) if load.dataset_path and not load.chat_template else ()
    return words("vllm", "bench", "serve", *_vllm_like(load, "custom"), *lengths, *plain)


def trtllm(load: Load) -> Words:
    """Return the command of TensorRT-LLM's client, which derives from vLLM's."""
    module = "tensorrt_llm.serve.scripts.benchmark_serving"
    ids = () if load.dataset_path else ("--random-ids",)
    return words("python3", "-m", module, *_vllm_like(load, "trtllm_custom"), *ids)


def aiperf(load: Load) -> Words:
    """Return the command of aiperf, called through the library, which moves the report to the path of the result."""
    path = ("--input-file", load.dataset_path) if load.dataset_path else ()
    rate = () if load.rate == "inf" else ("--request-rate", load.rate)
    style = (
        ()
        if load.dataset_path
        else ("--random-range-ratio", f"{load.ratio:g}", "--random-corpus-style", "sglang")
    )
    return words(
        *("bench::aiperf", load.result or "/dev/null", load.artifacts, "--"),
        *("aiperf", "profile", "--model", load.model, "--tokenizer", load.tokenizer),
        *("--tokenizer-trust-remote-code", "--url", load.url, "--use-server-token-count"),
        *("--endpoint-type", "chat" if load.chat_template else "completions", "--streaming", *path),
        *(() if load.dataset_path else ("--isl", load.isl or 1)),
        *(("--osl", load.osl) if load.osl else ()),
        *(*style, "--extra-inputs", "ignore_eos:true"),
        *("--concurrency", load.concurrency, "--request-count", load.prompts, *rate),
        *("--random-seed", 0, "--ui", "simple", "--artifact-dir", load.artifacts),
        *(() if load.reuse_connections else ("--connection-reuse-strategy", "never")),
    )


PROGRAMS = {
    "sglang": "sglang.bench_serving",
    "vllm": "vllm bench serve",
    "trtllm": "TensorRT-LLM's benchmark_serving",
}
"""Clients that only their engine's image contains."""


def uses_chat_template(client: str, requested: bool | None, *, rows: bool) -> bool:  # noqa: FBT001 -- a field's value
    """Return whether the chat template is applied: the requested value, or the client's own behavior.

    aiperf uses the chat API. The other clients apply the template to the rows of a data set, but not to random prompts.
    """
    if rows and client == "trtllm":
        return False
    return client == "aiperf" or rows if requested is None else requested


STAND_INS = {
    "sglang": StandIn(behavior="bench_sglang"),
    "vllm": StandIn(behavior="bench_vllm"),
    "trtllm": StandIn(behavior="bench_vllm"),
    "aiperf": StandIn(behavior="aiperf"),
}
"""What a rehearsal runs instead; TensorRT-LLM's client has the same options and result file as vLLM's."""

CLIENTS: dict[str, Callable[[Load], Words]] = {
    "sglang": sglang,
    "vllm": vllm,
    "trtllm": trtllm,
    "aiperf": aiperf,
}


def _vllm_like(load: Load, rows: str) -> Words:
    where, file = _split(load)
    chat = load.chat_template and not load.dataset_path
    return words(
        *("--backend", "openai-chat" if chat else "openai", "--base-url", load.url),
        *("--endpoint", "/v1/chat/completions" if chat else "/v1/completions"),
        *("--model", load.model, "--tokenizer", load.tokenizer, "--trust-remote-code"),
        *(
            ("--dataset-name", rows, "--dataset-path", load.dataset_path)
            if load.dataset_path
            else _vllm_random(load)
        ),
        *("--num-prompts", load.prompts, "--ignore-eos"),
        *("--max-concurrency", load.concurrency, "--request-rate", load.rate, "--seed", 0, "--disable-tqdm"),
        *("--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,90,95,99"),
        *(("--save-result", "--result-dir", where, "--result-filename", file) if load.result else ()),
    )


def _vllm_random(load: Load) -> Words:
    """Return lengths as mean and half-width, both rounded down.

    The client rounds the longest length up, and rejects a half-width of 1.
    """
    mean, half = (1 + load.ratio) / 2, (1 - load.ratio) / (1 + load.ratio)
    lengths = [max(1, floor((length or 1) * mean + TINY)) for length in (load.isl, load.osl)]
    half = min(floor(half * 10**4 + TINY), 9999) / 10**4
    return words(
        *("--dataset-name", "random", "--random-input-len", lengths[0], "--random-output-len", lengths[1]),
        *("--random-range-ratio", f"{half:.4g}"),
    )


def _split(load: Load) -> tuple[Word, str]:
    """Return the directory and file name of the result."""
    if load.result is None:
        return word(""), ""
    *head, tail = load.result.parts if hasattr(load.result, "parts") else (load.result,)
    folder, _, name = tail.text.rpartition("/") if hasattr(tail, "text") else ("", "", "")
    return word(*head, folder), name
