"""Which model answers: a Databricks serving endpoint, or any OpenAI-compatible server."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from agents import Model, ModelResponse, OpenAIChatCompletionsModel
from openai import AsyncOpenAI
from openai.types.responses import ResponseFunctionToolCall

from agent_server.answers.completions import WholeCompletions
from agent_server.database.text import to_storable_json
from agent_server.errors import ModelError, output_too_large
from agent_server.settings import limit, setting, workspace_configured
from agent_server.transport.json_bounds import check_json
from agent_server.transport.model_client import ModelClient, build_databricks_client


class CleanModel(OpenAIChatCompletionsModel):
    """A chat model whose tool calls have arguments that can be stored."""

    async def get_response(self, *args: Any, **options: Any) -> ModelResponse:
        """Return the model's response; raises a 502 ApiError beyond TOOL_ARGUMENTS_BYTES."""
        response = await super().get_response(*args, **options)
        _clean(response.output)
        return response

    async def stream_response(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        """Yield the events of the model's response.

        Raises a 502 ApiError beyond TOOL_ARGUMENTS_BYTES: the SDK copies all it has for each piece.
        """
        size = 0
        async for event in super().stream_response(*args, **options):
            if event.type == "response.function_call_arguments.delta":
                size += len(event.delta)
                _check(size)
            elif event.type == "response.output_item.done":
                _clean([event.item])
            elif event.type == "response.completed":
                _clean(event.response.output)
            yield event


class WholeModelClient(ModelClient):
    """The client of a chat model, whose answers fit the SDK."""

    COMPLETIONS = WholeCompletions


def build_model() -> Model:
    """Return the chat model MODEL_ENDPOINT."""
    return CleanModel(setting("MODEL_ENDPOINT"), build_client())


def build_client() -> AsyncOpenAI:
    """Return the client of the workspace's serving endpoints, or of OPENAI_BASE_URL."""
    if not workspace_configured():
        return WholeModelClient()
    # Imported only when it is needed: it takes seconds.
    from agent_server.server.workspace import workspace_client

    return build_databricks_client(workspace_client(), WholeCompletions)


def _clean(output: Iterable[Any]) -> None:
    for item in output:
        if isinstance(item, ResponseFunctionToolCall):
            _check(len(item.arguments))
            _check_depth(item.arguments)
            item.arguments = to_storable_json(item.arguments)


def _check_depth(arguments: str) -> None:
    try:
        check_json(arguments.encode(errors="replace").replace(b"\0", b""))
    except ValueError as error:
        raise ModelError(f"the arguments of a tool call {error}") from None


def _check(size: int) -> None:
    if size > (most := limit("TOOL_ARGUMENTS_BYTES")):
        raise output_too_large(f"The arguments of a tool call are larger than {most} bytes.")
