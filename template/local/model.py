"""The offline model server: the OpenAI API over HTTP, with a script instead of a model."""

import asyncio
import base64
import json
import os
import struct
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from local.conversation import to_text
from local.embeddings import DIMS, embed
from local.script import Reply, reply

MODEL = "offline"


class ChatRequest(BaseModel):
    """The part of a chat completion request that the script reads."""

    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    tools: list[dict[str, Any]] = []
    stream: bool = False


class EmbeddingsRequest(BaseModel):
    """A request for vectors; clients may send token ids in place of text."""

    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(gt=0, le=16_000)] = DIMS


def build_model_app() -> FastAPI:
    """Return the server's app."""
    app = FastAPI(title="Offline model")
    app.post("/v1/chat/completions")(_complete)
    app.post("/v1/embeddings")(_embeddings)
    app.get("/v1/models")(_models)
    app.exception_handler(RequestValidationError)(_on_malformed)
    return app


async def _complete(body: ChatRequest) -> Response:
    answer = reply(body.messages, body.tools)
    usage = _usage(body.messages, answer)
    head = {"id": f"chatcmpl-{uuid4().hex}", "created": 0, "model": MODEL}
    if body.stream:
        return StreamingResponse(_stream(head, answer, usage), media_type="text/event-stream")
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.calls:
        message["tool_calls"] = _tool_calls(answer)
    choice = {"index": 0, "message": message, "finish_reason": _finish(answer)}
    return JSONResponse({**head, "object": "chat.completion", "choices": [choice], "usage": usage})


async def _stream(head: dict[str, Any], answer: Reply, usage: dict[str, int]) -> AsyncIterator[str]:
    head = {**head, "object": "chat.completion.chunk"}
    delay = answer.pause or int(os.environ.get("LOCAL_MODEL_DELAY_MS", "0"))
    for delta in _deltas(answer):
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        yield _sse({**head, "choices": [choice]})
        await asyncio.sleep(delay / 1000)
    last = {"index": 0, "delta": {}, "finish_reason": _finish(answer)}
    yield _sse({**head, "choices": [last]})
    yield _sse({**head, "choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


def _deltas(answer: Reply) -> list[dict[str, Any]]:
    words = answer.text.split(" ") if answer.text else []
    texts = [word if i == 0 else f" {word}" for i, word in enumerate(words)]
    calls = [{"index": i, **call} for i, call in enumerate(_tool_calls(answer))]
    return [
        {"role": "assistant", "content": ""},
        *({"content": text} for text in texts),
        *({"tool_calls": [call]} for call in calls),
    ]


def _tool_calls(answer: Reply) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{uuid4().hex}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        for name, arguments in answer.calls
    ]


def _finish(answer: Reply) -> str:
    if answer.calls:
        return "tool_calls"
    return "length" if answer.cut_off else "stop"


def _usage(messages: Sequence[dict[str, Any]], answer: Reply) -> dict[str, int]:
    read = sum(len(to_text(message.get("content")).split()) for message in messages)
    written = len(answer.text.split()) + len(answer.calls)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _sse(chunk: dict[str, Any]) -> str:
    return f"data: {json.dumps(chunk)}\n\n"


async def _embeddings(body: EmbeddingsRequest) -> dict[str, Any]:
    one = isinstance(body.input, str) or (bool(body.input) and isinstance(body.input[0], int))
    texts = [body.input] if one else body.input
    data = [
        {"object": "embedding", "index": i, "embedding": _encoded(body, str(text))}
        for i, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": len(data), "total_tokens": len(data)}
    return {"object": "list", "model": MODEL, "data": data, "usage": usage}


def _encoded(body: EmbeddingsRequest, text: str) -> list[float] | str:
    vector = embed(text, body.dimensions)
    if body.encoding_format == "float":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


async def _models() -> dict[str, Any]:
    return {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "local"}]}


async def _on_malformed(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse(
        {"error": {"message": str(error), "type": "invalid_request_error"}}, status_code=400
    )
