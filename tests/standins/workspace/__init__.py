"""A stand-in Databricks workspace, over real HTTP, for the real `databricks-sdk`."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.standins.mlflow import StandinMlflow
from tests.standins.workspace.content import (
    APP,
    APP_PRINCIPAL,
    BRANCH,
    BRANCH_PATH,
    DATABASE_PATH,
    ENDPOINT_PATH,
    INSTANCE,
    OTHER_HOST,
    PROJECT,
    Content,
    example_content,
)
from tests.standins.workspace.database import LakebaseDatabase, open_database
from tests.standins.workspace.gate import Call, Fault, Faults, Gate
from tests.standins.workspace.identities import Identities
from tests.standins.workspace.server import build_app
from tests.support.served import served

__all__ = [
    "APP", "APP_PRINCIPAL", "BRANCH", "BRANCH_PATH", "DATABASE_PATH", "ENDPOINT_PATH", "INSTANCE",
    "ME", "PROJECT", "Call", "Content", "Fault", "Faults", "LakebaseDatabase",
    "Workspace", "open_workspace",
]  # fmt: skip
ME = "ada@example.com"


@dataclass
class Workspace:
    """A running stand-in workspace."""

    url: str
    token: str  # of the user ME
    content: Content
    identities: Identities
    faults: Faults
    gate: Gate
    mlflow: StandinMlflow  # what was traced
    served: LakebaseDatabase | None = None

    @property
    def database(self) -> LakebaseDatabase:
        """The database at the host of ENDPOINT_PATH and of INSTANCE."""
        assert self.served, "open_workspace needs a folder to serve a database"
        return self.served

    @property
    def requests(self) -> list[Call]:
        """The requests so far, the oldest first."""
        return self.gate.calls

    def calls(self, prefix: str = "/api") -> list[Call]:
        """Return the requests whose path begins with `prefix`."""
        return [call for call in self.gate.calls if call.path.startswith(prefix)]

    def variables(self, **more: str) -> dict[str, str]:
        """Return the environment variables that lead a program here, and no profile elsewhere."""
        here = {"DATABRICKS_HOST": self.url, "DATABRICKS_TOKEN": self.token}
        return {**here, "DATABRICKS_CONFIG_FILE": "none", **more}


@contextmanager
def open_workspace(folder: Path | None = None) -> Iterator[Workspace]:
    """Yield a workspace with the example's content; with an empty folder, a database too.

    The user ME owns the database, and the service principal of APP may use it.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        identities, faults = Identities(), Faults()
        database = None
        if folder:
            database = stack.enter_context(open_database(folder, identities.may_log_in))
            database.create_role(ME, owner=True)
            database.create_role(APP_PRINCIPAL)
        content = example_content(database.host if database else OTHER_HOST, ME)
        mlflow = StandinMlflow(url)
        gate = Gate(build_app(content, identities, mlflow, url), identities, faults)
        stack.enter_context(served(gate, listener))
        token = identities.add_user(ME)
        yield Workspace(url, token, content, identities, faults, gate, mlflow, database)
