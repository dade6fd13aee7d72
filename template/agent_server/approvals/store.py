"""Calls that wait for approval, in Postgres: decided once, by any process, also after a restart."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from agent_server.approvals.calls import Approval, Call, Pause
from agent_server.database.migrations import migrate
from agent_server.database.pool import Connection, Pool
from agent_server.errors import ApiError, no_such_approval
from agent_server.responses.requests import Turn
from agent_server.settings import limit

# The calls of one pause are closed together: by the turn that continues the run, or by one that
# sends something else instead. Only the first of them has the state.
TABLE = """
    CREATE TABLE IF NOT EXISTS approvals (
        id text PRIMARY KEY, user_id text NOT NULL, thread_key text NOT NULL,
        number int NOT NULL, name text NOT NULL, arguments text NOT NULL, place text NOT NULL,
        state text, created_at timestamptz NOT NULL DEFAULT now(),
        approve boolean, reason text NOT NULL DEFAULT '', decided_at timestamptz, closed_by text);
    CREATE INDEX IF NOT EXISTS approvals_thread ON approvals (thread_key, closed_by)"""
PAUSE = """
    INSERT INTO approvals (id, user_id, thread_key, number, name, arguments, place, state)
    VALUES (%(id)s, %(user)s, %(thread)s, %(number)s, %(name)s, %(arguments)s, %(place)s,
        %(state)s)"""
EXPIRED = "created_at < now() - make_interval(days => %(days)s)"
ASKED = f"""
    SELECT approve IS NOT NULL OR closed_by IS NOT NULL AS decided, {EXPIRED} AS expired
    FROM approvals WHERE thread_key = %(thread)s AND id = ANY(%(ids)s)"""
DECIDE = f"""
    UPDATE approvals held SET approve = said.approve, reason = said.reason, decided_at = now()
    FROM unnest(%(ids)s::text[], %(approve)s::boolean[], %(reasons)s::text[])
        said (id, approve, reason)
    WHERE held.id = said.id AND thread_key = %(thread)s AND held.approve IS NULL
        AND closed_by IS NULL AND NOT {EXPIRED}"""
CLOSE = """
    UPDATE approvals SET closed_by = %(turn)s
    WHERE thread_key = %(thread)s AND closed_by IS NULL AND NOT EXISTS (
        SELECT FROM approvals
        WHERE thread_key = %(thread)s AND closed_by IS NULL AND approve IS NULL)"""
# What waits, or what this turn has closed: an earlier attempt at it may have been cut off.
OPEN = """
    SELECT id, name, arguments, place, state, approve, reason FROM approvals
    WHERE thread_key = %(thread)s AND coalesce(closed_by = %(turn)s, true) ORDER BY number"""
FINISH = "UPDATE approvals SET state = NULL WHERE thread_key = %(thread)s"
DISMISS = """
    UPDATE approvals SET approve = coalesce(approve, false), closed_by = %(turn)s, state = NULL
    WHERE thread_key = %(thread)s AND coalesce(closed_by = %(turn)s, true)"""


class StoredApprovals:
    """The calls that wait in all threads; whoever uses it for a turn holds its thread's lease."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def check(self, turn: Turn) -> None:
        """Raise an ApiError if no answer in this turn can be taken; nothing if it has none."""
        if turn.approvals:
            async with self._pool.connection() as connection:
                await _check(connection, turn)

    async def pause(self, turn: Turn, state: str, calls: Sequence[Call]) -> Pause:
        """Keep the calls, and the state of their run."""
        approvals = [Approval(f"mcpr_{uuid4().hex}", call) for call in calls]
        rows = [
            {
                "id": approval.id, "user": turn.user.id, "thread": turn.thread_key,
                "number": number, "state": None if number else state, **vars(approval.call),
            }
            for number, approval in enumerate(approvals)
        ]  # fmt: skip
        async with self._pool.connection() as connection, connection.transaction():
            # What was left open before: the thread has gone on.
            await connection.execute(DISMISS, _values(turn))
            await connection.cursor().executemany(PAUSE, rows)
        return Pause(state, approvals)

    async def decide(self, turn: Turn) -> Pause:
        """Take the answers, and return what they are for; raises as `check` does."""
        values = _values(turn)
        async with self._pool.connection() as connection, connection.transaction():
            cursor = await connection.execute(DECIDE, values)
            if not cursor.rowcount and not await self._continues(connection, values):
                await _check(connection, turn)
            await connection.execute(CLOSE, values)
            rows = await (await connection.execute(OPEN, values)).fetchall()
        if not rows:
            raise no_such_approval()
        return Pause(rows[0]["state"] or "", [_to_approval(row) for row in rows])

    async def finish(self, turn: Turn) -> None:
        """Drop the state of the run that this turn has continued to its end."""
        async with self._pool.connection() as connection:
            await connection.execute(FINISH, _values(turn))

    async def dismiss(self, turn: Turn) -> bool:
        """Take the turn for a no to all that waits in its thread."""
        async with self._pool.connection() as connection:
            return (await connection.execute(DISMISS, _values(turn))).rowcount > 0

    async def _continues(self, connection: Connection, values: dict[str, Any]) -> bool:
        """Return whether an earlier attempt at this turn has taken its answers."""
        query = "SELECT FROM approvals WHERE thread_key = %(thread)s AND closed_by = %(turn)s"
        return bool(await (await connection.execute(query, values)).fetchall())


async def open_approvals(pool: Pool, connection: Connection) -> StoredApprovals:
    """Return the calls that wait, after creating their table, or bringing it up to date."""
    await migrate(connection, "approvals", [TABLE])
    return StoredApprovals(pool)


async def _check(connection: Connection, turn: Turn) -> None:
    rows = await (await connection.execute(ASKED, _values(turn))).fetchall()
    if len(rows) < len({said.approval_request_id for said in turn.approvals}):
        raise no_such_approval()
    if all(row["decided"] for row in rows):
        raise ApiError(409, "already_decided", "This has been decided already.")
    if all(row["decided"] or row["expired"] for row in rows):
        text = f"This was asked more than {limit('APPROVAL_DAYS')} days ago. Ask the agent again."
        raise ApiError(410, "approval_expired", text)


def _values(turn: Turn) -> dict[str, Any]:
    return {
        "thread": turn.thread_key,
        "turn": turn.response_id or f"turn_{uuid4().hex}",
        "ids": [said.approval_request_id for said in turn.approvals],
        "approve": [said.approve for said in turn.approvals],
        "reasons": [said.reason or "" for said in turn.approvals],
        "days": limit("APPROVAL_DAYS"),
    }


def _to_approval(row: dict[str, Any]) -> Approval:
    call = Call(row["name"], row["arguments"], row["place"])
    return Approval(row["id"], call, row["approve"], row["reason"])
