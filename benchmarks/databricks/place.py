"""The stand-in workspace, in a process of its own: it answers while others are measured.

Run by `open_place`. It is asked for its counts through its standard input, line by line.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.wire import CHECK, open_wire
from tests.standins.workspace import APP_PRINCIPAL, ENDPOINT_PATH, Workspace, open_workspace

# The model of the public template, besides ours.
MODELS = ("databricks-gpt-5-2",)
AROUND = (CHECK, "BEGIN", "COMMIT", "ROLLBACK")


@dataclass(frozen=True)
class Counts:
    """What the workspace has been asked for so far."""

    calls: int  # of its API, sign-in and discovery included
    begun: int  # traces: the POST of one
    uploaded: int  # traces: the upload of its spans
    trace_bytes: int
    statements: int  # without those that come with a connection or a transaction
    around: int
    round_trips: int
    sent: int  # bytes to Postgres
    received: int  # and from it

    def __sub__(self, earlier: "Counts") -> "Counts":
        values = zip(vars(self).values(), vars(earlier).values(), strict=True)
        return Counts(*(new - old for new, old in values))


@dataclass(frozen=True)
class Place:
    """A running workspace."""

    process: "subprocess.Popen[str]"
    variables: dict[str, str]

    def counts(self) -> Counts:
        """Return what was counted until now."""
        return Counts(**self._ask("counts"))

    def statements(self) -> dict[str, int]:
        """Return how often each statement was executed."""
        found: dict[str, int] = self._ask("statements")
        return found

    def _ask(self, what: str) -> Any:
        assert self.process.stdin and self.process.stdout
        print(what, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


@contextmanager
def open_place() -> Iterator[Place]:
    """Yield a new workspace, with an empty database."""
    command = [sys.executable, "-m", __name__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) as process:
        assert process.stdin and process.stdout
        yield Place(process, json.loads(process.stdout.readline()))
        process.stdin.close()


def main() -> None:
    """Serve a workspace until standard input ends."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workspace = stack.enter_context(open_workspace(folder / "database"))
        workspace.content.models.extend(MODELS)
        database = workspace.database
        way, traffic = stack.enter_context(open_wire(database.postgres.port))
        database.gateway.port = lambda: way
        print(json.dumps(_variables(workspace)), flush=True)
        for line in sys.stdin:
            if line.strip() == "statements":
                print(json.dumps(traffic.statements), flush=True)
                continue
            around = sum(traffic.statements[text] for text in AROUND)
            counts = {
                **_traced(workspace),
                "statements": traffic.statements.total() - around,
                "around": around,
                "round_trips": traffic.round_trips,
                "sent": traffic.sent,
                "received": traffic.received,
            }
            print(json.dumps(counts), flush=True)


def _variables(workspace: Workspace) -> dict[str, str]:
    # As a Databricks App signs in.
    client_id, secret = workspace.identities.add_service_principal(APP_PRINCIPAL)
    return {
        "DATABRICKS_APP_NAME": "bench",
        "DATABRICKS_HOST": workspace.url,
        "DATABRICKS_CLIENT_ID": client_id,
        "DATABRICKS_CLIENT_SECRET": secret,
        "DATABRICKS_CONFIG_FILE": "none",
        "LAKEBASE_AUTOSCALING_ENDPOINT": ENDPOINT_PATH,
        "MLFLOW_TRACKING_URI": "databricks",
        "MLFLOW_REGISTRY_URI": "databricks-uc",
        "MLFLOW_EXPERIMENT_ID": "1001",
    }


def _traced(workspace: Workspace) -> dict[str, int]:
    calls = workspace.requests
    models = sum(call.path.startswith("/serving-endpoints") for call in calls)
    begun = sum(call == ("POST", "/api/3.0/mlflow/traces") for call in calls)
    uploads = sum(call.path.startswith("/upload/") for call in calls)
    size = sum(workspace.mlflow.sizes)
    return {
        "calls": len(calls) - models, "begun": begun, "uploaded": uploads, "trace_bytes": size
    }  # fmt: skip


if __name__ == "__main__":
    main()
