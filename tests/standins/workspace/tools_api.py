"""What the workspace has for agents to use: Genie spaces, indexes, functions, warehouses.

The shapes and the paging are those that databricks-sdk reads.
"""

from fastapi import APIRouter

from tests.standins.workspace.state import Json

SPACES = [
    {"space_id": "01f0aaaa", "title": "Sales"},
    {"space_id": "01f0bbbb", "title": "Sales"},  # titles are not unique
    {"space_id": "01f0cccc", "title": "People, and their “teams”"},
]
INDEX, FUNCTION, CONNECTION = "main.docs.handbook", "main.tools.add", "github"
# One that is no MCP server's, and one that is not HTTP's.
CONNECTIONS: list[Json] = [
    {"name": CONNECTION, "connection_type": "HTTP", "options": {"is_mcp_connection": "true"}},
    {"name": "rest", "connection_type": "HTTP", "options": {"host": "h"}},
    {"name": "postgres", "connection_type": "POSTGRESQL", "options": {}},
]


def build_tools_api() -> APIRouter:
    """Return the routes that list them."""
    router, catalog = APIRouter(), "/api/2.1/unity-catalog"
    router.get("/api/2.0/genie/spaces")(spaces)
    lists: dict[str, Json] = {
        "/api/2.0/vector-search/endpoints": {"endpoints": [{"name": "shared", "id": "1"}]},
        "/api/2.0/vector-search/indexes": {"vector_indexes": [{"name": INDEX}]},
        "/api/2.0/sql/warehouses": {"warehouses": [{"id": "a1b2", "name": "Starter"}]},
        f"{catalog}/catalogs": {"catalogs": [{"name": "main"}]},
        f"{catalog}/schemas": {"schemas": [{"name": "docs"}, {"name": "tools"}]},
        f"{catalog}/connections": {"connections": CONNECTIONS},
    }
    for path, body in lists.items():
        router.get(path)(lambda body=body: body)
    router.get(f"{catalog}/functions")(functions)
    return router


async def spaces(page_token: str = "") -> Json:
    """Return one space a page."""
    place = int(page_token or 0)
    more = {"next_page_token": str(place + 1)} if place + 1 < len(SPACES) else {}
    return {"spaces": [SPACES[place]], **more}


async def functions(schema_name: str) -> Json:
    """Return the functions of a schema."""
    found = [{"name": "add", "full_name": FUNCTION}] if schema_name == "tools" else []
    return {"functions": found}
