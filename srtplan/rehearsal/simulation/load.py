"""The load that simulated benchmark clients send: really sent, streamed, at most so many at once.

In: where to, how many requests, how long. Out: one ``Result`` per request, and statistics over them. A rehearsal
sends at most MAX_REQUESTS and MAX_CONCURRENCY per run, says so, and lets each stand for several in the report, which
has the requested size: it proves that the ladder runs, not how fast.
"""

import json
import math
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from srtplan.rehearsal.simulation.completions import CHAT
from srtplan.rehearsal.simulation.http import FAILURES, OK, Json, send
from srtplan.rehearsal.simulation.program import Program

MAX_REQUESTS = 48
MAX_CONCURRENCY = 16
POLL_S = 0.02


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
        body: dict[str, Json] = {
            "model": self.model, "max_tokens": self.output_tokens, "stream": self.is_streamed, "temperature": 0.0,
        }  # fmt: skip
        prompt = "w " * self.input_tokens
        chat: Json = [{"role": "user", "content": prompt}]
        return body | ({"messages": chat} if self.url.endswith(CHAT) else {"prompt": prompt})


@dataclass
class Result:
    """How one request went; times in seconds."""

    ttft: float = 0.0
    latency: float = 0.0
    gaps: list[float] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0
    error: str = ""

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


def drive(program: Program, load: Load) -> Run:
    """Send the load and return what came back."""
    total = min(load.requests, MAX_REQUESTS)
    width = max(1, min(load.concurrency or total, MAX_CONCURRENCY))
    if total < load.requests or width < load.concurrency:
        program.say(
            f"rehearsal: {total} requests, {width} at a time, stand for {load.requests}, {load.concurrency} at a time"
        )
    results: list[Result] = []
    numbers, start, ends = iter(range(total)), time.monotonic(), [0.0]

    def work() -> None:
        for _ in numbers:
            results.append(_request(program, load))
            ends.append(time.monotonic())

    threads = [threading.Thread(target=work, daemon=True) for _ in range(width)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        program.pause(POLL_S)
    seconds = max(1e-6, max(ends) - start) * load.requests / max(1, total)
    return Run([results[index % total] for index in range(load.requests)], seconds)


def _request(program: Program, load: Load) -> Result:
    result = Result(input_tokens=load.input_tokens)
    try:
        _receive(program, load, result)
    except (*FAILURES, ValueError) as error:
        result.error = f"{type(error).__name__}: {error}"
    return result


def _receive(program: Program, load: Load, result: Result) -> None:
    start = last = time.monotonic()
    answer = send(program, load.url, load.body())
    if answer.status != OK:
        result.error = f"HTTP {answer.status}: {answer.read(200).decode(errors='replace')}"
        return
    for value in _events(answer):
        now = time.monotonic()
        usage = value.get("usage")
        if isinstance(usage, dict):
            result.output_tokens = int(str(usage["completion_tokens"]))
        if not value.get("choices"):
            continue
        if result.ttft:
            result.gaps.append(now - last)
        else:
            result.ttft = now - start
        last, result.latency = now, now - start
    if not result.output_tokens:
        result.error = "no tokens in the answer"


def _events(lines: Iterable[bytes]) -> Iterator[dict[str, Json]]:
    """Yield the JSON objects of a stream of server-sent events, or the one of a plain answer."""
    for line in lines:
        payload = line.removeprefix(b"data:").strip()
        if payload and payload != b"[DONE]":
            yield json.loads(payload)


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
    known = sorted(values) or [0.0]
    place = (len(known) - 1) * percent / 100
    low, high = known[math.floor(place)], known[math.ceil(place)]
    return low + (high - low) * (place % 1)
