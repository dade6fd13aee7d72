"""What the model sees when a tool fails."""

import logging
from typing import Any

from agents import ModelBehaviorError, RunContextWrapper

from agent_server.errors import ApiError, tool_failed
from agent_server.on_behalf import OnBehalfError

log = logging.getLogger(__name__)


def tell_model(run: RunContextWrapper[Any], error: Exception) -> str:
    """Tell the model if its arguments do not fit, or what can't be done as the user.

    Any other error ends the turn, with the tool's name in the log. For use as the
    `failure_error_function` of a tool.
    """
    if isinstance(error, ModelBehaviorError):
        return "The arguments do not fit the parameters of this tool."
    if isinstance(error, OnBehalfError):
        return str(error)
    if isinstance(error, ApiError):
        raise error
    name = str(getattr(run, "tool_name", "a tool"))
    log.error("the tool %s failed", name)
    raise tool_failed(name) from error
