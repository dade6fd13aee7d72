"""The tools through which the agent remembers a user from one conversation to the next."""

import json
from typing import Any

from langchain.tools import ToolRuntime, tool
from langchain_core.tools import BaseTool

from agent_server.identity import User
from agent_server.memory_store import UserMemories

# The model never sees or chooses the runtime: it holds the user and the store.
Runtime = ToolRuntime[User, Any]


def memory_tools() -> list[BaseTool]:
    """Return the tools of long-term memory."""
    return [get_user_memory, save_user_memory, delete_user_memory]


@tool
async def get_user_memory(query: str, runtime: Runtime) -> str:
    """Search what you remember about the user. Returns a JSON list, the nearest first."""
    return json.dumps(await _memories(runtime).search(query), ensure_ascii=False)


@tool
async def save_user_memory(memory_key: str, memory: str, runtime: Runtime) -> str:
    """Remember something about the user in later conversations.

    Args:
        memory_key: A short name for it, such as favourite_colour; the same name replaces it.
        memory: One sentence that can be understood by itself.
    """
    await _memories(runtime).save(memory_key, memory)
    return f"Saved as {memory_key}."


@tool
async def delete_user_memory(memory_key: str, runtime: Runtime) -> str:
    """Forget one memory about the user, by the memory_key that get_user_memory returned."""
    await _memories(runtime).delete(memory_key)
    return f"Forgot {memory_key}."


def _memories(runtime: Runtime) -> UserMemories:
    assert runtime.store is not None
    return UserMemories(runtime.store, runtime.context)
