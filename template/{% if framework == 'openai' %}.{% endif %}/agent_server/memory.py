"""The tools through which the agent remembers a user from one conversation to the next."""

import json

from agents import RunContextWrapper, Tool, function_tool

from agent_server.context import Context
from agent_server.database.text import to_storable
from agent_server.errors import ApiError
from agent_server.settings import has, limit
from agent_server.tool_failures import tell_model

# The run's context holds the user and the store; the model neither sees nor chooses it.
Run = RunContextWrapper[Context]


def memory_tools() -> list[Tool]:
    """Return the tools of long-term memory; none in a project without it."""
    return [get_user_memory, save_user_memory, delete_user_memory] if has("long_term") else []


@function_tool(failure_error_function=tell_model)
async def get_user_memory(run: Run, query: str) -> str:
    """Search what you remember about the user. Returns a JSON list, the nearest first."""
    place, most = run.context.user.namespace, limit("MEMORIES_FOUND")
    try:
        found = await run.context.store.asearch(place, query=to_storable(query), limit=most)
    except ApiError as error:  # the model goes on without it, and tells the user
        return error.detail
    memories = [{"memory_key": item.key, **item.value} for item in found]
    return json.dumps(memories, ensure_ascii=False)


@function_tool(failure_error_function=tell_model)
async def save_user_memory(run: Run, memory_key: str, memory: str) -> str:
    """Remember something about the user in later conversations.

    Args:
        memory_key: A short name for it, such as favourite_colour; the same name replaces it.
        memory: One sentence that can be understood by itself.
    """
    place, value = run.context.user.namespace, {"memory": to_storable(memory)}
    try:
        await run.context.store.aput(place, to_storable(memory_key), value)
    except ApiError as error:
        return error.detail
    return f"Saved as {memory_key}."


@function_tool(failure_error_function=tell_model)
async def delete_user_memory(run: Run, memory_key: str) -> str:
    """Forget one memory about the user, by the memory_key that get_user_memory returned."""
    await run.context.store.adelete(run.context.user.namespace, to_storable(memory_key))
    return f"Forgot {memory_key}."
