"""YAML files, read as plain values, or with their comments and quotes to be written again."""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lakebase_agent.errors import UsageError


def load_documents(name: str, text: str) -> list[Any]:
    """Return the documents of a YAML text as plain values; raises UsageError if it is not valid.

    `name` is what errors call it.
    """
    try:
        return list(YAML(typ="safe", pure=True).load_all(text))
    except YAMLError as error:
        raise UsageError(f"{name} is not YAML: {' '.join(str(error).split())}") from error


def read_first_document(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file starts with; raises UsageError if there is none."""
    try:
        documents = load_documents(str(path), path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8") from error
    if not documents or not isinstance(documents[0], dict):
        raise UsageError(f"{path} does not hold a mapping")
    return documents[0]


def load_with_comments(path: Path) -> Any:
    """Return the mapping in a file, with its comments and quotes; empty if there is no file.

    Raises UsageError if it is not valid.
    """
    try:
        document = round_trip_yaml().load(path.read_text("utf-8")) if path.is_file() else None
    except (YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if document is None:
        return {}
    if not hasattr(document, "setdefault"):
        raise UsageError(f"{path} does not hold a mapping")
    return document


def dump_with_comments(document: Any) -> str:
    """Return the text of what `load_with_comments` returned."""
    text = io.StringIO()
    round_trip_yaml().dump(document, text)
    return text.getvalue()


def round_trip_yaml() -> YAML:
    """Return a parser and writer that keeps comments and quotes, and indents as bundles do."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
