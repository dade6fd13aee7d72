"""What the app keeps about the user who asks: shown, exported, and forgotten on request."""

import os
from importlib.util import find_spec
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from agent_server.belongings import delete_user, export_user
from agent_server.identity import CurrentUser
from agent_server.requests import Text
from agent_server.settings import setting
from agent_server.startup import running_turns

MOST_MEMORIES = 1000
router = APIRouter(prefix="/api")


async def _turns(request: Request) -> Any:
    return await running_turns(request)


Running = Annotated[Any, Depends(_turns)]


@router.get("/me")
async def show_me(user: CurrentUser, turns: Running) -> dict[str, Any]:
    """Say who is asking, and what answers."""
    return {
        "user": user.id,
        "model": setting("MODEL_ENDPOINT"),
        "offline": bool(os.environ.get("OFFLINE_MODEL")),
        "long_term": turns.store is not None,
        "background": find_spec("agent_server.background") is not None,
    }


@router.get("/me/export")
async def export_me(user: CurrentUser, turns: Running) -> dict[str, list[Any]]:
    """Return every row the app keeps about the user, by table."""
    return await export_user(turns.pool, user)


@router.delete("/me", status_code=204)
async def forget_me(user: CurrentUser, turns: Running) -> None:
    """Forget the user: threads, memories, chats, everything."""
    await delete_user(turns.pool, user)


@router.get("/memories")
async def list_memories(user: CurrentUser, turns: Running) -> list[dict[str, Any]]:
    """List what the agent remembers about the user, the latest first."""
    if not turns.store:
        return []
    found = await turns.store.asearch(user.namespace, limit=MOST_MEMORIES)
    return [{"memory_key": i.key, **i.value, "updated_at": i.updated_at} for i in found]


@router.delete("/memories", status_code=204)
async def forget_memories(user: CurrentUser, turns: Running) -> None:
    """Forget every memory."""
    while memories := await list_memories(user, turns):
        for memory in memories:
            await forget_memory(memory["memory_key"], user, turns)


@router.delete("/memories/{memory_key:path}", status_code=204)
async def forget_memory(memory_key: Text, user: CurrentUser, turns: Running) -> None:
    """Forget one memory, whatever name the model gave it."""
    if turns.store:
        await turns.store.adelete(user.namespace, memory_key)
