"""What a run comes to when it does not simply end: limits, filters and guards are answers, too."""

import logging

import agents
import openai
from agents.models.fake_id import FAKE_RESPONSES_ID

from agent_server.answers.completions import Heard
from agent_server.errors import ApiError, ModelError, causes, filtered, tool_failed
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.tool_calls import ToolCallBound

log = logging.getLogger(__name__)

TRIPPED = (
    agents.InputGuardrailTripwireTriggered, agents.OutputGuardrailTripwireTriggered,
    agents.ToolInputGuardrailTripwireTriggered, agents.ToolOutputGuardrailTripwireTriggered,
)  # fmt: skip
NOT_ACCEPTED = "A guardrail of the agent does not accept this. Ask in other words."


def end(response: ResponseBuilder, heard: Heard) -> list[agents.TResponseInputItem]:
    """Close the output of a run; return the item that answers, if no message does.

    A tool may end a run: then its result is the answer. Raises ModelError when nothing was said:
    before the turn is stored.
    """
    output = response.body["output"]
    if not (output or heard.finish or response.is_cut_off):
        raise ModelError("the model returned nothing")
    last = output[-1] if output else {"type": ""}
    answer: list[agents.TResponseInputItem] = []
    if last["type"] == "function_call_output" and not response.is_cut_off:
        response.end_text(last["output"])
        answer = [_to_message(last["output"])]
    if heard.finish or last["type"] == "reasoning":
        response.cut_off(heard.finish or "max_output_tokens")
    return answer


def end_early(response: ResponseBuilder, error: Exception, hooks: ToolCallBound) -> None:
    """Let the response be what an error of the run means, or raise what it is."""
    match error:
        case agents.MaxTurnsExceeded():
            response.cut_off("max_steps")
        case agents.exceptions.ModelRefusalError():
            if not any(item["type"] == "message" for item in response.body["output"][-1:]):
                response.end_text(error.refusal)  # it was not streamed
        case error if isinstance(error, TRIPPED):
            raise ApiError(400, "guardrail_tripped", NOT_ACCEPTED) from error
        case openai.BadRequestError(code="content_filter"):
            raise filtered() from error
        case agents.UserError() if (name := hooks.failed_tool) and not _is_told(error):
            log.error("the tool %s failed", name)
            raise tool_failed(name) from error
        case agents.ModelBehaviorError():
            raise ModelError("the model reached no answer") from error
        case _:
            raise error


def _to_message(text: str) -> agents.TResponseInputItem:
    return {
        "type": "message",
        "id": FAKE_RESPONSES_ID,
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }


def _is_told(error: Exception) -> bool:
    """Return whether what caused an error is already what the client may know of it."""
    return any(isinstance(cause, ApiError) for cause in causes(error))
