"""What chat endpoints answer at their worst, as the stand-in model says it: whole, or as a stream.

Each shape is named after who answers so, and says where that is documented or was seen.
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

HEAD = {"id": "c", "created": 0, "model": "m"}
Part = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A call of a tool, with arguments as the model wrote them."""

    name: str
    arguments: str = "{}"
    id: str = "call_1"

    def to_json(self, index: int) -> dict[str, Any]:
        """Return it as the API has it."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"index": index, "id": self.id, "type": "function", "function": function}


@dataclass(frozen=True)
class Answer:
    """One answer of a chat endpoint; with a status that is not 200, its error.

    A content that is a tuple is streamed piece by piece, and sent joined when it is sent whole.
    """

    content: str | list[Part] | tuple[str | list[Part], ...] | None = None
    calls: tuple[Call, ...] = ()
    finish: str = ""
    fields: dict[str, Any] = field(default_factory=dict)  # of the message, besides
    status: int = 200
    body: dict[str, Any] | str | bytes | None = None  # instead; a text is a web page, bytes JSON
    headers: dict[str, str] = field(default_factory=dict)
    breaks_after: int | None = None  # chunks of the stream
    chunks: tuple[dict[str, Any] | str, ...] = ()  # of the stream instead, or lines of it
    used: int = 0  # tokens, which each chunk says, with those so far: pydantic-ai pull request 4056

    @property
    def reason(self) -> str:
        """Its finish reason."""
        return self.finish or ("tool_calls" if self.calls else "stop")

    def to_message(self) -> dict[str, Any]:
        """Return the whole message."""
        message = {"role": "assistant", "content": self._joined(), **self.fields}
        if self.calls:
            message["tool_calls"] = [c.to_json(index) for index, c in enumerate(self.calls)]
        return message

    def usage(self, written: int) -> dict[str, Any]:
        """Return the field with the tokens, once so many are written."""
        tokens = {"prompt_tokens": self.used, "completion_tokens": written}
        return {"usage": {**tokens, "total_tokens": self.used + written}} if self.used else {}

    def to_chunks(self) -> Iterator[str]:
        """Yield the lines of the stream."""
        if self.chunks:
            yield from (c if isinstance(c, str) else _line(c) for c in self.chunks)
            return
        pieces = self.content if isinstance(self.content, tuple) else (self.content,)
        calls = [{"tool_calls": [call.to_json(i)]} for i, call in enumerate(self.calls)]
        deltas = [
            {"role": "assistant", "content": ""},
            *([self.fields] if self.fields else []),
            *({"content": piece} for piece in pieces if piece is not None),
            *calls,
        ]
        for written, delta in enumerate(deltas):
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            yield _line(choice, **self.usage(written))
        last = {"index": 0, "delta": {}, "finish_reason": self.reason}
        yield _line(last, **self.usage(len(deltas)))
        yield "data: [DONE]\n\n"

    def _joined(self) -> Any:
        if not isinstance(self.content, tuple):
            return self.content
        if all(isinstance(piece, str) for piece in self.content):
            return "".join(map(str, self.content))
        parts = [[text(p)] if isinstance(p, str) else p for p in self.content]
        return [part for several in parts for part in several]


def text(words: str) -> Part:
    """Return a part of text."""
    return {"type": "text", "text": words}


def reasoning(words: str) -> Part:
    """Return a part of reasoning, as Databricks has it."""
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": words}]}


def gpt_oss(thought: str, said: str) -> Answer:
    """Return what `databricks-gpt-oss-*` and reasoning Claude models answer on Databricks.

    Source: docs.databricks.com, "Query reasoning models"; pydantic-ai pull request 4036, chatlas
    pull request 397: message.content and delta.content are lists of parts.
    """
    return Answer(([reasoning(thought)], [text(said)]))


def list_and_string(thought: str, said: str) -> Answer:
    """Return reasoning as a list, then text as a string, as seen in Claude's streams there."""
    return Answer(([reasoning(thought)], *said))


def reasoning_field(thought: str, said: str, name: str = "reasoning_content") -> Answer:
    """Return reasoning beside the content: DeepSeek's API and vLLM; OpenRouter: `reasoning`."""
    return Answer(said, fields={name: thought})


def cited(said: str, url: str, title: str) -> Answer:
    """Return a text with a citation: OpenAI's API reference, `message.annotations`."""
    place = {"start_index": 0, "end_index": len(said), "url": url, "title": title}
    return Answer(said, fields={"annotations": [{"type": "url_citation", "url_citation": place}]})


def refusal(said: str) -> Answer:
    """Return a refusal: OpenAI's guide to structured outputs; content is null."""
    return Answer(None, fields={"refusal": said})


def filtered(said: str | None = None) -> Answer:
    """Return an answer that a filter cut off: OpenAI's API reference, `finish_reason`."""
    return Answer(said, finish="content_filter")


def cut_off(said: str) -> Answer:
    """Return an answer that reached its limit: OpenAI's API reference, `finish_reason`."""
    return Answer(said, finish="length")


def prompt_filtered() -> Answer:
    """Return how Azure OpenAI refuses a prompt: learn.microsoft.com, "Content filtering"."""
    error = {"message": "The response was filtered.", "type": None, "param": "prompt"}
    return Answer(status=400, body={"error": {**error, "code": "content_filter"}})


def web_page() -> Answer:
    """Return a sign-in page with status 200, as a workspace behind single sign-on sends one."""
    return Answer(body="<!doctype html><title>Sign in</title>")


def too_many(seconds: int) -> Answer:
    """Return a rate limit: docs.databricks.com, "Foundation Model APIs rate limits"."""
    body = {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "Exceeded the rate limit."}
    return Answer(status=429, body=body, headers={"Retry-After": str(seconds)})


def with_call_ids(answer: Answer, *ids: str) -> Answer:
    """Return the answer with these ids of its calls, as providers repeat or leave them out."""
    calls = tuple(replace(call, id=id) for call, id in zip(answer.calls, ids, strict=True))
    return replace(answer, calls=calls)


def _line(choice: dict[str, Any], **more: Any) -> str:
    chunk = {**HEAD, "object": "chat.completion.chunk", "choices": [choice], **more}
    return f"data: {json.dumps(chunk)}\n\n"


def to_response(answer: Answer, asked: dict[str, Any]) -> Response:
    """Return the answer to a request, as a stream if it asked for one."""
    if isinstance(answer.body, str):
        return HTMLResponse(answer.body, answer.status)
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, answer.headers, "application/json")
    if answer.body is not None:
        return JSONResponse(answer.body, answer.status, headers=answer.headers)
    if asked.get("stream"):
        return StreamingResponse(_broken(answer), media_type="text/event-stream")
    choice = {"index": 0, "finish_reason": answer.reason, "message": answer.to_message()}
    body = {**HEAD, "object": "chat.completion", "choices": [choice]}
    return Response(json.dumps(body), media_type="application/json")


async def _broken(answer: Answer) -> AsyncIterator[bytes]:
    for number, line in enumerate(answer.to_chunks()):
        if number == answer.breaks_after:
            raise ConnectionAbortedError
        yield line.encode(errors="surrogateescape")
