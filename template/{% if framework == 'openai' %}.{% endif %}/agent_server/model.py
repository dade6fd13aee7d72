"""Which model answers: a Databricks serving endpoint, or any OpenAI-compatible server."""

from agents import Model, OpenAIChatCompletionsModel
from openai import AsyncOpenAI

from agent_server.model_client import QuickClient, build_databricks_client
from agent_server.settings import setting, workspace_configured


def build_model() -> Model:
    """Return the chat model MODEL_ENDPOINT."""
    return OpenAIChatCompletionsModel(setting("MODEL_ENDPOINT"), build_client())


def build_client() -> AsyncOpenAI:
    """Return the client of the workspace's serving endpoints, or of OPENAI_BASE_URL."""
    if not workspace_configured():
        return QuickClient()
    # Imported only when it is needed: it takes seconds.
    from agent_server.server.workspace import workspace_client

    return build_databricks_client(workspace_client())
