"""The load that simulated benchmark clients send: really sent, streamed, at most so many at once.

In: where to, how many requests, how long. Out: one ``Result`` per request, and statistics over them. A rehearsal
sends at most MAX_REQUESTS and MAX_CONCURRENCY per run, says so, and lets each stand for several in the report, which
thus has the size that was asked for: it proves that the ladder runs, not how fast.
"""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

from srtplan.rehearsal.simulated import webclient
from srtplan.rehearsal.simulated.program import Program
from srtplan.rehearsal.simulated.webserver import Json

MAX_REQUESTS = 48
MAX_CONCURRENCY = 16
TIMEOUT_S = 60.0
OK = 200


@dataclass(frozen=True)
class Load:
    """What one run sends."""

    url: str
    model: str
    input_tokens: int
    output_tokens: int
    requests: int
    concurrency: int
    is_streamed: bool = True

    def body(self) -> dict[str, Json]:
        """Return the body of one request, in the shape of its interface."""
        prompt = "w " * self.input_tokens
        if self.url.endswith("/generate"):
            return {
                "text": prompt,
                "sampling_params": {"max_new_tokens": self.output_tokens},
                "stream": self.is_streamed,
            }
        common: dict[str, Json] = {
            "model": self.model,
            "max_tokens": self.output_tokens,
            "stream": self.is_streamed,
            "temperature": 0.0,
        }
        if self.is_streamed:
            common["stream_options"] = {"include_usage": True}
        return common | (
            {"messages": [{"role": "user", "content": prompt}]} if "chat" in self.url else {"prompt": prompt}
        )


@dataclass
class Result:
    """How one request went; times in seconds."""

    ttft: float = 0.0
    latency: float = 0.0
    gaps: list[float] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0
    error: str = ""
    text: str = ""

    @property
    def tpot(self) -> float:
        """Time per output token after the first."""
        return (self.latency - self.ttft) / (self.output_tokens - 1) if self.output_tokens > 1 else 0.0


@dataclass(frozen=True)
class Run:
    """All requests of a run and how long it took."""

    results: list[Result]
    seconds: float

    @property
    def good(self) -> list[Result]:
        """The requests that succeeded."""
        return [result for result in self.results if not result.error]


async def drive(program: Program, load: Load) -> Run:
    """Send the load and return what came back."""
    total = min(load.requests, int(program.environment.get("SRT_REHEARSAL_MAX_REQUESTS", MAX_REQUESTS)))
    width = max(1, min(load.concurrency or total, MAX_CONCURRENCY))
    if total < load.requests or width < load.concurrency:
        program.say(
            f"rehearsal: {total} requests, {width} at a time, stand for {load.requests}, {load.concurrency} at a time"
        )
    gate = asyncio.Semaphore(width)

    async def one() -> Result:
        async with gate:
            return await _request(program, load)

    start = time.monotonic()
    results = await asyncio.gather(*(one() for _ in range(total)))
    seconds = max(1e-6, time.monotonic() - start)
    return Run(
        [results[index % total] for index in range(load.requests)], seconds * load.requests / max(1, total)
    )


async def _request(program: Program, load: Load) -> Result:
    result = Result(input_tokens=load.input_tokens)
    start = time.monotonic()
    try:
        await asyncio.wait_for(_receive(program, load, result, start), TIMEOUT_S)
    except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
        result.error = f"{type(error).__name__}: {error}"
    return result


async def _receive(program: Program, load: Load, result: Result, start: float) -> None:
    answer = await webclient.send(program.naming, load.url, load.body())
    if answer.status != OK:
        result.error = f"HTTP {answer.status}: {(await answer.body()).decode(errors='replace')[:200]}"
        return
    last = start
    async for value in _events(answer.chunks()):
        now = time.monotonic()
        _count(value, result)
        if not _has_text(value):
            continue
        if result.ttft:
            result.gaps.append(now - last)
        else:
            result.ttft = now - start
        last, result.latency = now, now - start
    if not result.output_tokens:
        result.error = "no tokens in the answer"


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Json]]:
    """Yield the JSON objects of a stream of server-sent events, or the one of a plain answer."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            payload = line.removeprefix(b"data:").strip()
            if payload and payload != b"[DONE]":
                yield json.loads(payload)
    if rest.strip():
        yield json.loads(rest)


def _has_text(value: dict[str, Json]) -> bool:
    return bool(value.get("choices") or value.get("text"))


def _count(value: dict[str, Json], result: Result) -> None:
    """Take token counts from a chunk: OpenAI's usage, or SGLang's meta_info."""
    for name in ("usage", "meta_info"):
        counts = value.get(name)
        tokens = counts.get("completion_tokens") if isinstance(counts, dict) else None
        if isinstance(tokens, int):
            result.output_tokens = tokens


def mean(values: Iterable[float]) -> float:
    """Return the mean, 0 of nothing."""
    known = list(values)
    return sum(known) / len(known) if known else 0.0


def deviation(values: Iterable[float]) -> float:
    """Return the standard deviation of a population, 0 of nothing."""
    known = list(values)
    middle = mean(known)
    return math.sqrt(mean((value - middle) ** 2 for value in known))


def percentile(values: Iterable[float], percent: float) -> float:
    """Return a percentile, interpolated between neighbours as numpy does; 0 of nothing."""
    known = sorted(values)
    if not known:
        return 0.0
    place = (len(known) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(known) - 1)
    return known[low] + (known[high] - known[low]) * (place - low)
