"""A model server whose failures a test chooses: the template's own, with faults in front."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from local.model import build_model_app
from tests.standins.answers import HEAD, Answer, to_response
from tests.standins.histories import fault, has_files
from tests.standins.no_files import NO_FILES
from tests.standins.too_long import TOO_LONG
from tests.support.served import reset, served

SECRET = "the model said something secret"


@dataclass
class StandinModel:
    """What the server does with the next requests, and what it was asked."""

    url: str = ""
    status: int = 200
    delay: float = 0.0
    running: int = 0
    streams: int = 0  # being sent
    chunks: int = 0  # of streams, sent so far
    left: int = -1  # requests until it fails; below zero, it does not
    refuses: bytes = b""  # what no request may hold
    calls: str = ""  # the only thing it does, if it is set: to call this tool
    arguments: str = "{}"  # with these
    times: int = 1  # and so often in one answer
    only: bytes = b""  # but only when the request holds this
    calls_once: bool = False  # and answers as usual when it sees a result
    says: str | None = None  # the only thing it says, if it is set, always as a stream
    pieces: Iterable[str] | None = None  # the only thing it says, whole or piece by piece
    only_to: bytes = b""  # what a request must hold to be told these pieces
    embedding_delay: float = 0.0  # of vectors, besides `delay`
    embeds: str | None = None  # what it answers instead of vectors, if it is set, as a web page
    embeds_not: bytes = b""  # what no text may hold of which it computes a vector
    script: list[Answer] = field(default_factory=list)  # its next answers, each given once
    context: int = 0  # tokens that it takes in; 0 for any number
    too_long: str = "openai"  # whose words it has for a prompt that is too long
    no_files: str = ""  # whose words it has for images and files, if it takes none
    keeps: str = ""  # a pattern: asked for a summary, it says all that matches in what it was sent
    strict: bool = False  # refuses calls without results, and results without calls
    resets: int = 0  # connections, before it answers anything
    breaks_after: int = 2**31  # chunks of a stream, in the middle of which it is gone
    requests: list[bytes] = field(default_factory=list)

    def reset(self) -> None:
        """Behave as at first."""
        counted = {"running": self.running, "streams": self.streams}
        self.__dict__.update(StandinModel(self.url).__dict__, **counted)

    def fail_after(self, requests: int) -> None:
        """Answer so many requests more, and fail from then on."""
        self.left = requests

    async def __call__(self, request: Request, answer: RequestResponseEndpoint) -> Response:
        """Answer, late or not at all."""
        self.requests.append(body := await request.body())
        self.running += 1
        try:
            await asyncio.sleep(self.delay)
            self.left -= 1
            if self.left == -1:
                self.status = 500
            if self.refuses and self.refuses in body:
                return JSONResponse({"error": {"message": SECRET}}, 400)
            if request.url.path.endswith("/embeddings"):
                return await self._embed(request, answer)
            asked = json.loads(body or b"{}")
            if refused := self._refusal(asked):
                return to_response(refused, asked)
            if self.script:
                return to_response(self.script.pop(0), asked)
            done = self.calls_once and _has_result(asked)
            if self.calls and self.only in body and not done:
                return _to_response(_to_calls(self.calls, self.arguments, self.times), asked)
            if self.pieces is not None and self.only_to in body:
                return self._say(self.pieces, asked)
            if self.says is not None:
                return StreamingResponse(_to_stream(self.says), media_type="text/event-stream")
            if self.status != 200:
                return JSONResponse({"error": {"message": SECRET}}, self.status)
            response = await answer(request)
            # What a middleware is given is a stream, of a type that Starlette keeps to itself.
            response.body_iterator = self._count(response.body_iterator)  # type: ignore[attr-defined]
            return response
        finally:
            self.running -= 1

    async def _embed(self, request: Request, answer: RequestResponseEndpoint) -> Response:
        await asyncio.sleep(self.embedding_delay)
        if self.embeds_not and self.embeds_not in await request.body():
            return JSONResponse({"error": {"message": SECRET}}, 400)
        if self.embeds is not None:
            return HTMLResponse(self.embeds)
        if self.status != 200:
            return JSONResponse({"error": {"message": SECRET}}, self.status)
        return await answer(request)

    def _refusal(self, asked: dict[str, Any]) -> Answer | None:
        messages = asked.get("messages", [])
        if self.keeps and "Summarise" in (said := json.dumps(messages)):
            return Answer(" ".join(re.findall(self.keeps, said)))
        # Four letters are about a token; what surrounds a message is some more.
        tokens = sum(len(json.dumps(message.get("content"))) // 4 + 4 for message in messages)
        if self.context and tokens > self.context:
            return TOO_LONG[self.too_long]
        if self.no_files and has_files(messages):
            return NO_FILES[self.no_files]
        if self.strict and (why := fault(messages)):
            error = {"message": why, "type": "invalid_request_error", "code": None}
            return Answer(status=400, body={"error": error})
        return None

    def _say(self, pieces: Iterable[str], asked: dict[str, Any]) -> Response:
        if not asked.get("stream"):
            return _to_response({"role": "assistant", "content": "".join(pieces)}, asked)
        return StreamingResponse(self._count(_to_chunks(pieces)), media_type="text/event-stream")

    async def _count(self, chunks: AsyncIterable[Any]) -> AsyncIterator[Any]:
        position = 0
        self.streams += 1
        try:
            async for chunk in chunks:
                self.chunks += 1
                yield chunk
                if (position := position + 1) > self.breaks_after:
                    raise ConnectionAbortedError
        finally:
            self.streams -= 1


def _has_result(asked: dict[str, Any]) -> bool:
    return bool(asked.get("messages")) and asked["messages"][-1]["role"] == "tool"


def _to_calls(tool: str, arguments: str, times: int) -> dict[str, Any]:
    function = {"name": tool, "arguments": arguments}
    calls = [
        {"index": place, "id": uuid4().hex, "type": "function", "function": function}
        for place in range(times)
    ]
    return {"role": "assistant", "content": "Well.", "tool_calls": calls}


def _to_response(message: dict[str, Any], asked: dict[str, Any]) -> Response:
    """Return a message as it was asked for, with half a surrogate pair as JSON can say it."""
    if asked.get("stream"):
        chunks = (_to_chunk(message), _to_chunk({}, "tool_calls"))
        return StreamingResponse(chunks, media_type="text/event-stream")
    reason = "tool_calls" if "tool_calls" in message else "stop"
    choice = {"index": 0, "finish_reason": reason, "message": message}
    body = {**HEAD, "object": "chat.completion", "choices": [choice]}
    return Response(json.dumps(body), media_type="application/json")


async def _to_chunks(pieces: Iterable[str]) -> AsyncIterator[str]:
    for piece in pieces:
        yield _to_chunk({"role": "assistant", "content": piece})
    yield _to_chunk({}, "stop")


def _to_chunk(delta: dict[str, Any], reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    chunk = {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n"


def _to_stream(text: str) -> Iterator[str]:
    yield _to_chunk({"role": "assistant", "content": text}, "stop")


class _Resets:
    """Stands before the server, and resets connections if that is what a test wants."""

    def __init__(self, app: ASGIApp, model: StandinModel) -> None:
        self._app, self._model = app, model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or reset its connection."""
        if scope["type"] == "http" and self._model.resets > 0:
            self._model.resets -= 1
            return await reset(receive, send)
        await self._app(scope, receive, send)


@contextmanager
def open_standin_model() -> Iterator[StandinModel]:
    """Yield a running model server."""
    listener = socket.create_server(("127.0.0.1", 0))
    model = StandinModel(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    app = build_model_app()
    app.middleware("http")(model)
    with served(_Resets(app, model), listener):
        yield model
