"""The tools through which the agent remembers a user from one conversation to the next."""

import json
from typing import Any

from langchain.tools import ToolRuntime, tool
from langchain_core.tools import BaseTool

from agent_server.database.text import to_storable
from agent_server.errors import ApiError
from agent_server.identity import User
from agent_server.settings import has, limit

# The run holds the user and the store; the model neither sees nor chooses it.
Run = ToolRuntime[User, Any]


def memory_tools() -> list[BaseTool]:
    """Return the tools of long-term memory; none in a project without it."""
    return [get_user_memory, save_user_memory, delete_user_memory] if has("long_term") else []


@tool
async def get_user_memory(runtime: Run, query: str) -> str:
    """Search what you remember about the user. Returns a JSON list, the nearest first."""
    assert runtime.store
    place, most = runtime.context.namespace, limit("MEMORIES_FOUND")
    try:
        found = await runtime.store.asearch(place, query=to_storable(query), limit=most)
    except ApiError as error:  # the model goes on without it, and tells the user
        return error.detail
    memories = [{"memory_key": item.key, **item.value} for item in found]
    return json.dumps(memories, ensure_ascii=False)


@tool
async def save_user_memory(runtime: Run, memory_key: str, memory: str) -> str:
    """Remember something about the user in later conversations.

    Args:
        memory_key: A short name for it, such as favourite_colour; the same name replaces it.
        memory: One sentence that can be understood by itself.
    """
    assert runtime.store
    place, value = runtime.context.namespace, {"memory": to_storable(memory)}
    try:
        await runtime.store.aput(place, to_storable(memory_key), value)
    except ApiError as error:
        return error.detail
    return f"Saved as {memory_key}."


@tool
async def delete_user_memory(runtime: Run, memory_key: str) -> str:
    """Forget one memory about the user, by the memory_key that get_user_memory returned."""
    assert runtime.store
    await runtime.store.adelete(runtime.context.namespace, to_storable(memory_key))
    return f"Forgot {memory_key}."
