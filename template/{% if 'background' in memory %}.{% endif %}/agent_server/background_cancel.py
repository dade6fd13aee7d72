"""Ends the run of a response at its user's wish, whichever process it is in."""

import json

from psycopg.rows import DictRow

from agent_server import background_store as store
from agent_server.background_attempt import OnEnd, end
from agent_server.background_response import DurableResponse
from agent_server.lakebase import Connection, Pool
from agent_server.responses import UNFINISHED


async def cancel(pool: Pool, response_id: str, user_id: str, on_end: OnEnd | None) -> None:
    """Cancel this user's response, unless it is over: then it stays as it is.

    From here on the process that runs it can write nothing more, and is told to stop.
    """
    async with pool.connection() as connection, connection.transaction():
        cursor = await connection.execute(store.LOCK, [response_id, user_id])
        if (row := await cursor.fetchone()) and row["status"] in UNFINISHED:
            await _cancel(connection, response_id, row, on_end)


async def _cancel(
    connection: Connection, response_id: str, row: DictRow, on_end: OnEnd | None
) -> None:
    response = DurableResponse.replay(await store.events(connection, response_id))
    response.cancel()
    told, body = response.events, json.dumps(response.body)
    how = (row["claimed_by"], "cancelled", body, told.start, told.since(told.start))
    await store.write(connection, [store.Entry(response_id, *how)])
    await end(connection, on_end, store.TURN.validate_json(row["request"]), response.body)
    await connection.execute(store.ENDED, [store.channel(), response_id])
