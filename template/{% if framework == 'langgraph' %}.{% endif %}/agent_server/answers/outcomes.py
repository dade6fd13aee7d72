"""What a turn comes to when it does not simply end: limits, filters and guards are answers, too."""

import logging

import openai
from langchain.agents.middleware import PIIDetectionError
from langchain.agents.middleware.model_call_limit import ModelCallLimitExceededError
from langchain.agents.middleware.tool_call_limit import ToolCallLimitExceededError
from langgraph.errors import GraphRecursionError

from agent_server.answers.listener import Listener
from agent_server.answers.parts import CUT_OFF, Content
from agent_server.errors import ApiError, causes, filtered, tool_failed
from agent_server.responses.builder import ResponseBuilder

log = logging.getLogger(__name__)

LIMITS = (GraphRecursionError, ModelCallLimitExceededError, ToolCallLimitExceededError)


def end(response: ResponseBuilder, last: Content | None) -> None:
    """Finish a response whose last message is `last`.

    Raises a 400 ApiError when a filter left nothing of it, and ModelError when nothing was said.
    """
    reason = CUT_OFF.get(last.finish) if last else None
    if reason == "content_filter" and not response.body["output"]:
        raise filtered()
    if reason or (last and last.reasoning and not last.text and _ends_in_thought(response)):
        response.cut_off(reason or "max_output_tokens")
    response.complete()


def end_early(response: ResponseBuilder, error: Exception, listener: Listener) -> None:
    """Finish a response that an error ended, if that is an answer, or raise what it is."""
    if isinstance(error, LIMITS):
        response.cut_off("max_steps")
        response.complete()
    elif isinstance(error, PIIDetectionError):
        text = f"The agent does not accept this: it holds what looks like a {error.pii_type}."
        raise ApiError(400, "guardrail_tripped", text) from error
    elif isinstance(error, openai.BadRequestError) and error.code == "content_filter":
        raise filtered() from error
    elif (failed := listener.failed) and failed[0] in causes(error):
        log.error("the tool %s failed", failed[1])
        raise tool_failed(failed[1]) from error
    else:
        raise error


def _ends_in_thought(response: ResponseBuilder) -> bool:
    output = response.body["output"]
    return bool(output) and output[-1]["type"] == "reasoning"
