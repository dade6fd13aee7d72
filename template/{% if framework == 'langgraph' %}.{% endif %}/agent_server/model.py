"""Which model answers: a Databricks serving endpoint, or any OpenAI-compatible server."""

from langchain_core.language_models import BaseChatModel

from agent_server.settings import setting, workspace_configured


def build_model() -> BaseChatModel:
    """Return the chat model MODEL_ENDPOINT."""
    name = setting("MODEL_ENDPOINT")
    if workspace_configured():
        # Imported only when needed: it takes seconds.
        from databricks_langchain import ChatDatabricks

        model: BaseChatModel = ChatDatabricks(endpoint=name)
        return model
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=name, stream_usage=True)
