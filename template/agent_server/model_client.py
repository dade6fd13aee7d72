"""The model's client, which sends a long history without holding the event loop."""

from functools import cached_property
from typing import Any

from openai import AsyncOpenAI
from openai.resources.chat import AsyncChat, AsyncCompletions

# From so many messages on, they are sent as they are. Traces by MLflow show them as `extra_body`.
LONG_HISTORY = 200


class QuickCompletions(AsyncCompletions):
    """Chat completions of histories of any length."""

    async def create(self, **request: Any) -> Any:
        """Do what the client does, except that it does not look for what to rename in messages.

        That takes 0.1 ms for each, in one piece, and finds nothing: they are made for the API.
        """
        messages = request["messages"]
        if len(messages) > LONG_HISTORY:
            body = {**(request.get("extra_body") or {}), "messages": messages}
            request = {**request, "messages": (), "extra_body": body}
        return await super().create(**request)


class QuickClient(AsyncOpenAI):
    """The client of an OpenAI-compatible server."""

    @cached_property
    def chat(self) -> AsyncChat:
        """Return the client's chat completions."""
        chat = AsyncChat(self)
        chat.completions = QuickCompletions(self)
        return chat


def build_databricks_client(workspace_client: Any, **options: Any) -> AsyncOpenAI:
    """Return the client of a workspace's serving endpoints; importing it takes seconds."""
    from databricks_openai import AsyncDatabricksOpenAI

    class Client(AsyncDatabricksOpenAI):  # type: ignore[misc]
        @cached_property
        def chat(self) -> AsyncChat:
            chat: AsyncChat = super().chat
            # Theirs first, which mends what endpoints refuse in a message.
            bases = (type(chat.completions), QuickCompletions)
            chat.completions = type("Completions", bases, {})(self)
            return chat

    client: AsyncOpenAI = Client(workspace_client=workspace_client, **options)
    return client
