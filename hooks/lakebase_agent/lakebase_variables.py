"""What a bundle's variables for its Lakebase mean, and what is written there instead of them."""

from collections.abc import Iterator, Mapping
from typing import Any

# Where the value of each variable that `link` sets belongs: a kind of resource, and its field.
FIELDS = {
    "lakebase_branch": ("postgres", "branch"),
    "lakebase_database": ("postgres", "database"),
    "lakebase_instance": ("database", "instance_name"),
}


def of_its_owner(bundle: Mapping[str, Any]) -> list[str]:
    """Return the variables named like those of `link` that mean something else in a bundle.

    Such a variable is declared, but no resource takes it where `link` would have it.
    """
    declared, used = bundle.get("variables") or {}, list(_values(bundle))
    return [
        name
        for name, field in FIELDS.items()
        if name in declared and (field, f"${{var.{name}}}") not in used
    ]


def written(bundle: Mapping[str, Any]) -> dict[str, str]:
    """Return the values that the app's resources have instead of such variables, by their names."""
    values = {field: value for field, value in _values(bundle) if "${" not in value}
    return {name: values[field] for name, field in FIELDS.items() if values.get(field)}


def _values(node: object) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the fields of resources for a Lakebase, each with its value, wherever they are."""
    if isinstance(node, list):
        for item in node:
            yield from _values(item)
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        if key in ("postgres", "database") and isinstance(value, Mapping):
            yield from (((str(key), str(n)), str(v)) for n, v in value.items())
        yield from _values(value)
