"""A connection that waits for Postgres no longer than it is told to."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import AsyncConnection, Error
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import Row

from agent_server.errors import AppDatabaseError
from agent_server.settings import limit


class BoundedConnection(AsyncConnection[Row]):
    """A connection that hangs up when a statement is not answered in time.

    Postgres itself ends a statement that takes too long. A server that is frozen or out of reach
    can't: it would be waited for for ever. Whoever waits gets a psycopg.OperationalError.
    """

    answer_seconds = 0

    async def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """Wait for what `gen` does on the connection, as psycopg does for each statement."""
        seconds = self.answer_seconds or limit("STATEMENT_SECONDS") + limit("ANSWER_SECONDS")
        timer = asyncio.get_running_loop().call_later(seconds, self._hang_up)
        try:
            return await super().wait(gen, *args, **kwargs)
        except Error as error:
            raise error from AppDatabaseError()
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        # Who listens for notifications is not active, and may wait for as long as they like.
        if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
            return
        # Not a cancellation: it would ask the same server to cancel, and could lose the connection.
        end = socket.socket(fileno=self.pgconn.socket)
        try:
            end.shutdown(socket.SHUT_RDWR)
        finally:
            end.detach()  # the connection still closes it


def bounded(base: type[AsyncConnection[Any]]) -> type[AsyncConnection[Any]]:
    """Return a class of connections like `base`, which are bounded."""
    return type(f"Bounded{base.__name__}", (BoundedConnection, base), {})


@contextmanager
def answers_within(connection: AsyncConnection[Any], seconds: int) -> Iterator[None]:
    """Give the server `seconds` for each answer to the statements in the body."""
    assert isinstance(connection, BoundedConnection)
    before, connection.answer_seconds = connection.answer_seconds, seconds
    try:
        yield
    finally:
        connection.answer_seconds = before
