"""The data of the workspace, which answers with who asked."""

from uuid import uuid4

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from tests.standins.workspace.state import Json

WAREHOUSE = "a1b2c3d4e5f60718"


class DataApi:
    """Answers SQL statements: the Statement Execution API, inline and as a JSON array."""

    def __init__(self) -> None:
        self.router = APIRouter()
        self.router.post("/api/2.0/sql/statements")(self.execute)
        self.router.post("/api/2.0/mcp/{kind}/{place:path}")(self.serve_tools)
        self.router.post("/api/2.0/mcp/{kind}")(self.serve_tools)  # sql has no place

    async def execute(self, request: Request, body: Json) -> Json:
        """Return one row with the name of the caller, and the statement."""
        row = [request.state.identity.user_name, body["statement"]]
        columns = [
            {"name": name, "position": place, "type_name": "STRING", "type_text": "STRING"}
            for place, name in enumerate(("current_user", "statement"))
        ]
        schema = {"column_count": len(columns), "columns": columns}
        manifest = {"format": "JSON_ARRAY", "schema": schema, "total_row_count": 1}
        result = {"chunk_index": 0, "row_offset": 0, "row_count": 1, "data_array": [row]}
        state = {"state": "SUCCEEDED"}
        return {
            "statement_id": str(uuid4()), "status": state, "manifest": manifest, "result": result
        }  # fmt: skip

    async def serve_tools(
        self, request: Request, kind: str, body: Json, place: str = ""
    ) -> Response:
        """Answer as a managed MCP server: a tool for all, and one for whoever asks for the list.

        Both say who called.
        """
        who = request.state.identity.user_name
        match body["method"]:
            case "initialize":
                server = {"name": kind, "version": "1"}
                version = body["params"]["protocolVersion"]
                result = {"protocolVersion": version, "capabilities": {}, "serverInfo": server}
            case "tools/list":
                schema = {"type": "object", "properties": {}}
                names = f"ask_{kind}", f"only_{who.partition('@')[0]}"
                result = {"tools": [{"name": name, "inputSchema": schema} for name in names]}
            case "tools/call":
                result = {"content": [{"type": "text", "text": f"{place} was asked by {who}."}]}
            case _:
                return Response(status_code=202)
        return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "result": result})
