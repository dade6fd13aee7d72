"""Which model answers: a Databricks serving endpoint, or any OpenAI-compatible server."""

from agents import Model, OpenAIChatCompletionsModel

from agent_server.model_client import build_client
from agent_server.settings import setting


def build_model() -> Model:
    """Return the chat model MODEL_ENDPOINT."""
    return OpenAIChatCompletionsModel(setting("MODEL_ENDPOINT"), build_client())
