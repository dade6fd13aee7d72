"""The answers that a project was generated or adopted with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakebase_agent.errors import UsageError
from lakebase_agent.project.yaml_documents import load_with_comments, read_first_document

ANSWERS = ".copier-answers.yml"
ADOPTED = ".lakebase-agent.yml"


def read_answers(folder: Path) -> dict[str, Any]:
    """Return the answers a project was generated or adopted with.

    Raises UsageError if it was neither, or if the file is not valid.
    """
    if adopted := read_adopted(folder):
        return adopted
    path = folder / ANSWERS
    if not path.is_file():
        raise UsageError(f"{folder} is not a generated project: it has no {ANSWERS}")
    answers: dict[str, Any] = load_with_comments(path)
    if "app_name" not in answers:
        raise UsageError(f"{path} does not name the app; was it edited by hand?")
    return answers


def read_adopted(folder: Path) -> dict[str, Any]:
    """Return what `lakebase-agent adopt` noted about a project; empty if it was not adopted.

    Raises UsageError if the note is not valid.
    """
    path = folder / ADOPTED
    return read_first_document(path) if path.is_file() else {}


def plain(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return answers as plain values, without what Copier notes about itself."""
    kept = {name: value for name, value in answers.items() if not name.startswith("_")}
    found: dict[str, Any] = json.loads(json.dumps(kept, default=str))
    return found
