"""The OpenAI interface of a simulated engine: completions and chat, streamed or whole.

In: a request. Out: a response with as many tokens as ``max_tokens`` asks for. A stream has few chunks however
many tokens: a rehearsal proves that tokens flow, not how fast.
"""

import json
import time
from collections.abc import Iterator, Mapping

from srtplan.rehearsal.simulation.http import NOT_FOUND, Json, Request, Response

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
CHUNKS = 8
FIRST_TOKEN_S = 0.005
NEXT_CHUNK_S = 0.001
DEFAULT_TOKENS = 16


def is_completion(request: Request) -> bool:
    """Tell whether a request asks for tokens."""
    return request.method == "POST" and request.path in {CHAT, COMPLETIONS}


def answer(request: Request, model: str, *, is_strict: bool = True) -> Response:
    """Return the completion that a request asks for, under the model's served name; TensorRT-LLM takes any name."""
    body = request.json()
    asked = body.get("model", model)
    if is_strict and asked != model:
        error: Json = {
            "object": "error",
            "message": f"The model `{asked}` does not exist.",
            "code": NOT_FOUND,
        }
        return Response(error, NOT_FOUND)
    completion = _Completion(model, body, is_chat=request.path == CHAT)
    return Response(stream=completion.stream()) if body.get("stream") else Response(completion.whole())


def models(name: str) -> Response:
    """Return the answer to ``GET /v1/models``; no model without a name."""
    card: Json = {"id": name, "object": "model", "created": 0, "owned_by": "rehearsal", "root": name}
    return Response({"object": "list", "data": [card] if name else []})


class _Completion:
    """The JSON of one answer."""

    def __init__(self, model: str, body: Mapping[str, Json], *, is_chat: bool) -> None:
        self.model, self.is_chat = model, is_chat
        wanted = body.get("max_completion_tokens") or body.get("max_tokens")
        self.tokens = max(1, int(wanted)) if isinstance(wanted, int | float | str) else DEFAULT_TOKENS
        prompt, messages = body.get("prompt") or "", body.get("messages")
        if isinstance(messages, list):
            prompt = " ".join(str(one.get("content", "")) for one in messages if isinstance(one, dict))
        sent = len(prompt) if isinstance(prompt, list) else len(str(prompt).split())
        self.usage: Json = {
            "prompt_tokens": sent, "completion_tokens": self.tokens, "total_tokens": sent + self.tokens,
        }  # fmt: skip

    def whole(self) -> Json:
        """Return the answer that is not streamed."""
        choice = self._choice(self.tokens, "message", "length")
        return self._frame("chat.completion", [choice], self.usage)

    def stream(self) -> Iterator[bytes]:
        """Yield the events of the stream, the last with usage and no text."""
        time.sleep(FIRST_TOKEN_S)
        chunks = min(CHUNKS, self.tokens)
        for index in range(chunks):
            count = self.tokens * (index + 1) // chunks - self.tokens * index // chunks
            choice = self._choice(count, "delta", "length" if index == chunks - 1 else None)
            yield _event(self._frame("chat.completion.chunk", [choice], None))
            time.sleep(NEXT_CHUNK_S)
        yield _event(self._frame("chat.completion.chunk", [], self.usage))
        yield b"data: [DONE]\n\n"

    def _choice(self, count: int, name: str, reason: str | None) -> Json:
        text = " token" * count
        said: dict[str, Json] = (
            {name: {"role": "assistant", "content": text}} if self.is_chat else {"text": text}
        )
        return {"index": 0, "finish_reason": reason} | said

    def _frame(self, kind: str, choices: list[Json], usage: Json) -> Json:
        created = int(time.clock_gettime(time.CLOCK_REALTIME))
        return {
            "id": f"cmpl-{created}", "object": kind if self.is_chat else "text_completion", "created": created,
            "model": self.model, "choices": choices, "usage": usage,
        }  # fmt: skip


def _event(value: Json) -> bytes:
    """Return one server-sent event."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"
