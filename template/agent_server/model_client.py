"""The client for models that are not behind the framework: embeddings, and OpenAI's own SDK."""

from openai import AsyncOpenAI

from agent_server.settings import workspace_configured


def build_client() -> AsyncOpenAI:
    """Return the client of the workspace's serving endpoints, or of OPENAI_BASE_URL."""
    if workspace_configured():
        # Imported only when needed: it takes seconds.
        from databricks_openai import AsyncDatabricksOpenAI

        client: AsyncOpenAI = AsyncDatabricksOpenAI()
        return client
    return AsyncOpenAI()
