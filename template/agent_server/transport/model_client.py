"""The model's client: sends long histories quickly, and reads no more than the limits allow."""

import os
import zlib
from collections.abc import AsyncIterable, AsyncIterator
from functools import cached_property
from typing import Any

import httpx
import openai
from openai.resources.chat import AsyncChat, AsyncCompletions

from agent_server.answers.lengths import is_too_long
from agent_server.errors import ApiError, ModelError, context_too_long
from agent_server.settings import limit, on_this_machine
from agent_server.threads.window import context_tokens, fit, paired, seen, size
from agent_server.transport.json_bounds import check_json
from agent_server.transport.refused_files import STATUSES, RefusedFiles, without_files

# As in the client that the SDK would make.
CONNECTIONS = httpx.Limits(max_connections=1000, max_keepalive_connections=100)
CHAT = "/chat/completions"
PIECE_BYTES = 65536  # of what was compressed, unpacked at once
PACKED = ("gzip", "x-gzip", "deflate")
WINDOW = zlib.MAX_WBITS | 32  # zlib finds out by itself which of them it is
# What grows with a thread and with an agent. The client would look in it for what to rename: 0.4 ms
# for each message, in one piece. It finds nothing, as they are made for the API.
SENT_AS_THEY_ARE = ("messages", "tools")


class AnswerTooLargeError(ApiError, openai.OpenAIError):
    """The model's answer is larger than a limit; the SDK does not ask again."""

    def __init__(self, most: int) -> None:
        text = f"The model's answer is larger than {most} bytes."
        super().__init__(502, "output_too_large", text)


class UnreadableAnswerError(ModelError, openai.OpenAIError):
    """The model's answer can't be read, or takes too long to; the SDK does not ask again."""


