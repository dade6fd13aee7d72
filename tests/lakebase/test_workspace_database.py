"""The database of the stand-in workspace, through `databricks-ai-bridge` and psycopg."""

import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest
from databricks.sdk import WorkspaceClient
from databricks_ai_bridge.lakebase import AsyncLakebasePool, LakebaseClient, SchemaPrivilege

from tests.standins.workspace import (
    APP_PRINCIPAL,
    BRANCH,
    ENDPOINT_PATH,
    INSTANCE,
    ME,
    PROJECT,
    LakebaseDatabase,
    Workspace,
    open_workspace,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs addresses of the loopback")
FLAVOURS = {
    "endpoint": {"autoscaling_endpoint": ENDPOINT_PATH},
    "branch": {"project": PROJECT, "branch": BRANCH},
    "instance": {"instance_name": INSTANCE},
}
POSTGRES = "databricks_postgres"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Yield a workspace with a database."""
    with open_workspace(tmp_path_factory.mktemp("lakebase")) as workspace:
        yield workspace


@pytest.fixture
def workspace(served: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Yield that workspace, which the environment leads to, with nothing broken."""
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(name)
    for name, value in served.variables().items():
        monkeypatch.setenv(name, value)
    yield served
    served.database.asleep()
    served.identities.credential_seconds = 3600


@pytest.fixture
def database(workspace: Workspace) -> LakebaseDatabase:
    """Return its database."""
    return workspace.database


@pytest.fixture
def client(workspace: Workspace) -> WorkspaceClient:
    """Return a client of the user ME."""
    return WorkspaceClient()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_way_to_name_a_database_leads_to_it(database: LakebaseDatabase, flavour: str) -> None:
    before = len(database.logins)
    with _lakebase(flavour) as lakebase:
        [row] = lakebase.execute("SELECT current_user AS me, current_database() AS place") or []
    assert row == {"me": ME, "place": POSTGRES}
    assert database.logins[before:] == [ME]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_async_pool_connects_and_mints_a_token_for_each_connection(
    workspace: Workspace, flavour: str
) -> None:
    before = len(workspace.identities.credentials)
    options: dict[str, Any] = {
        "token_cache_duration_seconds": 0,
        "min_size": 2,
        **FLAVOURS[flavour],
    }
    asyncio.run(_open(AsyncLakebasePool(**options)))
    assert len(workspace.identities.credentials) - before == 2


def test_an_owner_can_create_extensions_and_roles(database: LakebaseDatabase) -> None:
    with _lakebase() as lakebase:
        lakebase.execute("CREATE EXTENSION IF NOT EXISTS vector")
        assert lakebase.execute("SELECT '[3]'::vector <-> '[5]' AS apart") == [{"apart": 2}]
        lakebase.create_role("new-principal", "SERVICE_PRINCIPAL")
        lakebase.create_role("new-principal", "SERVICE_PRINCIPAL")
        lakebase.execute("CREATE SCHEMA agent")
        lakebase.grant_schema("new-principal", [SchemaPrivilege.USAGE], ["agent"])


def test_an_app_owns_what_it_creates_and_reaches_nothing_else(workspace: Workspace) -> None:
    with _lakebase() as lakebase:
        lakebase.execute("CREATE SCHEMA secret")
    app = _sign_in(*workspace.identities.add_service_principal(APP_PRINCIPAL))
    with _lakebase(workspace_client=app) as lakebase:
        lakebase.execute("CREATE SCHEMA mine CREATE TABLE things (id int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            lakebase.execute("CREATE TABLE secret.things (id int)")


@pytest.mark.parametrize("options", ["sslmode=disable", "sslmode=require"], ids=str)
def test_a_login_without_tls_or_without_a_token_is_refused(
    database: LakebaseDatabase, options: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"TLS is required|password authentication"):
        _connect(database, ME, f"guess {options}")


def test_another_users_token_is_refused(workspace: Workspace) -> None:
    eve = WorkspaceClient(token=workspace.identities.add_user("eve@example.com"))
    token = eve.postgres.generate_database_credential(endpoint=ENDPOINT_PATH).token
    with pytest.raises(psycopg.OperationalError, match="password authentication"):
        _connect(workspace.database, ME, str(token))
    assert workspace.database.refused[-1] == ME


def test_a_token_without_a_role_is_refused(workspace: Workspace) -> None:
    eve = WorkspaceClient(token=workspace.identities.add_user("eve@example.com"))
    token = eve.postgres.generate_database_credential(endpoint=ENDPOINT_PATH).token
    with pytest.raises(psycopg.OperationalError, match=r"role .* does not exist"):
        _connect(workspace.database, "eve@example.com", str(token))


def test_connections_outlive_the_token_that_opened_them(
    workspace: Workspace, client: WorkspaceClient
) -> None:
    token = str(client.postgres.generate_database_credential(endpoint=ENDPOINT_PATH).token)
    with _connect(workspace.database, ME, token) as connection:
        workspace.identities.expire()
        with pytest.raises(psycopg.OperationalError, match="password authentication"):
            _connect(workspace.database, ME, token)
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_lifetime_of_a_token_can_be_set(workspace: Workspace, client: WorkspaceClient) -> None:
    workspace.identities.credential_seconds = 0
    token = str(client.postgres.generate_database_credential(endpoint=ENDPOINT_PATH).token)
    with pytest.raises(psycopg.OperationalError, match="password authentication"):
        _connect(workspace.database, ME, token)


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_restart_breaks_connections_and_keeps_data(
    database: LakebaseDatabase, how: Literal["fast", "immediate"]
) -> None:
    with _lakebase() as lakebase:
        lakebase.execute(f"CREATE TABLE kept_{how} AS SELECT 1 AS one")
        database.restart(how)
        with pytest.raises(psycopg.OperationalError):
            lakebase.execute("SELECT 1")
    with _lakebase() as lakebase:
        assert lakebase.execute(f"SELECT * FROM kept_{how}") == [{"one": 1}]


def test_dropped_connections_fail(database: LakebaseDatabase) -> None:
    with _lakebase() as lakebase:
        lakebase.execute("SELECT 1")
        database.drop()
        with pytest.raises(psycopg.OperationalError):
            lakebase.execute("SELECT 1")


def test_a_database_that_is_away_comes_back(workspace: Workspace, client: WorkspaceClient) -> None:
    token = str(client.postgres.generate_database_credential(endpoint=ENDPOINT_PATH).token)
    with workspace.database.away(), pytest.raises(psycopg.OperationalError):
        _connect(workspace.database, ME, token)
    _connect(workspace.database, ME, token).close()


def test_a_sleeping_database_fails_first_and_then_wakes(
    workspace: Workspace, client: WorkspaceClient
) -> None:
    token = str(client.postgres.generate_database_credential(endpoint=ENDPOINT_PATH).token)
    workspace.database.asleep(failures=1, seconds=0.2)
    started = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match="starting up"):
        _connect(workspace.database, ME, token)
    _connect(workspace.database, ME, token).close()
    assert time.monotonic() - started >= 0.4


def test_a_query_can_be_cancelled(workspace: Workspace, client: WorkspaceClient) -> None:
    token = str(client.postgres.generate_database_credential(endpoint=ENDPOINT_PATH).token)
    with _connect(workspace.database, ME, token) as connection:
        threading.Timer(0.2, connection.cancel_safe).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(20)")


def test_a_large_value_passes_unchanged(database: LakebaseDatabase) -> None:
    with _lakebase() as lakebase:
        [row] = lakebase.execute("SELECT %s AS text", ("x" * 5_000_000,)) or []
    assert row["text"] == "x" * 5_000_000


def test_a_reset_empties_the_database_and_keeps_its_privileges(
    database: LakebaseDatabase,
) -> None:
    with _lakebase() as lakebase:
        lakebase.execute("CREATE TABLE gone ()")
    database.reset()
    with database.admin() as admin:
        query = "SELECT to_regclass('gone'), has_database_privilege(%s, %s, 'CREATE')"
        assert admin.execute(query, [APP_PRINCIPAL, POSTGRES]).fetchone() == (None, True)


def test_each_workspace_has_a_database_of_its_own(workspace: Workspace, tmp_path: Path) -> None:
    with open_workspace(tmp_path) as other:
        assert other.database.host != workspace.database.host
        other.database.drop()
    with pytest.raises(OSError):
        socket.create_connection((other.database.host, 5432))


def _sign_in(name: str, secret: str) -> WorkspaceClient:
    return WorkspaceClient(client_id=name, client_secret=secret, auth_type="oauth-m2m")


def _lakebase(flavour: str = "endpoint", **more: Any) -> LakebaseClient:
    options: dict[str, Any] = {"max_size": 1, **FLAVOURS[flavour], **more}
    return LakebaseClient(**options)


def _connect(database: LakebaseDatabase, user: str, password: str) -> psycopg.Connection:
    word, _, options = password.partition(" ")
    text = f"host={database.host} dbname={POSTGRES} {options or 'sslmode=require'}"
    return psycopg.connect(text, user=user, password=word, autocommit=True)


async def _open(pool: AsyncLakebasePool) -> None:
    async with pool:
        await pool.pool.wait(10)
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")
