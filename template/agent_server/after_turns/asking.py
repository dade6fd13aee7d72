"""What the model is asked after a turn."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

import openai

from agent_server.answers.parts import read_parts, unpacked
from agent_server.database.pool import Pool
from agent_server.database.text import to_storable
from agent_server.settings import setting


class AfterTurn:
    """Asks the model of the client that `build_client` returns, apart from the turns."""

    def __init__(self, pool: Pool, build_client: Callable[[], openai.AsyncOpenAI]) -> None:
        self._pool, self._build_client = pool, build_client
        self._client: openai.AsyncOpenAI | None = None

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin what a turn leaves to be done; it goes on when the turn has ended."""
        # In a context of its own: that of the turn holds the token of its user.
        Context().run(self._pool.apart, work)

    async def ask(self, prompt: str, said: str, **options: Any) -> str:
        """Return the text of the model's answer, without its thoughts, in storable characters.

        Raises openai.OpenAIError and ApiError.
        """
        if self._client is None:
            self._client = await asyncio.to_thread(self._build_client)
        messages: list[Any] = [
            {"role": "system", "content": prompt},
            {"role": "user", "content": said},
        ]
        answer: Any = await self._client.chat.completions.create(
            model=setting("MODEL_ENDPOINT"), messages=messages, **options
        )
        content = answer.choices[0].message.content or ""
        parts = unpacked(content) if isinstance(content, str) else content
        return to_storable(read_parts(parts).text)
