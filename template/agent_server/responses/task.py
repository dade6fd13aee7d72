"""The task that runs a turn, apart from the request that asked for it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from starlette.requests import Request

from agent_server.errors import ApiError, files_refused, to_api_error
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.events import to_sse, to_text
from agent_server.responses.requests import Turn
from agent_server.settings import limit

log = logging.getLogger(__name__)

# Runs one turn, and emits its output to the response (see `run_turn.py`).
RunTurn = Callable[[Turn, ResponseBuilder], Coroutine[None, None, None]]


def explain_refused_files(run_turn: RunTurn) -> RunTurn:
    """Return what runs a turn, and raises a 400 ApiError when the model refuses its files."""

    async def run(turn: Turn, response: ResponseBuilder) -> None:
        from openai import APIStatusError  # loaded by then

        try:
            await run_turn(turn, response)
        except APIStatusError as error:
            if turn.has_files and error.status_code in (400, 415, 422):
                raise files_refused() from error
            raise

    return run


class ResponseTask:
    """One execution of the agent: a task that fills a response and its event log."""

    def __init__(self, work: Coroutine[None, None, None], response: ResponseBuilder) -> None:
        self.response = response
        self._failure: ApiError | None = None
        # A task of its own: a server may read the start and the rest of a stream in different ones.
        self._task = asyncio.create_task(self._execute(work))
        # Not in `_execute`, which is never entered if the task is cancelled before it begins.
        self._task.add_done_callback(lambda _: self._close(work))

    async def started(self, request: Request) -> None:
        """Wait for the first event; raises the ApiError of a run that fails before it.

        Nothing is sent until then, so that a failure still gets its own HTTP status. If the reader
        disconnects first, the run is cancelled.
        """
        self._end_with_request()
        begun = asyncio.create_task(self.response.events.reach(0))
        try:
            await self._unless_left(request, begun)
            if not await begun:
                await self.wait()
        finally:
            begun.cancel()

    async def finished(self, request: Request) -> None:
        """Wait for the run, which is cancelled if the reader disconnects; raises as `wait` does."""
        self._end_with_request()
        await self._unless_left(request, self._task)
        await self.wait()

    async def wait(self) -> None:
        """Wait for the run to finish; raises the ApiError it failed with."""
        await asyncio.wait([self._task])
        if self._failure:
            raise self._failure

    def cancel(self) -> None:
        """End the run without emitting anything more."""
        # Not again at once: that would interrupt what the run is still storing.
        if not self._task.cancelling():
            self._cancel()

    def stop(self, error: ApiError) -> bool:
        """End an unfinished run with an error, which its readers are told; return if it was one."""
        if self._task.done() or self._task.cancelling() or self.response.finished:
            return False
        self._failure = error
        self.response.fail(error.code, error.detail)
        self.response.events.close()
        self.cancel()
        return True

    async def to_sse(self) -> AsyncIterator[str]:
        """Yield server-sent events; the run is cancelled if the reader disconnects."""
        try:
            async for event in self.response.events.read():
                yield to_sse(event)
            yield "data: [DONE]\n\n"
        finally:
            self.cancel()

    async def to_text(self) -> AsyncIterator[str]:
        """Yield the text as it arrives; the run is cancelled if the reader disconnects.

        Raises the ApiError of a run that fails, so that the client sees that the answer was cut
        off.
        """
        try:
            async for event in self.response.events.read():
                if text := to_text(event):
                    yield text
            await self.wait()
        finally:
            self.cancel()

    def _close(self, work: Coroutine[None, None, None]) -> None:
        work.close()
        self.response.events.close()

    def _cancel(self) -> None:
        if not self._task.done():
            self._task.cancel()
            # Libraries may lose a cancellation, in Python 3.11 by `asyncio.wait_for`.
            asyncio.get_running_loop().call_later(limit("CANCEL_SECONDS"), self._cancel)

    def _end_with_request(self) -> None:
        """Cancel the run when the request ends: the stream to its reader may never have begun."""
        if request := asyncio.current_task():
            request.add_done_callback(lambda _: self.cancel())

    async def _unless_left(self, request: Request, awaited: asyncio.Task[Any]) -> None:
        left = asyncio.create_task(_left(request))
        try:
            await asyncio.wait([awaited, left], return_when=asyncio.FIRST_COMPLETED)
            if not awaited.done():
                self.cancel()
        finally:
            left.cancel()

    async def _execute(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:  # readers get the ApiError, the log has the cause
            self._failure = failure = to_api_error(error)
            cause = error if failure is not error else None
            log.error("a turn failed: %s", failure.code, exc_info=cause)
            self.response.fail(failure.code, failure.detail)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
