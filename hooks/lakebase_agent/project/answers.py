"""The answers that a project was generated or adopted with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lakebase_agent.errors import UsageError
from lakebase_agent.project.yaml_documents import read_first_document

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
    answers = _load(path)
    if "app_name" not in answers:
        raise UsageError(f"{path} does not name the app; was it edited by hand?")
    return answers


def _load(path: Path) -> dict[str, Any]:
    """Return a mapping as Copier, which wrote it, reads it; a commit is text, even 5521400."""
    try:
        text = path.read_text("utf-8")
        answers, texts = yaml.safe_load(text), yaml.load(text, yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(answers, dict):
        raise UsageError(f"{path} does not hold a mapping")
    return {**answers, **{name: texts[name] for name in ("_commit",) if name in texts}}


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
