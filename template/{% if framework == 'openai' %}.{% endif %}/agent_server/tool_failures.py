"""What the model sees when a tool fails."""

from typing import Any

from agents import ModelBehaviorError, RunContextWrapper

from agent_server.on_behalf import OnBehalfError


def tell_model(_run: RunContextWrapper[Any], error: Exception) -> str:
    """Tell the model if its arguments do not fit, or what can't be done as the user.

    Any other error is raised again, and ends the turn.
    For use as the `failure_error_function` of a tool.
    """
    if isinstance(error, ModelBehaviorError):
        return "The arguments do not fit the parameters of this tool."
    if isinstance(error, OnBehalfError):
        return str(error)
    raise error
