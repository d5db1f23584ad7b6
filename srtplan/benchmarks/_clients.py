"""Command lines of the load generators: the engines' own clients and aiperf.

In: one load (concurrency, number of prompts, lengths, rate). Out: the client's argv, for example::

    python3 -m sglang.bench_serving --backend sglang-oai --base-url http://... --num-prompts 40 --max-concurrency 4 ...

Lengths are uniform between ``ratio * n`` and ``n`` tokens. SGLang's client and aiperf (in SGLang's style) mean the same by
their ratio; vLLM's and TensorRT-LLM's draw around a mean, so mean and half-width are computed from it.
Sources: ``sglang.bench_serving --help`` (0.5), ``vllm bench serve --help`` (0.11 and later),
``tensorrt_llm.serve.scripts.benchmark_serving --help`` (1.x), ``aiperf profile --help`` (0.13).
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from srtplan.ir.shell import Word, Words, word, words


@frozen(kw_only=True)
class Load:
    """One run of a load generator. ``rate`` is requests per second or ``inf``; ``result`` None for a warm-up."""

    url: Word
    model: str
    tokenizer: str
    concurrency: int
    prompts: int
    isl: int
    osl: int
    ratio: float
    rate: str
    chat_template: bool
    reuse_connections: bool
    dataset_path: str | None
    result: Word | None
    artifacts: Word


def sglang(load: Load) -> Words:
    """SGLang's client; it appends its result as one JSON line to the output file."""
    path = ("--dataset-path", load.dataset_path) if load.dataset_path else ()
    return words(
        *("python3", "-m", "sglang.bench_serving", "--backend", "sglang-oai"),
        *("--base-url", load.url, "--model", load.model, "--tokenizer", load.tokenizer),
        *("--dataset-name", "custom" if load.dataset_path else "random-ids", *path),
        *("--random-input-len", load.isl, "--random-output-len", load.osl),
        *("--random-range-ratio", f"{load.ratio:g}", "--num-prompts", load.prompts),
        *("--max-concurrency", load.concurrency, "--request-rate", load.rate, "--seed", 0),
        *("--disable-tqdm", "--output-file", load.result or "/dev/null"),
        *(("--apply-chat-template",) if load.chat_template else ()),
    )


def vllm(load: Load) -> Words:
    """VLLM's client; a data set of one's own has no output lengths."""
    lengths = ("--custom-output-len", load.osl) if load.dataset_path and load.osl > 1 else ()
    return words("vllm", "bench", "serve", *_vllm_like(load), *lengths)


def trtllm(load: Load) -> Words:
    """TensorRT-LLM's client, which has grown out of vLLM's."""
    module = "tensorrt_llm.serve.scripts.benchmark_serving"
    ids = () if load.dataset_path else ("--random-ids",)
    return words("python3", "-m", module, *_vllm_like(load), *ids)


def aiperf(load: Load) -> Words:
    """aiperf, called through the library so that its report ends at the place of the result."""
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
        *("--isl", load.isl, "--osl", load.osl, *style, "--extra-inputs", "ignore_eos:true"),
        *("--concurrency", load.concurrency, "--request-count", load.prompts, *rate),
        *("--random-seed", 0, "--ui", "simple", "--artifact-dir", load.artifacts),
        *(() if load.reuse_connections else ("--connection-reuse-strategy", "never")),
    )


CLIENTS: dict[str, Callable[[Load], Words]] = {
    "sglang": sglang,
    "vllm": vllm,
    "trtllm": trtllm,
    "aiperf": aiperf,
}


def _vllm_like(load: Load) -> Words:
    mean, half = (1 + load.ratio) / 2, (1 - load.ratio) / (1 + load.ratio)
    path = ("--dataset-path", load.dataset_path) if load.dataset_path else ()
    where, file = _split(load)
    return words(
        *("--backend", "openai", "--base-url", load.url, "--endpoint", "/v1/completions"),
        *("--model", load.model, "--tokenizer", load.tokenizer, "--trust-remote-code"),
        *("--dataset-name", "custom" if load.dataset_path else "random", *path),
        *("--random-input-len", round(load.isl * mean), "--random-output-len", round(load.osl * mean)),
        *("--random-range-ratio", f"{half:.4g}", "--num-prompts", load.prompts, "--ignore-eos"),
        *("--max-concurrency", load.concurrency, "--request-rate", load.rate, "--seed", 0, "--disable-tqdm"),
        *("--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,90,95,99"),
        *(("--save-result", "--result-dir", where, "--result-filename", file) if load.result else ()),
    )


def _split(load: Load) -> tuple[Word, str]:
    """Directory and file name of the result."""
    if load.result is None:
        return word(""), ""
    *head, tail = load.result.parts if hasattr(load.result, "parts") else (load.result,)
    folder, _, name = tail.text.rpartition("/") if hasattr(tail, "text") else ("", "", "")
    return word(*head, folder), name
