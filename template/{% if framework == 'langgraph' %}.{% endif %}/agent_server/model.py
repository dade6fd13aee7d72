"""Which model answers: a Databricks serving endpoint, or any OpenAI-compatible server."""

from langchain_core.language_models import BaseChatModel
from openai import AsyncOpenAI

from agent_server.settings import setting, workspace_configured


# Packages are imported only when they are needed: they take seconds.
def build_model() -> BaseChatModel:
    """Return the chat model MODEL_ENDPOINT."""
    model: BaseChatModel
    if workspace_configured():
        from databricks_langchain import ChatDatabricks

        model = ChatDatabricks(endpoint=setting("MODEL_ENDPOINT"))
    else:
        from langchain_openai import ChatOpenAI

        model = ChatOpenAI(model=setting("MODEL_ENDPOINT"), stream_usage=True)
    return model


def build_client() -> AsyncOpenAI:
    """Return the client of the workspace's endpoints, or of OPENAI_BASE_URL, for embeddings."""
    if workspace_configured():
        from databricks_openai import AsyncDatabricksOpenAI

        client: AsyncOpenAI = AsyncDatabricksOpenAI()
        return client
    return AsyncOpenAI()
