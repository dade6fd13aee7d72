"""What else is stored when a background run finishes, such as its answer in a chat."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from agent_server.database.pool import Connection
from agent_server.errors import to_api_error
from agent_server.responses.requests import Turn

log = logging.getLogger(__name__)

# Called in the transaction that finishes a run, with its turn and its final body.
OnFinish = Callable[[Connection, Turn, dict[str, Any]], Awaitable[None]]


async def finish(
    connection: Connection, on_finish: OnFinish | None, turn: Turn, body: dict[str, Any]
) -> None:
    """Call `on_finish`. If it fails, its changes are rolled back, and the run still finishes.

    Raises psycopg.Error when the database is in trouble, so that nothing is saved, and all of it is
    tried again.
    """
    if on_finish:
        try:
            async with connection.transaction():
                await on_finish(connection, turn, body)
        except Exception as error:  # whatever the project's own code raises
            if isinstance(error, psycopg.Error) and to_api_error(error).status_code == 503:
                raise
            log.exception("on_finish failed, and its changes were rolled back")
