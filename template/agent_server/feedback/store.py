"""What users think of answers: a thumb up or down, and a comment."""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool, model_validator

from agent_server.database.migrations import migrate
from agent_server.database.pool import Connection, Pool
from agent_server.errors import ApiError
from agent_server.identity import User
from agent_server.responses.items import Id, Text

MAX_COMMENT = 2000  # characters

# One row for each answer that a user judged; a chat's are deleted with it.
TABLE = """
    CREATE TABLE IF NOT EXISTS feedback (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id text NOT NULL,
        chat_id uuid NOT NULL REFERENCES chats ON DELETE CASCADE, response_id text NOT NULL,
        trace_id text, assessment_id text, value boolean, comment text NOT NULL DEFAULT '',
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(), UNIQUE (user_id, response_id));
    CREATE INDEX IF NOT EXISTS idx_feedback_chat ON feedback (chat_id)"""
# For what tells MLflow (see assessments.py). What it has is of `sent_at`; until `sending_until`,
# nobody else sends it, and while that is set, MLflow may have more than is known here.
SENDING = """
    ALTER TABLE feedback ADD COLUMN IF NOT EXISTS sent_at timestamptz,
        ADD COLUMN IF NOT EXISTS sending_until timestamptz,
        ADD COLUMN IF NOT EXISTS tries int NOT NULL DEFAULT 0;
    CREATE INDEX IF NOT EXISTS idx_feedback_unsent ON feedback (sending_until)
        WHERE trace_id IS NOT NULL AND sent_at IS DISTINCT FROM updated_at"""
RESPONSE = "'resp_' || replace({}::text, '-', '')"  # the id of the response to a question
# An answer is named by its message, or by its response: the question before it, or the one in it.
SAVE = f"""
    INSERT INTO feedback (user_id, chat_id, response_id, trace_id, value, comment)
    SELECT c.user_id, c.id, {RESPONSE.format("q.id")}, (
            SELECT max(trace_id) FROM messages
            WHERE chat_id = c.id AND created_at > q.created_at AND created_at < coalesce((
                SELECT min(created_at) FROM messages
                WHERE chat_id = c.id AND role = 'user' AND created_at > q.created_at),
                'infinity')), %(value)s, %(comment)s
    FROM messages q JOIN chats c ON c.id = q.chat_id
    WHERE c.user_id = %(user)s AND q.role = 'user' AND q.id = coalesce(%(question)s::uuid, (
        SELECT earlier.id FROM messages said JOIN messages earlier USING (chat_id)
        WHERE said.id = %(message)s AND said.role = 'assistant' AND earlier.role = 'user'
            AND earlier.created_at <= said.created_at
        ORDER BY earlier.created_at DESC, earlier.id DESC LIMIT 1))
    ON CONFLICT (user_id, response_id) DO UPDATE
    SET value = excluded.value, comment = excluded.comment, updated_at = clock_timestamp(),
        tries = 0
    RETURNING id"""
LIST = """
    SELECT response_id, chat_id, trace_id, value, comment, created_at, updated_at,
        trace_id IS NOT NULL AND sent_at IS NOT DISTINCT FROM updated_at AS sent FROM feedback
    WHERE user_id = %(user)s ORDER BY updated_at DESC, id LIMIT 200"""


class Feedback(BaseModel):
    """The body of `POST /api/feedback`; `value` is null to take a thumb back."""

    response_id: Id | None = None
    message_id: UUID | None = None
    value: StrictBool | None
    comment: Annotated[Text, Field(max_length=MAX_COMMENT)] = ""

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.response_id is None) == (self.message_id is None):
            raise ValueError("name the answer by response_id or by message_id")
        return self


async def create_feedback_table(connection: Connection) -> None:
    """Create the table of feedback, or bring it up to date."""
    await migrate(connection, "feedback", [TABLE, SENDING])


async def save_feedback(pool: Pool, user: User, given: Feedback) -> None:
    """Store what a user thinks of an answer in one of their chats; a 404 ApiError if it is not."""
    values = {"user": user.id, "message": given.message_id, "question": _question(given)}
    judged = {"value": given.value, "comment": given.comment}
    async with pool.connection() as connection:
        cursor = await connection.execute(SAVE, {**values, **judged})
        if await cursor.fetchone() is None:
            raise ApiError(404, "no_such_answer", "There is no such answer.")


async def list_feedback(pool: Pool, user: User) -> list[dict[str, Any]]:
    """Return what the user thought of answers lately, latest first."""
    async with pool.connection() as connection:
        return await (await connection.execute(LIST, {"user": user.id})).fetchall()


def _question(given: Feedback) -> UUID | None:
    """Return the id of the question that a response answers; None if a message is named."""
    if given.response_id is None:
        return None
    try:
        return UUID(given.response_id.removeprefix("resp_"))
    except ValueError:
        raise ApiError(404, "no_such_answer", "There is no such answer.") from None
