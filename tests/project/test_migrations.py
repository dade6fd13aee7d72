"""The app's own tables, from every earlier version and release to this one, with what they hold."""

import asyncio
import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

import agent_server
from tests.standins.workspace.embedded import EmbeddedPostgres
from tests.support.places import MIGRATIONS, module
from tests.support.rendering import MEMORIES, Combination, render

STEPS = [
    "CREATE TABLE IF NOT EXISTS notes (text text); CREATE INDEX IF NOT EXISTS n ON notes (text)",
    "ALTER TABLE notes ADD pinned boolean NOT NULL DEFAULT false",
    "INSERT INTO notes (text) VALUES ('third'); CREATE INDEX pins ON notes (pinned)",
]
GRANTS = """
    GRANT USAGE, CREATE ON SCHEMA s TO app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA s TO app"""

BROKEN = [*STEPS[:1], "INSERT INTO notes VALUES ('half'); SELECT 1 / 0"]
Migrate = Callable[..., None]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """Yield a Postgres with two roles of apps."""
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("migrations") / "postgres")
    postgres.start()
    for role in ("owner", "app"):
        postgres.create_role(role)
    yield postgres
    postgres.stop()


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> EmbeddedPostgres:
    """Return that Postgres, with nothing in it but a schema of the role `owner`."""
    postgres.reset()
    execute(postgres, "CREATE SCHEMA s AUTHORIZATION owner")
    return postgres


@pytest.fixture(scope="module")
def migrations(template: Path, tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """Return the module of a generated project."""
    folder = tmp_path_factory.mktemp("p") / "project"
    render(template, Combination("openai", MEMORIES, "local"), folder)
    agent_server.__path__.insert(0, str(folder / "agent_server"))
    return importlib.import_module(module(MIGRATIONS))


@pytest.fixture
def migrate(database: EmbeddedPostgres, migrations: ModuleType) -> Migrate:
    """Return what brings the part `notes` up to date, as a process of the app does."""

    async def run(steps: Sequence[str], role: str) -> None:
        options = f"-c role={role} -c search_path=s,public"
        async with await psycopg.AsyncConnection.connect(
            database.url(), autocommit=True, row_factory=dict_row, options=options
        ) as connection:
            await migrations.migrate(connection, "notes", steps)

    return lambda steps, role="owner": asyncio.run(run(steps, role))


def execute(database: EmbeddedPostgres, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement in the schema, and return its rows."""
    with database.admin() as connection:
        connection.execute("SET search_path = s")
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def version(database: EmbeddedPostgres) -> int:
    [(part, version)] = execute(database, "SELECT part, version FROM schema_versions")
    assert part == "notes"
    return int(version)


@pytest.mark.parametrize("held", [1, 2, 3])
def test_a_database_of_any_version_reaches_the_last_and_keeps_its_rows(
    database: EmbeddedPostgres, migrate: Migrate, held: int
) -> None:
    migrate(STEPS[:held])
    execute(database, "INSERT INTO notes (text) VALUES ('mine')")
    migrate(STEPS)
    notes = execute(database, "SELECT text, pinned FROM notes ORDER BY text")
    assert notes == [("mine", False), ("third", False)]
    assert version(database) == 2


def test_tables_without_a_recorded_version_are_taken_for_the_first(
    database: EmbeddedPostgres, migrate: Migrate
) -> None:
    execute(database, STEPS[0])
    execute(database, "ALTER TABLE notes OWNER TO owner; INSERT INTO notes VALUES ('mine')")
    migrate(STEPS)
    assert ("mine", False) in execute(database, "SELECT text, pinned FROM notes")
    assert version(database) == 2


def test_a_step_is_applied_once(database: EmbeddedPostgres, migrate: Migrate) -> None:
    for _ in range(2):
        migrate(STEPS)
    assert execute(database, "SELECT count(*) FROM notes") == [(1,)]


def test_a_step_that_fails_leaves_the_version_before_it_with_its_rows(
    database: EmbeddedPostgres, migrate: Migrate
) -> None:
    migrate(STEPS[:1])
    execute(database, "INSERT INTO notes VALUES ('mine')")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(BROKEN)
    assert version(database) == 0
    assert execute(database, "SELECT text FROM notes") == [("mine",)]
    migrate(STEPS)
    assert version(database) == 2


def test_a_step_that_cannot_be_recorded_is_undone(
    database: EmbeddedPostgres, migrate: Migrate
) -> None:
    migrate(STEPS[:1])
    with pytest.raises(psycopg.errors.UndefinedTable):
        migrate([*STEPS[:1], "INSERT INTO notes VALUES ('half'); DROP TABLE schema_versions"])
    assert version(database) == 0
    assert execute(database, "SELECT text FROM notes") == []


def test_tables_of_a_later_release_are_left_alone_and_the_log_says_so(
    database: EmbeddedPostgres, migrate: Migrate, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(STEPS)
    assert not caplog.records
    migrate(STEPS[:2])
    assert version(database) == 2
    assert "the tables of notes are of a later release, version 2" in caplog.text


def test_parts_have_versions_of_their_own(database: EmbeddedPostgres, migrate: Migrate) -> None:
    execute(database, "CREATE TABLE schema_versions (part text PRIMARY KEY, version int NOT NULL)")
    execute(database, "GRANT ALL ON schema_versions TO owner")
    execute(database, "INSERT INTO schema_versions VALUES ('others', 7)")
    migrate(STEPS)
    versions = execute(database, "SELECT part, version FROM schema_versions ORDER BY part")
    assert versions == [("notes", 2), ("others", 7)]


def test_the_versions_of_another_app_in_public_are_not_ours(
    database: EmbeddedPostgres, migrate: Migrate
) -> None:
    execute(database, "CREATE TABLE public.schema_versions (part text, version int)")
    execute(database, "INSERT INTO public.schema_versions VALUES ('notes', 2)")
    execute(database, "GRANT ALL ON public.schema_versions TO public")
    migrate(STEPS)
    assert version(database) == 2
    assert execute(database, "SELECT text FROM notes") == [("third",)]


def test_a_granted_app_can_use_tables_of_another_role(
    database: EmbeddedPostgres, migrate: Migrate
) -> None:
    migrate(STEPS)
    execute(database, GRANTS)
    migrate(STEPS, "app")
    assert version(database) == 2


@pytest.mark.parametrize("held", [0, 1])
def test_a_granted_app_waits_for_the_owner_to_change_them(
    database: EmbeddedPostgres, migrate: Migrate, held: int
) -> None:
    execute(database, f"SET ROLE owner; {STEPS[0]}")
    migrate(STEPS[:held])
    execute(database, GRANTS)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        migrate(STEPS, "app")
    migrate(STEPS)
    migrate(STEPS, "app")
