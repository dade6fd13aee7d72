"""What a workspace has of each kind of tools."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.catalog import ConnectionType

from lakebase_agent.add_tool import tools
from lakebase_agent.add_tool.tools import Tool
from lakebase_agent.errors import UsageError, WorkspaceError
from lakebase_agent.terminal import Asker
from lakebase_agent.workspace.refusals import errors_explained


@dataclass(frozen=True)
class Offers:
    """The tools of a workspace. Every method raises WorkspaceError if the workspace refuses."""

    client: WorkspaceClient
    asker: Asker

    def pick(self, kind: str, given: str) -> Tool:
        """Return the tool of this kind that is given, the only one, or the one a person picks.

        It may be given by what people call it, or by its id. Raises as `Asker.pick` does.
        """
        what = tools.KINDS[kind].what
        if kind == "functions":
            return self._pick_functions(given)
        with errors_explained(str(self.client.config.host)), self.asker.spinner(f"{what}s"):
            found = [*self._list(kind)]
        if tool := next((tool for tool in found if given and tool.id == given), None):
            return tool
        several = Counter(tool.title for tool in found)
        names = {t.title if several[t.title] == 1 else f"{t.title} ({t.id})": t for t in found}
        return names[self.asker.pick(what, "its name", given, list(names))]

    def _list(self, kind: str) -> Iterator[Tool]:
        match kind:
            case "genie":
                yield from self._genie_spaces()
            case "vector-search":
                yield from self._vector_indexes()
            case "sql":
                for one in self.client.warehouses.list():
                    yield tools.warehouse(str(one.id), str(one.name))
            case "mcp":
                for connection in self.client.connections.list():
                    options = connection.options or {}
                    is_mcp = options.get("is_mcp_connection") == "true"
                    if connection.connection_type is ConnectionType.HTTP and is_mcp:
                        yield tools.connection(str(connection.name))

    def _vector_indexes(self) -> Iterator[Tool]:
        """Yield the indexes of every endpoint that one may use."""
        refused: DatabricksError | None = None
        found = False
        for endpoint in [*self.client.vector_search_endpoints.list_endpoints()]:
            try:
                for index in self.client.vector_search_indexes.list_indexes(str(endpoint.name)):
                    yield tools.vector_index(str(index.name))
                    found = True
            except (PermissionDenied, NotFound) as error:  # another's, or deleted meanwhile
                refused = error
        if refused and not found:
            raise refused

    def _genie_spaces(self) -> Iterator[Tool]:
        token = None
        while True:
            page = self.client.genie.list_spaces(page_token=token)
            for space in page.spaces or []:
                yield tools.genie(space.space_id, space.title or space.space_id)
            if not (token := page.next_page_token):
                return

    def _pick_functions(self, given: str) -> Tool:
        catalog, _, schema = given.partition(".")
        if given and (not schema or "." in schema):
            raise UsageError(f"{given!r} is not the name of a schema: give CATALOG.SCHEMA")
        with errors_explained(str(self.client.config.host)):
            catalogs = [str(one.name) for one in self.client.catalogs.list()]
            catalog = self.asker.pick("catalog", "CATALOG.SCHEMA", catalog, catalogs)
            schemas = [str(one.name) for one in self.client.schemas.list(catalog)]
            schema = self.asker.pick("schema", "CATALOG.SCHEMA", schema, schemas)
            found = [str(one.full_name) for one in self.client.functions.list(catalog, schema)]
        if not found:
            raise WorkspaceError(f"{catalog}.{schema} has no functions that you may use")
        return tools.functions(f"{catalog}.{schema}", found)
