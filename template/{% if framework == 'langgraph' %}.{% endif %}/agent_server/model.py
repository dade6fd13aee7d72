"""Which model answers: a Databricks serving endpoint, or any OpenAI-compatible server."""

from functools import cached_property

from langchain_core.language_models import BaseChatModel
from openai import AsyncOpenAI

from agent_server.answers.completions import WholeCompletions
from agent_server.settings import setting, workspace_configured
from agent_server.transport.model_client import ModelClient, build_databricks_client


class WholeModelClient(ModelClient):
    """The client of a chat model, which keeps all that an answer holds."""

    COMPLETIONS = WholeCompletions


# Packages are imported only when needed: each takes seconds.
def build_model() -> BaseChatModel:
    """Return the chat model MODEL_ENDPOINT."""
    if not workspace_configured():
        from langchain_openai import ChatOpenAI

        client = WholeModelClient()
        # A timeout per chunk uses asyncio.wait_for, which loses cancellations before Python 3.12;
        # the client's own timeout still applies.
        return ChatOpenAI(
            model=setting("MODEL_ENDPOINT"),
            stream_usage=True,
            stream_chunk_timeout=None,
            root_async_client=client,
            async_client=client.chat.completions,
        )
    from databricks_langchain import ChatDatabricks

    from agent_server.server.workspace import workspace_client

    class Model(ChatDatabricks):  # type: ignore[misc]
        # Its own client would read answers of any size.
        @cached_property
        def async_client(self) -> AsyncOpenAI:
            return build_databricks_client(workspace_client(), WholeCompletions)

    model: BaseChatModel = Model(
        endpoint=setting("MODEL_ENDPOINT"), workspace_client=workspace_client()
    )
    return model


def build_client() -> AsyncOpenAI:
    """Return the client for embeddings, of the workspace's endpoints or of OPENAI_BASE_URL."""
    if not workspace_configured():
        return ModelClient()
    from agent_server.server.workspace import workspace_client

    return build_databricks_client(workspace_client())
