"""What the model sees when a tool fails."""

from typing import Any

from agents import ModelBehaviorError, RunContextWrapper


def tell_model(_run: RunContextWrapper[Any], error: Exception) -> str:
    """Tell the model if its arguments do not fit; re-raise any other error, which ends the turn.

    For use as the `failure_error_function` of a tool.
    """
    if isinstance(error, ModelBehaviorError):
        return "The arguments do not fit the parameters of this tool."
    raise error
