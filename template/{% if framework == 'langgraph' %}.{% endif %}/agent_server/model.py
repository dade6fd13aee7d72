"""Which model answers: a Databricks serving endpoint, or any OpenAI-compatible server."""

from langchain_core.language_models import BaseChatModel
from openai import AsyncOpenAI

from agent_server.settings import setting, workspace_configured


# Packages are imported only when needed: each takes seconds.
def build_model() -> BaseChatModel:
    """Return the chat model MODEL_ENDPOINT."""
    if not workspace_configured():
        from langchain_openai import ChatOpenAI

        # A timeout per chunk uses asyncio.wait_for, which loses cancellations before Python 3.12;
        # the client's own timeout still applies.
        return ChatOpenAI(
            model=setting("MODEL_ENDPOINT"), stream_usage=True, stream_chunk_timeout=None
        )
    from databricks_langchain import ChatDatabricks

    from agent_server.server.workspace import workspace_client

    model: BaseChatModel = ChatDatabricks(
        endpoint=setting("MODEL_ENDPOINT"), workspace_client=workspace_client()
    )
    return model


def build_client() -> AsyncOpenAI:
    """Return the client for embeddings, of the workspace's endpoints or of OPENAI_BASE_URL."""
    if not workspace_configured():
        return AsyncOpenAI()
    from databricks_openai import AsyncDatabricksOpenAI

    from agent_server.server.workspace import workspace_client

    client: AsyncOpenAI = AsyncDatabricksOpenAI(workspace_client=workspace_client())
    return client
