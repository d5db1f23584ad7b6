"""The OpenAI interface of a simulated engine: completions and chat, streamed or whole.

In: a request body. Out: a Response with as many tokens as ``max_tokens`` asks for. A stream has few chunks however
many tokens: a rehearsal proves that tokens flow, not how fast.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator

from srtplan.rehearsal.simulated.webserver import Json, Request, Response

CHUNKS = 8
FIRST_TOKEN_S = 0.005
NEXT_CHUNK_S = 0.001
DEFAULT_TOKENS = 16


def is_completion(request: Request) -> bool:
    """Tell whether a request asks for tokens."""
    return request.method == "POST" and request.path in {
        "/v1/completions",
        "/v1/chat/completions",
        "/generate",
    }


def _prompt_tokens(body: dict[str, Json]) -> int:
    prompt = body.get("prompt") or body.get("text") or ""
    if isinstance(prompt, list):
        return len(prompt)
    messages = body.get("messages")
    if isinstance(messages, list):
        prompt = " ".join(
            str(message.get("content", "")) for message in messages if isinstance(message, dict)
        )
    return len(str(prompt).split())


def wanted_tokens(body: dict[str, Json]) -> int:
    """Return how many tokens a request asks for."""
    sampling = body.get("sampling_params")
    inner = sampling.get("max_new_tokens") if isinstance(sampling, dict) else None
    value = body.get("max_completion_tokens") or body.get("max_tokens") or inner or DEFAULT_TOKENS
    return max(1, int(value)) if isinstance(value, int | float | str) else DEFAULT_TOKENS


def answer(request: Request, model: str, *, is_strict: bool = True) -> Response:
    """Return the completion that a request asks for, under the model's served name; TensorRT-LLM takes any name."""
    body = request.json()
    asked = body.get("model", model)
    if is_strict and asked != model and request.path != "/generate":
        return Response(
            {
                "object": "error",
                "message": f"The model `{asked}` does not exist.",
                "type": "NotFoundError",
                "code": 404,
            },
            404,
        )
    shape = _Shape(request.path, model, _prompt_tokens(body), wanted_tokens(body))
    if body.get("stream"):
        options = body.get("stream_options")
        has_usage = not isinstance(options, dict) or bool(options.get("include_usage", True))
        return Response(stream=_stream(shape, has_usage=has_usage))
    return Response(shape.whole())


class _Shape:
    """The JSON of one answer, by interface."""

    def __init__(self, path: str, model: str, prompt: int, tokens: int) -> None:
        self.path, self.model, self.prompt, self.tokens = path, model, prompt, tokens
        self.created = int(time.clock_gettime(time.CLOCK_REALTIME))

    def usage(self) -> Json:
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.tokens,
            "total_tokens": self.prompt + self.tokens,
        }

    def _frame(self, kind: str, choices: list[Json], usage: Json) -> dict[str, Json]:
        return {
            "id": f"cmpl-{self.created}", "object": kind, "created": self.created, "model": self.model,
            "choices": choices, "usage": usage,
        }  # fmt: skip

    def chunk(self, count: int, *, is_last: bool) -> Json:
        """Return a chunk of the stream with so many tokens."""
        text = " token" * count
        reason = "length" if is_last else None
        if self.path == "/generate":
            return {
                "text": text,
                "meta_info": {"completion_tokens": self.tokens, "finish_reason": {"type": reason}},
            }
        if "chat" in self.path:
            choice: Json = {
                "index": 0,
                "delta": {"role": "assistant", "content": text},
                "finish_reason": reason,
            }
            return self._frame("chat.completion.chunk", [choice], None)
        return self._frame(
            "text_completion", [{"index": 0, "text": text, "logprobs": None, "finish_reason": reason}], None
        )

    def end(self) -> Json:
        """Return the chunk that carries the usage."""
        return self._frame(
            "chat.completion.chunk" if "chat" in self.path else "text_completion", [], self.usage()
        )

    def whole(self) -> Json:
        """Return the answer that is not streamed."""
        text = " token" * self.tokens
        if self.path == "/generate":
            return {
                "text": text,
                "meta_info": {"prompt_tokens": self.prompt, "completion_tokens": self.tokens},
            }
        if "chat" in self.path:
            choice: Json = {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "length",
            }
            return self._frame("chat.completion", [choice], self.usage())
        return self._frame(
            "text_completion", [{"index": 0, "text": text, "finish_reason": "length"}], self.usage()
        )


async def _stream(shape: _Shape, *, has_usage: bool) -> AsyncIterator[bytes]:
    await asyncio.sleep(FIRST_TOKEN_S)
    chunks = min(CHUNKS, shape.tokens)
    for index in range(chunks):
        count = shape.tokens * (index + 1) // chunks - shape.tokens * index // chunks
        yield event(shape.chunk(count, is_last=index == chunks - 1))
        await asyncio.sleep(NEXT_CHUNK_S)
    if has_usage and shape.path != "/generate":
        yield event(shape.end())
    yield b"data: [DONE]\n\n"


def event(value: Json) -> bytes:
    """Return one server-sent event."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def models(name: str, owner: str) -> Response:
    """Return the answer to ``GET /v1/models``."""
    card: Json = {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": owner,
        "root": name,
        "max_model_len": 131072,
    }
    return Response({"object": "list", "data": [card] if name else []})
