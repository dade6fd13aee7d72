"""The resources that an app needs for its memory, and which of them it has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakebase_agent.adopt.adoption import Adoption
from lakebase_agent.adopt.modules.rendered import Rendered


@dataclass(frozen=True)
class Resources:
    """The resources that an app lacks, and the names in the app of all that it needs."""

    missing: list[dict[str, Any]]
    names: dict[str, str]


def needed_resources(adoption: Adoption, new: Rendered) -> dict[str, dict[str, Any]]:
    """Return the resources that an app needs, by their preferred names."""
    resources: dict[str, dict[str, Any]] = {}
    if adoption.answers["lakebase"] == "autoscaling":
        resources["postgres"] = {
            "postgres": {
                "branch": "${var.lakebase_branch}",
                "database": "${var.lakebase_database}",
                "permission": "CAN_CONNECT_AND_CREATE",
            }
        }
    else:
        resources["database"] = {
            "database": {
                "instance_name": "${var.lakebase_instance}",
                "database_name": "databricks_postgres",
                "permission": "CAN_CONNECT_AND_CREATE",
            }
        }
    if "long_term" in adoption.answers["memory"]:
        endpoint = {"name": str(new.answers["embedding_endpoint"]), "permission": "CAN_QUERY"}
        resources["embeddings"] = {"serving_endpoint": endpoint}
    return resources


def find_resources(listed: Sequence[Any], needed: Mapping[str, Mapping[str, Any]]) -> Resources:
    """Look for resources among those that an app lists; a missing one gets a free name."""
    there = [item for item in listed if isinstance(item, dict)]
    taken = {str(item.get("name")) for item in there}
    found = Resources([], {})
    for name, content in needed.items():
        same = [str(item.get("name")) for item in there if _gives(item, content)]
        found.names[name] = same[0] if same else _free_name(name, taken)
        if not same:
            found.missing.append({"name": found.names[name], **content})
    return found


def _gives(item: Mapping[str, Any], content: Mapping[str, Any]) -> bool:
    """Return whether a resource gives access to the same; any Lakebase will do."""
    kind, value = next(iter(content.items()))
    if kind not in item:
        return False
    return kind != "serving_endpoint" or (item[kind] or {}).get("name") == value["name"]


def _free_name(name: str, taken: set[str]) -> str:
    names = [name, f"lakebase-{name}", *(f"{name}-{number}" for number in range(2, 100))]
    return next(candidate for candidate in names if candidate not in taken)
