"""What the model is told when a tool fails."""

from typing import Any

from agents import ModelBehaviorError, RunContextWrapper


def tell_model(_run: RunContextWrapper[Any], error: Exception) -> str:
    """Return that the model's arguments do not fit; anything else ends the turn, so it is raised.

    To be used as the `failure_error_function` of a tool.
    """
    if isinstance(error, ModelBehaviorError):
        return "The arguments do not fit the parameters of this tool."
    raise error
