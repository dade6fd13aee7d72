"""Answers that users disliked, with what was asked: of all users, for the agent's owner."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import psycopg

from agent_server.database.pool import open_pool
from agent_server.feedback.assessments import NAME
from agent_server.server.workspace import workspace_client
from agent_server.tracing.spans import SESSION, USER
from agent_server.tracing.start import MLFLOW_DEFAULTS
from local.offline import open_offline

if TYPE_CHECKING:  # it takes seconds to import
    from mlflow.entities import Trace

MOST_TRACES = 5000  # the latest of an experiment
QUERY = """
    WITH said AS (
        SELECT id, chat_id, role, content, created_at FROM messages
        UNION ALL SELECT id, chat_id, role, content, created_at FROM earlier_messages)
    SELECT coalesce(f.trace_id, f.response_id) AS name, f.comment,
        ARRAY(
            SELECT content FROM messages m
            WHERE m.chat_id = f.chat_id AND role = 'user' AND m.created_at < q.created_at
            ORDER BY m.created_at) || q.content AS questions,
        (SELECT content FROM said a
            WHERE a.chat_id = f.chat_id AND role = 'assistant' AND a.created_at > q.created_at
            ORDER BY a.created_at LIMIT 1) AS answer
    FROM feedback f JOIN said q ON q.chat_id = f.chat_id AND q.role = 'user'
        AND f.response_id = 'resp_' || replace(q.id::text, '-', '')
    WHERE f.value = false ORDER BY f.updated_at"""


@dataclass(frozen=True)
class Disliked:
    """An answer that somebody disliked, and what was asked."""

    name: str  # of its trace, or else of its response
    questions: Sequence[str]
    answer: str
    comment: str


class NotReadError(Exception):
    """MLflow did not answer, or refused."""


def in_database() -> list[Disliked]:
    """Return what was disliked in the database that `start-app` uses, the earliest first.

    Raises SettingsError, ServicesError, ApiError and psycopg.Error.
    """
    with open_offline():
        return asyncio.run(_query())


async def _query() -> list[Disliked]:
    async with open_pool(workspace_client) as pool, pool.connection() as connection:
        try:
            rows = await (await connection.execute(QUERY)).fetchall()
        except psycopg.errors.UndefinedTable:  # the app has never been started
            return []
    return [
        Disliked(row["name"], row["questions"], row["answer"] or "", row["comment"]) for row in rows
    ]


def in_mlflow(experiment: str) -> list[Disliked]:
    """Return what was disliked in an experiment, the earliest first; raises NotReadError."""
    os.environ.update({**MLFLOW_DEFAULTS, **os.environ})
    import mlflow

    order = ["timestamp_ms DESC"]
    try:
        traces = mlflow.search_traces(
            locations=[experiment], max_results=MOST_TRACES, order_by=order, return_type="list",
            include_spans=False,
        )  # fmt: skip
        traces = sorted(traces, key=lambda trace: trace.info.request_time)
        return [
            _with_questions(trace, traces, " / ".join(filter(None, comments)))
            for trace in traces
            if (comments := _dislikes(trace))
        ]
    except (mlflow.MlflowException, OSError) as error:
        raise NotReadError(str(error)) from error


def _dislikes(trace: "Trace") -> list[str]:
    """Return the comment of each user who disliked it, which may be empty."""
    from mlflow.entities import Feedback

    given = [each for each in trace.search_assessments(NAME) if isinstance(each, Feedback)]
    return [each.rationale or "" for each in given if each.value is False]


def _with_questions(trace: "Trace", traces: "Sequence[Trace]", comment: str) -> Disliked:
    """Return what was disliked, with the questions before it in its thread."""
    thread = _thread(trace)
    before = [each for each in traces if each.info.request_time < trace.info.request_time]
    turns = [each for each in before if all(thread) and _thread(each) == thread]
    told = [_told(each.info.trace_id) for each in [*turns, trace]]
    # One that was asked again is one; what decides about a tool asks nothing.
    asked = [question for question, _ in groupby(question for question, _ in told) if question]
    return Disliked(trace.info.trace_id, asked or [""], told[-1][1], comment)


def _thread(trace: "Trace") -> tuple[str | None, str | None]:
    about = trace.info.trace_metadata
    return about.get(SESSION), about.get(USER)


def _told(trace_id: str) -> tuple[str, str]:
    """Return the question and the answer of a trace, as spans.py puts them into its first span."""
    from mlflow import MlflowClient

    [root] = [
        span
        for span in MlflowClient().get_trace(trace_id, display=False).data.spans
        if span.parent_id is None
    ]
    asked = [item["content"] for item in (root.inputs or {}).get("input", [])]
    said = [item["content"][0]["text"] for item in (root.outputs or {}).get("output", [])]
    return "".join(asked[-1:]), "".join(said[-1:])
