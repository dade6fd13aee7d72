"""The template's questions, and the answers that are given to them on a command line."""

from collections.abc import Collection, Mapping
from typing import Any

import yaml

from lakebase_agent.errors import UsageError
from lakebase_agent.nearest import did_you_mean


def to_given(
    answers: Mapping[str, Any], questions: Mapping[str, Any], known: Collection[str] = ()
) -> dict[str, Any]:
    """Return `answers` as Copier takes them: `a,b` is a list where the question takes several.

    Raises UsageError for an answer to no question, with the nearest name; the names in `known`
    are questions, too. Without questions, nothing is checked.
    """
    names = [name for name, about in questions.items() if _is_asked(name, about)]
    for name in answers:
        if questions and name not in names and name not in known:
            raise UsageError(_no_question(name, names))
    return to_lists(answers, questions)


def to_lists(answers: Mapping[str, Any], questions: Mapping[str, Any]) -> dict[str, Any]:
    """Return `answers`, as `to_given` does, but whatever their names are."""
    return {name: _value(value, questions.get(name)) for name, value in answers.items()}


def _is_asked(name: str, about: Any) -> bool:
    """Return whether an entry of copier.yml is a question that can be answered."""
    return not name.startswith("_") and not (isinstance(about, dict) and about.get("when") is False)


def _no_question(name: str, names: list[str]) -> str:
    hint = did_you_mean(name, names) or f"the questions are {', '.join(names)}"
    return f"there is no question {name!r}: {hint}"


def _value(value: Any, about: Any) -> Any:
    takes_several = isinstance(about, dict) and about.get("multiselect")
    if not takes_several or not isinstance(value, str):
        return value
    parsed = _parsed(value)
    if isinstance(parsed, list):
        return parsed
    return [item for part in value.split(",") if (item := part.strip())]


def _parsed(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text  # `[a` is no choice, which Copier says
