"""`lakebase-agent adopt --import-memory`: what says whose it is goes to its owner, nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from lakebase_agent.errors import WorkspaceError
from lakebase_agent.importing.importing import database_url
from lakebase_agent.terminal import Asker
from tests.standins.workspace import BRANCH_PATH
from tests.standins.workspace.embedded import EmbeddedPostgres
from tests.support.commands import Done
from tests.support.existing_agents import run, write_agent

pytestmark = pytest.mark.slow
SCHEMA = "memory"
NOTE = f"app_name: a\nmemory_schema: {SCHEMA}\nlakebase: autoscaling\n"
BUNDLE = """\
bundle: {name: a}
variables: {lakebase_branch: {default: projects/gone/branches/gone}}
targets: {dev: {}}
"""
# As langgraph-checkpoint-postgres 3.x and the OpenAI Agents SDK create them.
TABLES = """
    CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;
    CREATE SCHEMA {0};
    CREATE TABLE {0}.checkpoints (
        thread_id text, checkpoint_ns text DEFAULT '', checkpoint_id text,
        parent_checkpoint_id text, type text, checkpoint jsonb, metadata jsonb DEFAULT '{{}}',
        PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id));
    CREATE TABLE {0}.checkpoint_blobs (
        thread_id text, checkpoint_ns text DEFAULT '', channel text, version text, type text,
        blob bytea, PRIMARY KEY (thread_id, checkpoint_ns, channel, version));
    CREATE TABLE {0}.checkpoint_writes (
        thread_id text, checkpoint_ns text DEFAULT '', checkpoint_id text, task_id text,
        idx int, channel text, type text, blob bytea, task_path text DEFAULT '',
        PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));
    CREATE TABLE {0}.store (
        prefix text, key text, value jsonb, created_at timestamptz DEFAULT now(),
        updated_at timestamptz DEFAULT now(), PRIMARY KEY (prefix, key));
    CREATE TABLE {0}.store_vectors (
        prefix text, key text, field_name text, embedding public.vector(2),
        created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
        PRIMARY KEY (prefix, key, field_name),
        FOREIGN KEY (prefix, key) REFERENCES {0}.store (prefix, key));
    CREATE TABLE {0}.agent_sessions (session_id text PRIMARY KEY);"""
ADA = "ada@example.com"
STORED = [
    ("one", ADA), ("one", ADA), ("two", "eve"), ("shared", ADA), ("shared", "eve"),
    ("nobody", None),
]  # fmt: skip
FACTS = {
    "ada@example-com": {"colour": "teal"},
    "eve": {"memory": "Eve climbs."},
    "bob@b-c": {"a": 1},
}


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """Yield a Postgres with pgvector."""
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    postgres.start()
    yield postgres
    postgres.stop()


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    """Yield a connection to the memory of an agent that stored under keys of its own."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.execute(TABLES.format(SCHEMA))
        for number, (thread, user) in enumerate(STORED):
            row = (thread, str(number), "{}", json.dumps({"user_id": user} if user else {}))
            connection.execute(
                f"INSERT INTO {SCHEMA}.checkpoints (thread_id, checkpoint_id, checkpoint, metadata)"
                " VALUES (%s, %s, %s, %s)", row,
            )  # fmt: skip
        connection.execute(
            f"INSERT INTO {SCHEMA}.checkpoint_blobs VALUES ('one', '', 'messages', '1', 'b', 'x')"
        )
        for label, value in FACTS.items():
            at = (f"user_memories.{label}", "fact")
            connection.execute(
                f"INSERT INTO {SCHEMA}.store VALUES (%s, %s, %s)", (*at, json.dumps(value))
            )
            connection.execute(
                f"INSERT INTO {SCHEMA}.store_vectors VALUES (%s, %s, '$', '[1,2]')", at
            )
        connection.execute(f"INSERT INTO {SCHEMA}.agent_sessions VALUES ('session')")
        yield connection


@pytest.fixture
def agent(postgres: EmbeddedPostgres, tmp_path: Path) -> Path:
    """Return an adopted project whose memory is there."""
    files = {".lakebase-agent.yml": NOTE, ".env": f"DATABASE_URL={postgres.url()}\n"}
    return write_agent(tmp_path / "a", files, in_git=False)


