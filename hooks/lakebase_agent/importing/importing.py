"""`lakebase-agent adopt --import-memory`: find the database, copy, and say what was not copied."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from lakebase_agent.errors import UsageError, WorkspaceError
from lakebase_agent.importing.copying import Copied, Copying
from lakebase_agent.lakebase_variables import written
from lakebase_agent.project.answers import ADOPTED, read_adopted
from lakebase_agent.project.bundle import read_bundle
from lakebase_agent.project.env_file import read_env
from lakebase_agent.targets.target import open_target
from lakebase_agent.terminal import Asker, Say

SECONDS = 20
MISSING = "there are no tables of the memory in schema {schema}: start the agent once, then import"


@dataclass(frozen=True)
class ImportOptions:
    """Which target's Lakebase, which schemas, and who is meant by an id, as `OLD=NEW`."""

    target: str = "dev"
    schema: str = ""
    from_schema: str = ""
    users: Sequence[str] = ()
    dry_run: bool = False


def import_memory(folder: Path, options: ImportOptions, asker: Asker, say: Say) -> None:
    """Copy threads and facts that say whose they are to the keys of their owners.

    All of it, or nothing. Raises UsageError and WorkspaceError.
    """
    note = read_adopted(folder)
    if not note:
        raise UsageError(
            f"{folder} is not adopted yet: it has no {ADOPTED}. Run: lakebase-agent adopt"
        )
    schema = options.schema or str(note["memory_schema"])
    given = dict(_pair(text) for text in options.users)
    try:
        with psycopg.connect(database_url(folder, options.target, asker)) as connection:
            _check_tables(connection, schema)
            copying = Copying(connection, options.from_schema or schema, schema, given)
            copied = copying.run()
            if options.dry_run:
                connection.rollback()
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise WorkspaceError(f"the database refused, and nothing was copied: {reason}") from error
    for line in told(copied, options.dry_run):
        say(line)


def _pair(text: str) -> tuple[str, str]:
    old, separator, new = text.partition("=")
    if not (separator and old and new):
        raise UsageError(f"--user takes OLD=NEW, not {text!r}")
    return old, new


def _check_tables(connection: psycopg.Connection, schema: str) -> None:
    tables = ("checkpoints", "store", "agent_sessions")
    names = [f'"{schema}".{table}' for table in tables]
    found = connection.execute("SELECT to_regclass(name) FROM unnest(%s::text[]) name", (names,))
    if not any(row[0] for row in found):
        raise UsageError(MISSING.format(schema=schema))


def told(copied: Copied, dry_run: bool) -> Iterator[str]:
    """Yield what was copied and what was not, line by line."""
    counts = ", ".join(f"{count} {kind}" for kind, count in copied.counts.items()) or "nothing"
    yield f"{'would copy' if dry_run else 'copied'}: {counts}"
    if copied.users:
        yield f"for the users {', '.join(sorted(copied.users))}"
        yield "as the platform's X-Forwarded-User names them; for another name: --user OLD=NEW"
    for what, count in copied.left.items():
        if count:
            yield f"not copied: {count} {what}"
    for label in copied.unclear:
        yield f"who is {label}? Its hyphens may have been periods: --user '{label}=...'"


def database_url(folder: Path, target: str, asker: Asker) -> str:
    """Return how to reach the memory: DATABASE_URL, or the Lakebase of a target.

    Raises WorkspaceError.
    """
    if url := {**read_env(folder), **os.environ}.get("DATABASE_URL"):
        return url
    # Imports the Databricks SDK, which takes seconds.
    from lakebase_agent.workspace.client import POSTGRES_DATABASE, Workspace
    from lakebase_agent.workspace.signing_in import connect, pick_profile

    note = read_adopted(folder)
    workspace = Workspace(connect(pick_profile(folder, target, "", note, asker)))
    bundle = read_bundle(folder)
    values = {**written(bundle), **open_target(folder, target, bundle).variables}
    if note["lakebase"] == "provisioned":
        name = values.get("lakebase_instance", "")
        (_, host), token = workspace.instance_state(name), workspace.instance_token(name)
    else:
        endpoint = workspace.branch_at(values.get("lakebase_branch", "")).endpoint
        (_, host), token = workspace.endpoint_state(endpoint), workspace.endpoint_token(endpoint)
    return psycopg.conninfo.make_conninfo(
        host=host, user=workspace.me(), password=token, dbname=POSTGRES_DATABASE,
        sslmode="require", connect_timeout=SECONDS,
    )  # fmt: skip
