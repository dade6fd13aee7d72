"""Shows, exports and deletes what the app stores about the user who asks."""

import os
from typing import Any

from fastapi import APIRouter, Response

from agent_server.identity import CurrentUser
from agent_server.responses.items import Text
from agent_server.server.startup import OpenedRuntime
from agent_server.settings import has, limit, setting
from agent_server.user_data.export import Export
from agent_server.user_data.rows import delete_memories, delete_user, export_user

router = APIRouter(prefix="/api")


@router.get("/me")
async def show_me(user: CurrentUser, runtime: OpenedRuntime) -> dict[str, Any]:
    """Return the user, the model that answers, and which features there are."""
    return {
        "user": user.id,
        "model": setting("MODEL_ENDPOINT"),
        "offline": bool(os.environ.get("OFFLINE_MODEL")),
        "long_term": has("long_term"),
        "background": has("background"),
        "titles": setting("CHAT_TITLES") == "true",  # which come after the first answer
    }


@router.get("/me/export")
async def export_me(user: CurrentUser, runtime: OpenedRuntime) -> Response:
    """Return every row that the app stores about the user, by table."""
    pieces = export_user(runtime.pool, user)
    await anext(pieces)
    return Export(pieces)


@router.delete("/me", status_code=204)
async def forget_me(user: CurrentUser, runtime: OpenedRuntime) -> None:
    """Delete everything about the user: threads, memories, chats."""
    await delete_user(runtime.pool, user)


@router.get("/memories")
async def list_memories(user: CurrentUser, runtime: OpenedRuntime) -> list[dict[str, Any]]:
    """List what the agent remembers about the user, latest first."""
    if not runtime.store:
        return []
    found = await runtime.store.asearch(user.namespace, limit=limit("MEMORIES_PER_USER"))
    return [{"memory_key": i.key, **i.value, "updated_at": i.updated_at} for i in found]


@router.delete("/memories", status_code=204)
async def forget_memories(user: CurrentUser, runtime: OpenedRuntime) -> None:
    """Forget every memory."""
    if runtime.store:
        await delete_memories(runtime.pool, user)


@router.delete("/memories/{memory_key:path}", status_code=204)
async def forget_memory(memory_key: Text, user: CurrentUser, runtime: OpenedRuntime) -> None:
    """Forget one memory, whatever name the model gave it."""
    if runtime.store:
        await runtime.store.adelete(user.namespace, memory_key)
