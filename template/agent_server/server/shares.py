"""Each user's share of this process: nobody's requests or turns use up those of the others."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_server.errors import ApiError, to_body
from agent_server.identity import current_user
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.requests import Turn
from agent_server.responses.task import RunTurn
from agent_server.settings import limit

EXEMPT = ("/health", "/ready")
RETRY_SECONDS = 5


class Shares:
    """Counts what users have under way at once, and refuses more than a limit.

    `what` is the beginning of the limits' names, which end in _PER_USER and _PER_PROCESS.
    """

    def __init__(self, what: str) -> None:
        self._what, self._taken = what, Counter[str]()

    @contextmanager
    def take(self, user_id: str) -> Iterator[None]:
        """Count one more of the user's while the body runs.

        Raises ApiError: 429 when the user has too many, 503 when all users together do.
        """
        self._check(user_id)
        self._taken[user_id] += 1
        try:
            yield
        finally:
            self._taken[user_id] -= 1
            if not self._taken[user_id]:
                del self._taken[user_id]

    def _check(self, user_id: str) -> None:
        noun = self._what.lower().replace("_", " ")
        if self._taken[user_id] >= (most := limit(f"{self._what}_PER_USER")):
            text = f"You have {most} {noun} at once, which is the limit. Wait for one to finish."
            raise ApiError(429, "too_many_at_once", text, RETRY_SECONDS)
        if self._taken.total() >= (most := limit(f"{self._what}_PER_PROCESS")):
            text = f"The server is busy with {most} {noun}, which is its limit. Try again later."
            raise ApiError(503, "server_busy", text, RETRY_SECONDS)


class FairRequests:
    """ASGI middleware that bounds the requests which a user may have under way at once."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self._shares = app, Shares("REQUESTS")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request above the limits; let the app answer the rest."""
        if scope["type"] != "http" or scope["path"] in EXEMPT:
            return await self.app(scope, receive, send)
        answer = self.app
        with ExitStack() as stack:
            try:
                stack.enter_context(self._shares.take(await _user_id(scope)))
            except ApiError as error:
                answer = JSONResponse(to_body(error), error.status_code, error.headers)
            await answer(scope, receive, send)


async def _user_id(scope: Scope) -> str:
    try:
        return (await current_user(Request(scope))).id
    except ApiError:  # those whom nobody names share one user's share; the routes refuse them
        return ""


def share_turns(run_turn: RunTurn) -> RunTurn:
    """Return what runs turns as `run_turn` does, and refuses those above the limits."""
    shares = Shares("FOREGROUND_TURNS")

    async def run_shared(turn: Turn, response: ResponseBuilder) -> None:
        with shares.take(turn.user.id):
            await run_turn(turn, response)

    return run_shared