def import_into(agent: Path, *flags: str) -> Done:
    """Run the command; it needs no template."""
    return run(agent, agent, "--import-memory", *flags)


def rows(database: psycopg.Connection, query: str) -> list[tuple[object, ...]]:
    return database.execute(f"SELECT {query}").fetchall()


@pytest.mark.usefixtures("workspace")
def test_the_lakebase_is_the_one_that_the_cli_would_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {".lakebase-agent.yml": NOTE, "databricks.yml": BUNDLE}
    folder = write_agent(tmp_path / "a", files, in_git=False)
    with pytest.raises(WorkspaceError):
        database_url(folder, "dev", Asker(interactive=False))
    monkeypatch.setenv("BUNDLE_VAR_lakebase_branch", BRANCH_PATH)
    assert "password=" in database_url(folder, "dev", Asker(interactive=False))


def test_a_thread_goes_to_the_one_user_that_it_names(
    database: psycopg.Connection, agent: Path
) -> None:
    import_into(agent)
    copied = "thread_id, count(*) FROM memory.checkpoints WHERE thread_id LIKE '%/%'"
    found = rows(database, f"{copied} GROUP BY 1 ORDER BY 1")
    assert found == [("ada%40example%2Ecom/one", 2), ("eve/two", 1)]
    [blobs] = rows(database, "count(*) FROM memory.checkpoint_blobs WHERE thread_id LIKE '%/one'")
    assert blobs == (1,)


def test_a_fact_goes_to_its_user_with_its_vector(database: psycopg.Connection, agent: Path) -> None:
    import_into(agent)
    found = rows(
        database, "prefix, value FROM memory.store WHERE prefix LIKE 'memories.%' ORDER BY 1"
    )
    assert found == [
        ("memories.ada%40example%2Ecom", {"memory": '{"colour": "teal"}'}),
        ("memories.eve", {"memory": "Eve climbs."}),
    ]
    assert rows(database, "count(*) FROM memory.store_vectors WHERE field_name = 'memory'") == [
        (2,)
    ]


def test_what_is_not_copied_is_told(database: psycopg.Connection, agent: Path) -> None:
    said = import_into(agent).stdout
    assert "copied: 2 threads, 2 facts" in said
    assert "not copied: 1 threads name several users" in said
    assert "not copied: 1 threads name no user" in said
    assert "not copied: 1 sessions name no user" in said
    assert "--user 'bob@b-c=...'" in said


def test_a_user_may_be_named_as_the_platform_names_them(
    database: psycopg.Connection, agent: Path
) -> None:
    import_into(agent, "--user", "bob@b-c=77@1", "--user", "eve=e")
    found = rows(database, "DISTINCT prefix FROM memory.store WHERE prefix LIKE 'memories.%'")
    assert {("memories.77%401",), ("memories.e",)} <= set(found)
    assert rows(database, "count(*) FROM memory.checkpoints WHERE thread_id = 'e/two'") == [(1,)]


def test_what_was_stored_stays_and_a_second_import_copies_nothing(
    database: psycopg.Connection, agent: Path
) -> None:
    before = rows(database, "count(*) FROM memory.checkpoints")
    import_into(agent)
    after = rows(database, "count(*) FROM memory.checkpoints")
    assert "copied: nothing" in import_into(agent).stdout
    assert rows(database, "count(*) FROM memory.checkpoints") == after
    assert (before, after) == ([(len(STORED),)], [(len(STORED) + 3,)])


def test_a_dry_run_copies_nothing(database: psycopg.Connection, agent: Path) -> None:
    assert "would copy: 2 threads, 2 facts" in import_into(agent, "--dry-run").stdout
    assert rows(database, "count(*) FROM memory.checkpoints") == [(len(STORED),)]


def test_without_tables_or_a_note_it_is_refused(
    database: psycopg.Connection, agent: Path, tmp_path: Path
) -> None:
    database.execute("DROP SCHEMA memory CASCADE")
    done = import_into(agent)
    assert (done.returncode, "start the agent once" in done.stderr) == (2, True)
    (tmp_path / "b").mkdir()
    done = import_into(tmp_path / "b")
    assert (done.returncode, "is not adopted yet" in done.stderr) == (2, True)