class QuickCompletions(AsyncCompletions):
    """Chat completions of histories of any length."""

    async def create(self, **request: Any) -> Any:
        """Do what the client does, for as much of the messages as the model takes.

        Raises a 413 ApiError when the model takes not even half of half of it.
        """
        messages, tokens = paired(request["messages"]), context_tokens()
        messages, files = self._refused.left_out(fit(messages, tokens) if tokens else messages)
        try:
            answer = await self._create_shorter(request, messages)
        except (openai.APIStatusError, ApiError) as error:
            less, more = without_files(messages)
            if not more or error.status_code not in STATUSES:
                raise
            answer = await self._create_shorter(request, less)
            self._refused.add(messages)
            files += more
        if files and (noted := seen.get()):
            noted.files = files
        return answer

    @cached_property
    def _refused(self) -> RefusedFiles:
        return RefusedFiles()

    async def _create_shorter(self, request: dict[str, Any], messages: list[Any]) -> Any:
        """Ask, and ask again with half of the messages if they are too many."""
        for last in (False, False, True):
            try:
                return await self._create(request, messages)
            except openai.APIStatusError as error:
                too_large = error.status_code == 413 and without_files(messages)[1]
                if too_large or not is_too_long(error):
                    raise
                shorter = fit(messages, sum(map(size, messages)) // 2)
                if last or len(shorter) == len(messages):
                    raise context_too_long() from error
                messages = shorter
        raise AssertionError  # the last try returns or raises

    async def _create(self, request: dict[str, Any], messages: list[Any]) -> Any:
        request = {**request, "messages": messages}
        sent = {name: value for name in SENT_AS_THEY_ARE if (value := request.pop(name, None))}
        body = {**(request.pop("extra_body", None) or {}), **sent}
        try:
            return await super().create(**request, messages=(), extra_body=body)
        except (ValueError, RecursionError) as error:
            raise ModelError("the endpoint's answer is not JSON") from error


class Chat(AsyncChat):
    """The chat of a client, with chat completions of a given kind."""

    def __init__(self, client: openai.AsyncOpenAI, kind: type[AsyncCompletions]) -> None:
        super().__init__(client)
        self._kind = kind

    @cached_property
    def completions(self) -> AsyncCompletions:
        """The chat completions."""
        return self._kind(self._client)


class ModelClient(openai.AsyncOpenAI):
    """The client of an OpenAI-compatible server."""

    COMPLETIONS: type[AsyncCompletions] = QuickCompletions

    def __init__(self, *, http_client: httpx.AsyncClient | None = None, **options: Any) -> None:
        super().__init__(http_client=_bounded(http_client), **options)  # type: ignore[arg-type, unused-ignore]

    @cached_property
    def chat(self) -> AsyncChat:
        """The client's chat."""
        return Chat(self, self.COMPLETIONS)


def build_databricks_client(
    workspace_client: Any, completions: type[AsyncCompletions] = QuickCompletions
) -> openai.AsyncOpenAI:
    """Return the client of a workspace's serving endpoints; importing it takes seconds."""
    from databricks_openai import AsyncDatabricksOpenAI

    # It makes an HTTP client, and hands that to the next class.
    class Client(AsyncDatabricksOpenAI, ModelClient):  # type: ignore[misc]
        @cached_property
        def chat(self) -> AsyncChat:
            # Theirs first: it mends what some endpoints would refuse in a message.
            kinds = (type(super().chat.completions), completions)
            return Chat(self, type("Completions", kinds, {}))

    client: openai.AsyncOpenAI = Client(workspace_client=workspace_client)
    return client


def _bounded(http: httpx.AsyncClient | None) -> httpx.AsyncClient:
    """Let `http`, or a new client, raise AnswerTooLargeError as soon as a body is too large."""
    if not http:
        # A proxy, of the environment or of the system, does not lead to this machine.
        outside = not on_this_machine(os.environ.get("OPENAI_BASE_URL", ""))
        http = httpx.AsyncClient(follow_redirects=True, limits=CONNECTIONS, trust_env=outside)
    http.headers["Accept-Encoding"] = "identity"  # what is not compressed need not be unpacked
    http.event_hooks = {**http.event_hooks, "response": [_bound]}
    return http


async def _bound(response: httpx.Response) -> None:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    # Unpacked here: httpx would unpack a whole piece at once, a thousand times its size.
    coding = response.headers.pop("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "", *PACKED):
        raise UnreadableAnswerError(f"the endpoint's answer is compressed with {coding}")
    streams = response.headers.get("content-type", "").startswith("text/event-stream")
    response.stream = _BoundedStream(response.stream, streams, coding in PACKED)
    if response.is_success and not streams and response.url.path.endswith(CHAT):
        try:
            check_json(await response.aread())
        except ValueError as error:
            raise UnreadableAnswerError(f"the endpoint's answer {error}") from None


class _BoundedStream(httpx.AsyncByteStream):
    """A body that is bounded as a whole and, if it has events, in each of them."""

    def __init__(self, stream: httpx.AsyncByteStream, has_events: bool, packed: bool) -> None:
        self._stream, self._has_events, self._packed = stream, has_events, packed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        most = limit("MODEL_ANSWER_BYTES")
        in_all = limit("MODEL_STREAM_BYTES") if self._has_events else most
        total = line = 0
        async for part in _unpacked(self._stream) if self._packed else self._stream:
            total, end = total + len(part), part.rfind(b"\n")
            line = line + len(part) if end < 0 else len(part) - end - 1
            if total > in_all or (self._has_events and line > most):
                raise AnswerTooLargeError(in_all if total > in_all else most)
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _unpacked(parts: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    unpacking = zlib.decompressobj(WINDOW)
    try:
        async for part in parts:
            while part:
                yield unpacking.decompress(part, PIECE_BYTES)
                part = unpacking.unconsumed_tail
        yield unpacking.flush()
    except zlib.error as error:
        raise UnreadableAnswerError("the endpoint's answer can't be unpacked") from error
