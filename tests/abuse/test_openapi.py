"""The API does what its OpenAPI document says, whatever is sent to it: schemathesis tries."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import Server

pytestmark = pytest.mark.generated
EXAMPLES = os.environ.get("ABUSE_EXAMPLES", "6")  # of each kind, for each route
# Not that every valid body is accepted (which thread may be continued is no matter of types), nor
# that `Allow` lists what other routes of the same path take (Starlette's does not).
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance", "use_after_free",
    "ensure_resource_availability",
)  # fmt: skip


# The API is the same in both frameworks.
@pytest.mark.parametrize("agent", ["langgraph"], indirect=True)
def test_the_api_keeps_to_its_own_document(server: Server, tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("schemathesis"))
    url = f"http://127.0.0.1:{server.port}/openapi.json"
    options = ["--max-examples", EXAMPLES, "--checks", ",".join(CHECKS), "--no-color"]
    command = [program, "run", url, "--header", "X-Forwarded-User: ada", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    paths = server.http.get("/openapi.json").json()["paths"].values()
    assert f"Tested: {sum(map(len, paths))}" in done.stdout, done.stdout
