"""What the workspace has for agents to use: Genie spaces, indexes, functions, warehouses.

The shapes and the paging are those that databricks-sdk reads. Every list has pages of one, and one
page in its middle is empty: "a page may contain zero results while still providing a
next_page_token" (databricks-sdk, `service/catalog.py`, of each list).
"""

from typing import Any

from fastapi import APIRouter, Request

from tests.standins.workspace.errors import ApiError
from tests.standins.workspace.state import Json

SPACES = [
    {"space_id": "01f0aaaa", "title": "Sales"},
    {"space_id": "01f0bbbb", "title": "Sales"},  # titles are not unique
    {"space_id": "01f0cccc", "title": "People, and their “teams”"},
    {"space_id": "01f0dddd", "title": 'a: #1 {"it\'s"} \\n ${bundle.name}'},
]
INDEX, FUNCTION, CONNECTION = "main.docs.handbook", "main.tools.add", "github"
OTHER_INDEXES = ["main.docs.faq", "raw-data.my docs.notes"]
OTHER_FUNCTION = "main.tools.subtract"
# The endpoint `private` is somebody else's.
ENDPOINTS = {"shared": ["main.docs.faq", INDEX], "private": None, "late": [OTHER_INDEXES[1]]}
# One that is no MCP server's, and one that is not HTTP's.
CONNECTIONS: list[Json] = [
    {"name": "rest", "connection_type": "HTTP", "options": {"host": "h"}},
    {"name": "postgres", "connection_type": "POSTGRESQL", "options": {}},
    {"name": CONNECTION, "connection_type": "HTTP", "options": {"is_mcp_connection": "true"}},
]
FUNCTIONS = {"tools": [FUNCTION, OTHER_FUNCTION]}


def build_tools_api() -> APIRouter:
    """Return the routes that list them."""
    router, catalog = APIRouter(), "/api/2.1/unity-catalog"
    lists: dict[str, tuple[str, list[Json]]] = {
        "/api/2.0/genie/spaces": ("spaces", SPACES),
        "/api/2.0/vector-search/endpoints": ("endpoints", [{"name": name} for name in ENDPOINTS]),
        "/api/2.0/sql/warehouses": (
            "warehouses",
            [{"id": "c3d4", "name": "Other"}, {"id": "a1b2", "name": "Starter"}],
        ),
        f"{catalog}/catalogs": ("catalogs", [{"name": "samples"}, {"name": "main"}]),
        f"{catalog}/schemas": ("schemas", [{"name": "docs"}, {"name": "tools"}]),
        f"{catalog}/connections": ("connections", CONNECTIONS),
    }
    for path, (key, items) in lists.items():
        router.get(path)(_listing(key, items))
    router.get("/api/2.0/vector-search/indexes")(indexes)
    router.get(f"{catalog}/functions")(functions)
    return router


def _listing(key: str, items: list[Json]) -> Any:
    async def answer(request: Request) -> Json:
        return page(key, items, request)

    return answer


async def indexes(request: Request, endpoint_name: str) -> Json:
    """Return the indexes of an endpoint, if it is not somebody else's."""
    names = ENDPOINTS[endpoint_name]
    if names is None:
        text = f"User does not have CAN_USE permission on endpoint {endpoint_name}."
        raise ApiError(403, "PERMISSION_DENIED", text)
    return page("vector_indexes", [{"name": name} for name in names], request)


async def functions(request: Request, schema_name: str) -> Json:
    """Return the functions of a schema."""
    names = FUNCTIONS.get(schema_name, [])
    found = [{"name": name.rsplit(".", 1)[-1], "full_name": name} for name in names]
    return page("functions", found, request)


def page(key: str, items: list[Json], request: Request) -> Json:
    """Return the page that is asked for: one item, or none in the middle, and what comes next."""
    middle = (len(items) + 1) // 2
    pages: list[list[Json]] = [[item] for item in items]
    pages.insert(middle, [])
    place = int(request.query_params.get("page_token", "0"))
    more = {"next_page_token": str(place + 1)} if place + 1 < len(pages) else {}
    return {**({key: pages[place]} if pages[place] else {}), **more}
