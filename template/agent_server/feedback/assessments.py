"""Tells MLflow what users think of answers that are traced, in the background.

Each is an assessment of the answer's trace, with the user as its source: made, changed and deleted
as the user changes their mind. While MLflow is away, it waits in Postgres.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any

import psycopg

from agent_server.database.pool import Pool
from agent_server.tracing.start import is_tracing

if TYPE_CHECKING:  # it takes seconds to import
    from mlflow.entities import Assessment

log = logging.getLogger(__name__)

NAME = "user_feedback"
# What MLflow does not have yet, and nobody is sending.
DUE = """
    trace_id IS NOT NULL AND sent_at IS DISTINCT FROM updated_at AND tries < %(tries)s
    AND coalesce(sending_until < now(), true)"""
# `again`: a try before this one failed, or its process died, and MLflow may have got it.
CLAIM = f"""
    UPDATE feedback SET tries = feedback.tries + 1,
        sending_until = now() + make_interval(secs => %(lease)s)
    FROM (SELECT id, sending_until IS NOT NULL AS again FROM feedback WHERE {DUE}
        ORDER BY updated_at LIMIT 1 FOR UPDATE SKIP LOCKED) due
    WHERE feedback.id = due.id
    RETURNING feedback.id, user_id, trace_id, assessment_id, value, comment, updated_at, again,
        feedback.tries"""
SENT = """
    UPDATE feedback SET assessment_id = %(assessment)s, sent_at = %(updated_at)s,
        sending_until = NULL, tries = 0
    WHERE id = %(id)s"""
LATER = """
    UPDATE feedback SET sending_until = now() + make_interval(secs => %(pause)s)
    WHERE id = %(id)s"""
NEXT = """
    SELECT extract(epoch FROM min(coalesce(sending_until, now())) - now())::float AS seconds
    FROM feedback
    WHERE trace_id IS NOT NULL AND sent_at IS DISTINCT FROM updated_at AND tries < %(tries)s"""
# A trace may arrive later than what is thought of it. The last try is about an hour and a half
# after the first.
TRIES, FIRST_PAUSE_SECONDS = 11, 5
LEASE_SECONDS = 300  # longer than MLflow's own tries of two requests
LIMITS = {"tries": TRIES, "lease": LEASE_SECONDS}

Row = dict[str, Any]


class NotSentError(Exception):
    """MLflow did not take it."""


class Assessments:
    """What sends feedback to MLflow, if this process traces: one at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def request(self) -> None:
        """Send what MLflow does not have yet; nobody waits for it."""
        if is_tracing():
            self._wanted.set()
            if self._task is None or self._task.done():
                # Not in the context of a request, which knows its user's token.
                self._task = asyncio.create_task(self._send_all(), context=Context())

    async def stop(self) -> None:
        """Leave what has not been sent to the next process."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _send_all(self) -> None:
        """Send until nothing is left to send, or to try again."""
        pause: float | None = 0
        try:
            while pause is not None or self._wanted.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wanted.wait()
                self._wanted.clear()
                pause = await self._send_due()
        except psycopg.Error as error:
            log.warning("feedback was not sent to MLflow; the next goes with it: %s", error)

    async def _send_due(self) -> float | None:
        """Send what is due; return the seconds until something is again, None if nothing is."""
        while row := await self._query(CLAIM, **LIMITS):
            try:
                assessment = await asyncio.to_thread(_send, row)
            except NotSentError as error:
                _log_once(row, error)
                pause = FIRST_PAUSE_SECONDS * 2 ** (row["tries"] - 1)
                await self._query(LATER, id=row["id"], pause=pause)
            else:
                place = {"id": row["id"], "updated_at": row["updated_at"]}
                await self._query(SENT, **place, assessment=assessment)
        seconds = ((await self._query(NEXT, **LIMITS)) or {}).get("seconds")
        return None if seconds is None else max(float(seconds), 1.0)

    async def _query(self, query: str, **values: Any) -> Row | None:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query, values)
            return await cursor.fetchone() if cursor.description else None


@asynccontextmanager
async def open_assessments(pool: Pool) -> AsyncIterator[Assessments]:
    """Yield what sends feedback to MLflow, which begins with what an earlier process left."""
    assessments = Assessments(pool)
    assessments.request()
    try:
        yield assessments
    finally:
        await assessments.stop()


def _log_once(row: Row, error: NotSentError) -> None:
    if row["tries"] == 1:
        log.warning("MLflow did not take a user's feedback, which is tried again: %s", error)
    elif row["tries"] == TRIES:
        text = "feedback on the trace %s stays in Postgres alone: MLflow did not take it: %s"
        log.warning(text, row["trace_id"], error)


def _send(row: Row) -> str | None:
    """Let MLflow have what is in the row; return the id of the assessment, if there is one.

    Raises NotSentError.
    """
    from mlflow import MlflowException

    try:
        known = row["assessment_id"] or (_find(row) if row["again"] else None)
        if row["value"] is None:
            if known:
                _delete(row["trace_id"], known)
            return None
        return (known and _update(row, known)) or _create(row)
    except (MlflowException, OSError) as error:
        raise NotSentError(str(error)) from error


def _create(row: Row) -> str | None:
    import mlflow

    made = _to_assessment(row)
    created: Assessment = mlflow.log_assessment(row["trace_id"], made)
    return created.assessment_id


def _update(row: Row, known: str) -> str | None:
    """Change an assessment; return its id, or None if somebody has deleted it in MLflow."""
    import mlflow

    try:
        mlflow.update_assessment(row["trace_id"], known, _to_assessment(row))
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return known


def _delete(trace_id: str, known: str) -> None:
    import mlflow

    try:
        mlflow.delete_assessment(trace_id, known)
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise


def _find(row: Row) -> str | None:
    """Return the id of the user's assessment that the trace has, if any."""
    from mlflow import MlflowClient

    trace = MlflowClient().get_trace(row["trace_id"], display=False)
    found = trace.search_assessments(NAME, type="feedback")
    own = [each for each in found if each.source and each.source.source_id == row["user_id"]]
    return own[0].assessment_id if own else None


def _to_assessment(row: Row) -> "Assessment":
    from mlflow.entities import AssessmentSource, Feedback

    source = AssessmentSource(source_type="HUMAN", source_id=row["user_id"])
    return Feedback(NAME, row["value"], source=source, rationale=row["comment"])
