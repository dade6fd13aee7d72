"""Acts as the user who asks, with exactly their rights; for the agent's tools.

Databricks Apps with user authorization send the user's own token with each request, if
`user_api_scopes` of the app (databricks.yml) names at least one scope. It lives for about an hour,
in the memory of the turn that was asked for with it, and nowhere else.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from agent_server.identity import asking
from agent_server.settings import in_databricks_app, workspace_configured

if TYPE_CHECKING:  # it takes seconds to import
    from databricks.sdk import WorkspaceClient

Result = TypeVar("Result")
REQUEST_SECONDS = 60  # for one request to be answered, and for all tries at it
OVER = "I can't act as you any more; please ask again."
NOT_ASKED = (
    "I can't act as you: the request carried no authorization of yours. The app needs user "
    "authorization, with a scope for this, and the question must be asked again."
)
OFFLINE = "I can't act as you: there is no workspace here. Run: lakebase-agent link"


class OnBehalfError(Exception):
    """Something can't be done as the user. The text is for the model, and so for the user."""


class NoUser(OnBehalfError):
    """There is no user to act as: no token, or one that has expired."""


class NotAllowedError(OnBehalfError):
    """The user may not do it, or the app may not do it for them."""


async def as_user(work: Callable[["WorkspaceClient"], Result]) -> Result:
    """Return what `work` returns for a client of the user, off the event loop.

        await as_user(lambda w: w.current_user.me().user_name)

    In a Databricks App it is never the app's own client. On a developer's machine without a token
    it is the developer's. Raises NoUser, NotAllowedError and whatever else `work` raises; the
    agent tells the model the text of the first two, and the turn goes on.
    """
    return await asyncio.to_thread(_work_as_user, work)


async def user_token() -> str:
    """Return a token with the user's rights, for one request: it may expire; raises NoUser."""
    if token := _sent_token():
        return token
    headers = await asyncio.to_thread(lambda: _client().config.authenticate())
    return headers["Authorization"].removeprefix("Bearer ")


def _work_as_user(work: Callable[["WorkspaceClient"], Result]) -> Result:
    from databricks.sdk.errors import PermissionDenied, Unauthenticated

    try:
        return work(_client())
    except Unauthenticated:
        raise NoUser(OVER) from None
    except PermissionDenied as error:
        raise NotAllowedError(f"You may not do this ({error.error_code}): {error}") from None


def _sent_token() -> str:
    asked_by = asking.get()
    return asked_by.token if asked_by and workspace_configured() else ""


def _client() -> "WorkspaceClient":
    if token := _sent_token():
        return _client_of(token)
    if in_databricks_app():
        raise NoUser(NOT_ASKED if asking.get() else OVER)
    if not workspace_configured():
        raise NoUser(OFFLINE)
    from agent_server.server.workspace import workspace_client

    return workspace_client()


def _client_of(token: str) -> "WorkspaceClient":
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.config import Config

    from agent_server.server.workspace import workspace_client

    return WorkspaceClient(
        config=Config(
            host=workspace_client().config.host,
            token=token,
            auth_type="pat",  # of all that the environment offers, this alone
            debug_headers=False,  # they hold the token
            http_timeout_seconds=REQUEST_SECONDS,
            retry_timeout_seconds=REQUEST_SECONDS,
        )
    )
