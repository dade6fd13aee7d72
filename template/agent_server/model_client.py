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


class Chat(AsyncChat):
    """The chat of a client, with chat completions of a given kind."""

    def __init__(self, client: AsyncOpenAI, kind: type[AsyncCompletions]) -> None:
        super().__init__(client)
        self._kind = kind

    @cached_property
    def completions(self) -> AsyncCompletions:
        """The chat completions."""
        return self._kind(self._client)


class QuickClient(AsyncOpenAI):
    """The client of an OpenAI-compatible server."""

    @cached_property
    def chat(self) -> AsyncChat:
        """The client's chat."""
        return Chat(self, QuickCompletions)


def build_databricks_client(workspace_client: Any, **options: Any) -> AsyncOpenAI:
    """Return the client of a workspace's serving endpoints; importing it takes seconds."""
    from databricks_openai import AsyncDatabricksOpenAI

    class Client(AsyncDatabricksOpenAI):  # type: ignore[misc]
        @cached_property
        def chat(self) -> AsyncChat:
            # Theirs first: it mends what some endpoints would refuse in a message.
            kinds = (type(super().chat.completions), QuickCompletions)
            return Chat(self, type("Completions", kinds, {}))

    client: AsyncOpenAI = Client(workspace_client=workspace_client, **options)
    return client
