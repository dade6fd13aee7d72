"""Registers the agent with MLflow, for `get_invoke_function()` and `get_stream_function()`."""

import json
from collections.abc import AsyncGenerator

from mlflow.genai.agent_server import invoke, stream
from mlflow.types.responses import (
    ResponsesAgentRequest,
    ResponsesAgentResponse,
    ResponsesAgentStreamEvent,
)

from agent_server.identity import LOCAL_USER, User
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.requests import ResponseRequest
from agent_server.responses.task import ResponseTask
from agent_server.server.runtime import open_runtime


@stream()
async def stream_turn(
    request: ResponsesAgentRequest, user: str = LOCAL_USER
) -> AsyncGenerator[ResponsesAgentStreamEvent]:
    """Run one turn as `user`, and yield its events."""
    turn = ResponseRequest.model_validate(request.model_dump(exclude_none=True)).to_turn(User(user))
    response = ResponseBuilder(turn.thread_id)
    async with open_runtime() as runtime:
        task = ResponseTask(runtime.run_turn(turn, response), response)
        async for _, event in response.events.read():
            yield ResponsesAgentStreamEvent(**json.loads(event))
        await task.wait()


@invoke()
async def answer_turn(
    request: ResponsesAgentRequest, user: str = LOCAL_USER
) -> ResponsesAgentResponse:
    """Run one turn as `user`, and return its response."""
    last = [event async for event in stream_turn(request, user)][-1]
    return ResponsesAgentResponse(**last.model_dump()["response"])
