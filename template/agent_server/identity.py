"""Who is asking: the platform's headers say so, never the body of a request."""

import re
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request

from agent_server.errors import ApiError
from agent_server.settings import in_databricks_app

# Databricks Apps sets both on every request it forwards, and drops any that a client sent.
IDENTITY_HEADERS = ("x-forwarded-user", "x-forwarded-email")
# The user's own token, which an app with user authorization is sent (see `on_behalf.py`).
TOKEN_HEADER = "x-forwarded-access-token"
LOCAL_USER = "local-user"
MEMORIES = "memories"  # the kind of a store namespace: what is remembered about a user
GROUP_MEMORIES = "group_memories"  # the kind of one: what a group of the workspace shares
SAVED_BY = "saved_by"  # in a memory of a group: the id of the user who saved it
# Headers are read as Latin-1: what is above may be part of a letter.
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class User:
    """The person behind a request."""

    id: str

    @property
    def key(self) -> str:
        """The id, safe in a thread key and in a store namespace (which may hold no periods)."""
        return _to_key(self.id)

    def thread_key(self, thread_id: str) -> str:
        """Return the key of one of the user's threads in the database; no other user has it."""
        return f"{self.key}/{thread_id}"

    @property
    def namespace(self) -> tuple[str, str]:
        """The store namespace that holds everything the agent remembers about this user."""
        return (MEMORIES, self.key)


@dataclass(frozen=True)
class Asking:
    """The user of the request that is being answered, and their token, which may be empty."""

    user: User
    token: str = field(default="", repr=False)


def group_namespace(group: str) -> tuple[str, str]:
    """Return the store namespace of what a group shares; no user's key holds a colon."""
    return (GROUP_MEMORIES, f"group:{_to_key(group)}")


def _to_key(name: str) -> str:
    return quote(name, safe="").replace(".", "%2E").replace("~", "%7E")


# A turn inherits it from the request that asked for it; one that another process takes over, or
# that only waits in the database, has none.
asking: ContextVar[Asking | None] = ContextVar("asking", default=None)


async def current_user(request: Request) -> User:
    """Return the user the platform names; raise a 401 ApiError when it names none or several."""
    user = _named(request)
    asking.set(Asking(user, _only(request, TOKEN_HEADER)))
    return user


def _named(request: Request) -> User:
    for header in IDENTITY_HEADERS:
        if name := _only(request, header):
            return User(name)
    if in_databricks_app():
        raise ApiError(401, "no_identity", "The request carries no signed-in user.")
    return User(LOCAL_USER)


def _only(request: Request, header: str) -> str:
    values = request.headers.getlist(header)
    if len(values) > 1:
        raise ApiError(401, "ambiguous_identity", f"{header} was sent more than once.")
    if CONTROL.search(value := "".join(values)):
        raise ApiError(401, "malformed_identity", f"{header} holds control characters.")
    return value


CurrentUser = Annotated[User, Depends(current_user)]
