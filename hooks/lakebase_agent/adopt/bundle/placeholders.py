"""Placeholders in the resources of an app, such as `<your-lakebase-branch>`."""

import re
from collections.abc import Mapping
from typing import Any

from lakebase_agent.lakebase_variables import FIELDS

PLACEHOLDER = re.compile(r"<[^<>]*>")


def placeholders(resources: list[Any]) -> dict[str, str]:
    """Return the placeholders among an app's resources, by the variable that they stand for."""
    return {
        name: value
        for item in resources
        for name, (kind, field) in FIELDS.items()
        if (value := _value(item, kind, field)) and PLACEHOLDER.search(value)
    }


def filled(text: str, found: Mapping[str, str]) -> str:
    """Return the text of a bundle with references to variables in place of placeholders."""
    for name, value in found.items():
        # The environment may have the same placeholder; of a branch, it has only the name.
        key = "(?:instance_name|value)" if name == "lakebase_instance" else FIELDS[name][1]
        field = rf"({key}:\s*)([\"']?){re.escape(value)}\2"
        text = re.sub(field, rf"\1\2${{var.{name}}}\2", text)
    return text


def _value(item: Any, kind: str, field: str) -> str:
    part = item.get(kind) if isinstance(item, dict) else None
    return str(part.get(field, "")) if isinstance(part, dict) else ""
