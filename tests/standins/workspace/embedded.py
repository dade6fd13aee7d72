"""The Postgres behind the gateway: the template's embedded one, with Lakebase's roles."""

import importlib.util
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

TEMPLATE = Path(__file__).resolve().parents[3] / "template"
MODULE = TEMPLATE / "local" / "postgres.py"
DATABASE, OWNERS = "databricks_postgres", "databricks_superuser"
STOP_SECONDS = 30
STOPS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
# The gateway has asked for the password already.
TRUST = "host all all 127.0.0.1/32 trust\n"
AUTH_CONTROL = "default_version = '1.0'\nrelocatable = true\ntrusted = true\n"
AUTH_SCRIPT = """
CREATE FUNCTION databricks_create_role(name text, kind text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE ROLE %I LOGIN', name);
    RETURN name;
END $$;
"""


class EmbeddedPostgres:
    """A Postgres with the database `databricks_postgres`, on a port of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._apps: list[str] = []
        self._module = _load()
        self._url = ""

    def start(self) -> None:
        """Start it for the first time; the folder is empty."""
        self._url = self._module.start(self._folder)
        self._set_up()

    @property
    def port(self) -> int:
        """Where it listens; a restart changes it."""
        return urlsplit(self._url).port or 0

    def url(self, database: str = DATABASE) -> str:
        """Return the URL of a database for its superuser, past the gateway."""
        return self._url.removesuffix("postgres") + database

    @contextmanager
    def admin(self, database: str = DATABASE) -> Iterator[psycopg.Connection]:
        """Yield a connection of the superuser."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            yield connection

    def create_role(self, name: str, owner: bool = False) -> None:
        """Let `name` log in: as who made the database, or as an app that may use it."""
        role = sql.Identifier(name)
        with self.admin("postgres") as connection:
            if owner:
                # Attributes are not inherited.
                _run(connection, "CREATE ROLE {} LOGIN CREATEROLE CREATEDB", role)
                _run(connection, "GRANT {} TO {}", sql.Identifier(OWNERS), role)
            else:
                _run(connection, "CREATE ROLE {} LOGIN", role)
                self._apps.append(name)
                self._grant(connection, name)

    def reset(self) -> None:
        """Empty the database; the roles stay."""
        with self.admin("postgres") as connection:
            _run(connection, "DROP DATABASE {} WITH (FORCE)", sql.Identifier(DATABASE))
            self._create_database(connection)

    def restart(self, how: str) -> None:
        """Stop it, "fast" or "immediate", and start it again."""
        lock = self._folder / "data" / "postmaster.pid"
        os.kill(int(lock.read_text().splitlines()[0]), STOPS[how])
        deadline = time.monotonic() + STOP_SECONDS
        while lock.exists():
            assert time.monotonic() < deadline, "Postgres does not stop"
            time.sleep(0.02)
        self._url = self._module.start(self._folder)

    def stop(self) -> None:
        """Stop it for good."""
        self._module.stop(self._folder)

    def _set_up(self) -> None:
        (self._folder / "data" / "pg_hba.conf").write_text(TRUST)
        share = self._folder / "share"
        self._copy_extensions(share / "extension")
        with self.admin("postgres") as connection:
            path = sql.Literal(f"{share}:$system")
            _run(connection, "ALTER SYSTEM SET extension_control_path = {}", path)
            _run(connection, "ALTER SYSTEM SET fsync = off")
            _run(connection, "SELECT pg_reload_conf()")
            _run(connection, "CREATE ROLE {} NOLOGIN", sql.Identifier(OWNERS))
            self._create_database(connection)

    def _create_database(self, connection: psycopg.Connection) -> None:
        names = sql.Identifier(DATABASE), sql.Identifier(OWNERS)
        _run(connection, "CREATE DATABASE {} OWNER {}", *names)
        for name in self._apps:
            self._grant(connection, name)

    def _grant(self, connection: psycopg.Connection, name: str) -> None:
        names = sql.Identifier(DATABASE), sql.Identifier(name)
        _run(connection, "GRANT CONNECT, CREATE ON DATABASE {} TO {}", *names)

    def _copy_extensions(self, place: Path) -> None:
        # In Lakebase, who is no superuser may create `vector` too, and there is `databricks_auth`.
        binaries: Path = self._module._binaries()
        [control] = binaries.parent.glob("share/**/vector.control")
        place.mkdir(parents=True)
        for script in control.parent.glob("vector--*.sql"):
            shutil.copy(script, place)
        (place / "vector.control").write_text(control.read_text() + "trusted = true\n")
        (place / "databricks_auth.control").write_text(AUTH_CONTROL)
        (place / "databricks_auth--1.0.sql").write_text(AUTH_SCRIPT)


def _run(connection: psycopg.Connection, query: LiteralString, *parts: sql.Composable) -> None:
    connection.execute(sql.SQL(query).format(*parts))


def _load() -> ModuleType:
    # By its path: the folder's name, which the template renders, is no Python package's.
    spec = importlib.util.spec_from_file_location("embedded_postgres", MODULE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
