"""What happens to a request before it is answered: recorded, made to fail, and signed in."""

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from tests.standins.workspace.errors import ApiError
from tests.standins.workspace.identities import Identities
from tests.support.served import reset

OPEN = ("/.well-known/", "/oidc/", "/upload/")


class Call(NamedTuple):
    """A request that the workspace received."""

    method: str
    path: str


@dataclass
class Fault:
    """How requests fail: late, broken off, or with an error; `times` below zero is for ever."""

    error: ApiError | None = None
    seconds: float = 0.0
    drop: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    times: int = -1
    passes: int = 0  # so many requests are answered before the first one fails


class Faults:
    """The faults that a test switched on, by the beginning of the path."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}

    def clear(self) -> None:
        """Let everything work again."""
        self._faults.clear()

    def unauthenticated(self, prefix: str = "/api", times: int = -1) -> None:
        """Answer 401."""
        self._fail(prefix, times, 401, "UNAUTHENTICATED", "The token is invalid or expired.")

    def forbidden(self, prefix: str = "/api", times: int = -1) -> None:
        """Answer 403."""
        self._fail(prefix, times, 403, "PERMISSION_DENIED", "You do not have permission.")

    def forbidden_later(self, prefix: str, passes: int) -> None:
        """Answer 403 once so many requests have been answered."""
        self.forbidden(prefix)
        self._faults[prefix].passes = passes

    def missing(self, prefix: str = "/api", times: int = -1) -> None:
        """Answer 404."""
        self._fail(prefix, times, 404, "NOT_FOUND", "This does not exist.")

    def limited(self, prefix: str = "/api", retry_after: int = 0, times: int = -1) -> None:
        """Answer 429."""
        self._fail(prefix, times, 429, "RESOURCE_EXHAUSTED", "Too many requests.")
        self._faults[prefix].headers = {"Retry-After": str(retry_after)}

    def broken(self, prefix: str = "/api", times: int = -1) -> None:
        """Answer 500."""
        self._fail(prefix, times, 500, "INTERNAL_ERROR", "Something went wrong.")

    def disabled(self, prefix: str = "/api/2.0/postgres", times: int = -1) -> None:
        """Answer that Lakebase is not enabled."""
        text = "Lakebase is not enabled in this workspace."
        self._fail(prefix, times, 400, "FEATURE_DISABLED", text)

    def slow(self, seconds: float, prefix: str = "/api", times: int = -1) -> None:
        """Answer late."""
        self._faults[prefix] = Fault(seconds=seconds, times=times)

    def dropped(self, prefix: str = "/api", times: int = -1) -> None:
        """Break the connection without an answer."""
        self._faults[prefix] = Fault(drop=True, times=times)

    def take(self, path: str) -> Fault:
        """Return what happens to a request now."""
        for prefix, fault in self._faults.items():
            if not path.startswith(prefix) or fault.times == 0:
                continue
            if fault.passes:
                fault.passes -= 1
                continue
            fault.times -= 1
            return fault
        return Fault()

    def _fail(self, prefix: str, times: int, status: int, code: str, message: str) -> None:
        self._faults[prefix] = Fault(ApiError(status, code, message), times=times)


class Gate:
    """Stands before the app."""

    def __init__(self, app: ASGIApp, identities: Identities, faults: Faults) -> None:
        self._app, self._identities, self._faults = app, identities, faults
        self.calls: list[Call] = []
        self.callers: list[tuple[str, str]] = []  # who called, and which path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        self.calls.append(Call(scope["method"], path))
        fault = self._faults.take(path)
        await asyncio.sleep(fault.seconds)
        if fault.drop:
            await reset(receive, send)
        elif fault.error:
            await fault.error.to_response(fault.headers)(scope, receive, send)
        elif self._is_allowed(scope):
            await self._app(scope, receive, send)
        else:
            error = ApiError(401, "UNAUTHENTICATED", "Credential was not sent or is not valid.")
            await error.to_response()(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        token = headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
        identity = self._identities.find(token)
        scope.setdefault("state", {})["identity"] = identity
        if identity:
            self.callers.append((identity.user_name, scope["path"]))
        return identity is not None or scope["path"].startswith(OPEN)
