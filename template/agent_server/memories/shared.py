"""Memories that a group of the workspace shares, if SHARED_MEMORY_GROUPS names the group.

Who is in it is asked of the workspace, as the user and for each operation; never of the request.
"""

import json
from typing import Any, Protocol

from agent_server.database.text import to_storable
from agent_server.errors import ApiError
from agent_server.identity import SAVED_BY, User, group_namespace
from agent_server.on_behalf import as_user
from agent_server.settings import limit, setting

NO_GROUP = "The user is in no group that shares memories."


class Store(Protocol):
    """The part of the store that is needed."""

    async def asearch(
        self, namespace_prefix: tuple[str, ...], /, *, query: str | None = None, limit: int = 10
    ) -> Any:
        """Return at most `limit` memories, nearest to `query` first."""

    async def aput(self, namespace: tuple[str, ...], key: str, value: dict[str, Any]) -> None:
        """Save a memory, in place of one with the same key."""

    async def adelete(self, namespace: tuple[str, ...], key: str) -> None:
        """Forget a memory."""


def sharing_groups() -> list[str]:
    """Return the groups that SHARED_MEMORY_GROUPS names."""
    names = (name.strip() for name in setting("SHARED_MEMORY_GROUPS").split(","))
    return [*dict.fromkeys(filter(None, names))]


async def groups_of_user() -> list[str]:
    """Return those of them that the user who asks is in, as the workspace says.

    Raises OnBehalfError as `as_user` does, and ApiError when the workspace can't be asked.
    """
    from databricks.sdk.errors.base import DatabricksError

    try:
        me = await as_user(lambda w: w.current_user.me())
    except (DatabricksError, OSError) as error:
        text = "The workspace does not say now which groups the user is in. Try again later."
        raise ApiError(503, "groups_unknown", text) from error
    names = {group.display for group in me.groups or []}
    return [name for name in sharing_groups() if name in names]


async def search_shared(store: Store, query: str) -> str:
    """Return what the user's groups remember near to `query`, as JSON for the model.

    Raises as `groups_of_user` does, and ApiError as the store does.
    """
    if not (groups := await groups_of_user()):
        return NO_GROUP
    query, most, found = to_storable(query), limit("MEMORIES_FOUND"), []
    for group in groups:
        items = await store.asearch(group_namespace(group), query=query, limit=most)
        found += [{"group": group, "memory_key": item.key, **item.value} for item in items]
    return json.dumps(found, ensure_ascii=False)


async def save_shared(store: Store, user: User, group: str, key: str, memory: str) -> str:
    """Save a memory for all of a group, with the user's name; return what to tell the model.

    Raises as `search_shared` does.
    """
    chosen, problem = await _choose(group)
    if not problem and not memory.strip():
        problem = "memory is empty."
    if not problem:
        value = {"memory": to_storable(memory), SAVED_BY: user.id}
        await store.aput(group_namespace(chosen), to_storable(key), value)
    return problem or f"Saved as {key} for {chosen}."


async def delete_shared(store: Store, group: str, key: str) -> str:
    """Forget a memory of a group, whoever saved it; return what to tell the model.

    Raises as `groups_of_user` does.
    """
    chosen, problem = await _choose(group)
    if not problem:
        await store.adelete(group_namespace(chosen), to_storable(key))
    return problem or f"Forgot {key} of {chosen}."


async def _choose(group: str) -> tuple[str, str]:
    """Return the group, or the user's only one if it is empty; or else what is wrong with it."""
    groups = await groups_of_user()
    if not groups:
        return "", NO_GROUP
    if group in groups or (not group and len(groups) == 1):
        return group or groups[0], ""
    return "", f"Name a group of the user that shares memories: {', '.join(groups)}."
