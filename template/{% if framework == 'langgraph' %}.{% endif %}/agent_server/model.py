"""Which model answers: a Databricks serving endpoint, or any OpenAI-compatible server."""

from functools import cached_property

import httpx
from langchain_core.language_models import BaseChatModel
from openai import AsyncOpenAI

from agent_server.model_http import BoundedClient, bounded, databricks_client
from agent_server.settings import setting, workspace_configured


# Packages are imported only when needed: each takes seconds.
def build_model() -> BaseChatModel:
    """Return the chat model MODEL_ENDPOINT."""
    if not workspace_configured():
        from langchain_openai import ChatOpenAI

        # A timeout per chunk uses asyncio.wait_for, which loses cancellations before Python 3.12;
        # the client's own timeout still applies.
        return ChatOpenAI(
            model=setting("MODEL_ENDPOINT"),
            stream_usage=True,
            stream_chunk_timeout=None,
            timeout=httpx.Timeout(600, connect=5),  # in seconds, as is the SDK's default
            http_async_client=bounded(),
        )
    from databricks_langchain import ChatDatabricks

    from agent_server.server.workspace import workspace_client

    class Model(ChatDatabricks):  # type: ignore[misc]
        # Its own client would read answers of any size.
        @cached_property
        def async_client(self) -> AsyncOpenAI:
            return build_client()

    model: BaseChatModel = Model(
        endpoint=setting("MODEL_ENDPOINT"), workspace_client=workspace_client()
    )
    return model


def build_client() -> AsyncOpenAI:
    """Return the client for embeddings, of the workspace's endpoints or of OPENAI_BASE_URL."""
    if not workspace_configured():
        return BoundedClient()
    from agent_server.server.workspace import workspace_client

    return databricks_client(workspace_client())
