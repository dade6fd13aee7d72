"""What row-level security would cost a turn: the same server without it, and with it in two ways.

`PYTHONPATH=template uv run python -m benchmarks.second_wall --framework openai`

Every table that has an owner gets a policy, forced upon the role that owns the tables. A connection
tells Postgres whose it is: when it is taken from the pool for another user than before
(`checkout`), or in a transaction around whatever is done with it (`transaction`). All servers run
at once, and take turns in short rounds, so that what else the machine does strikes each alike.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from time import monotonic
from urllib.parse import quote, urlsplit
from uuid import uuid4

import psutil
import psycopg
from psycopg import sql

from benchmarks.databricks.subjects import Running, Subject, open_talk
from benchmarks.projects import FRAMEWORKS, open_project, open_services
from tests.support.project import Project

MEMORY = ("short_term", "long_term", "background", "chat")
WAYS = ("none", "checkout", "transaction")
USERS = [
    f"user{number}" for number in range(4)
]  # one after another: each finds another's connection
ROLE = "app"
# Put before everything that the server imports.
OVERLAY = Path(__file__).with_name("second_wall_overlay.py")
OF_USER = "user_id = current_setting('agent.user', true)"
OF_THREAD = "starts_with({}, current_setting('agent.key', true) || '/')"
OF_CHAT = "EXISTS (SELECT FROM chats WHERE chats.id = chat_id)"
POLICIES = {
    "chats": OF_USER,
    "messages": OF_CHAT,
    "earlier_messages": OF_CHAT,
    "feedback": OF_USER,
    "responses": OF_USER,
    "response_events": "EXISTS (SELECT FROM responses WHERE responses.id = response_id)",
    "approvals": OF_USER,
    "turn_leases": OF_THREAD.format("thread_key"),
    "thread_summaries": OF_THREAD.format("thread_id"),
    "checkpoints": OF_THREAD.format("thread_id"),
    "checkpoint_blobs": OF_THREAD.format("thread_id"),
    "checkpoint_writes": OF_THREAD.format("thread_id"),
    "agent_sessions": OF_THREAD.format("session_id"),
    "agent_messages": OF_THREAD.format("session_id"),
    "store": "split_part(prefix, '.', 2) = current_setting('agent.key', true)",
    "store_vectors": "split_part(prefix, '.', 2) = current_setting('agent.key', true)",
}
POLICY = """
    CREATE POLICY own ON {table}
    USING (coalesce(current_setting('agent.user', true), '') = '' OR {condition});
    ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"""
# Long messages, as of somebody who pastes documents.
FILL = """
    WITH chat AS (
        INSERT INTO chats (user_id, title) SELECT 'reader', 'chat ' || n
        FROM generate_series(1, 20) AS n RETURNING id)
    INSERT INTO messages (chat_id, role, content)
    SELECT id, 'user', (
        SELECT string_agg('word' || (n * w) % 3000, ' ') FROM generate_series(1, 10000) AS w)
    FROM chat, generate_series(1, 5) AS n"""
SEARCH_PATH = sql.SQL("SET search_path TO {}, public")
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = %s"


def main() -> None:
    """Measure, and print a table."""
    options = _options()
    with ExitStack() as stack:
        project = stack.enter_context(open_project(options.framework, memory=MEMORY))
        variables = stack.enter_context(open_services(project))
        variables["DATABASE_URL"] = _own_database(variables["DATABASE_URL"])
        backends = _postgres(project)
        running = {way: stack.enter_context(_serve(project, way, variables)) for way in WAYS}
        rounds = [
            {way: _round(server, backends, options.turns) for way, server in _in_turn(running, n)}
            for n in range(options.rounds)
        ]
        _show(options.framework, rounds[1:])
        for way, server in running.items():
            seconds = _search(server, variables["DATABASE_URL"], f"bench_{way}")
            print(f"a search in 100 messages of 90 kB, {way}: {seconds:.2f} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", choices=FRAMEWORKS, default="langgraph")
    parser.add_argument("--rounds", type=int, default=41, help="the first is not counted")
    parser.add_argument("--turns", type=int, default=24, help="of a round; default: %(default)s")
    return parser.parse_args()


def _own_database(url: str) -> str:
    """Return the URL of a database whose owner is no superuser: these pass every policy."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE}'")
        connection.execute(f"CREATE DATABASE {ROLE} OWNER {ROLE}")
    place = urlsplit(url)
    admin = place._replace(path=f"/{ROLE}").geturl()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
    return f"postgresql://{ROLE}:{quote(ROLE)}@{place.hostname}:{place.port}/{ROLE}"


def _postgres(project: Project) -> psutil.Process:
    lock = next((project.folder / ".local").rglob("postmaster.pid"))
    return psutil.Process(int(lock.read_text().splitlines()[0]))


@contextmanager
def _serve(project: Project, way: str, variables: dict[str, str]) -> Iterator[Running]:
    """Yield a server on tables of its own, walled in that way."""
    folder = project.folder / f"overlay_{way}"
    folder.mkdir()
    if way != "none":
        (folder / "sitecustomize.py").write_text(OVERLAY.read_text())
    more = {**variables, "PYTHONPATH": str(folder), "SECOND_WALL": way}
    with Subject(way, project).serve(more) as running:
        if way != "none":
            _wall(variables["DATABASE_URL"], f"bench_{way}")
        yield running


def _wall(url: str, schema: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SEARCH_PATH.format(sql.Identifier(schema)))
        for (table,) in connection.execute(TABLES, [schema]).fetchall():
            if condition := POLICIES.get(table):
                statement = POLICY.format(table=table, condition=condition)
                connection.execute(statement.encode())


def _search(running: Running, url: str, schema: str) -> float:
    """Return the seconds of a search in long messages."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SEARCH_PATH.format(sql.Identifier(schema)))
        connection.execute(FILL)
        connection.execute("ANALYZE chats, messages")
    with open_talk(running, "reader") as talk:
        begun = monotonic()
        talk.http.get("/api/chats", params={"search": "word7"})
        return monotonic() - begun


def _in_turn(running: dict[str, Running], number: int) -> list[tuple[str, Running]]:
    """Return the servers, each round in another order."""
    servers = list(running.items())
    first = number % len(servers)
    return servers[first:] + servers[:first]


def _round(running: Running, backends: psutil.Process, turns: int) -> dict[str, float]:
    """Return what a turn of some users costs: each goes on in a thread of their own."""
    thread, spent = uuid4().hex, {}
    with ExitStack() as stack:
        talks = [stack.enter_context(open_talk(running, user)) for user in USERS]
        for talk in talks:
            talk.turns(thread, 0, 1)
        before = _clock(running, backends)
        for number in range(turns // len(talks)):
            for talk in talks:
                talk.turns(thread, 1 + number, 1)
        after = _clock(running, backends)
    for name, value in after.items():
        spent[name] = (value - before[name]) / (turns // len(talks) * len(talks))
    return spent


def _clock(running: Running, postgres: psutil.Process) -> dict[str, float]:
    times = [process.cpu_times() for process in (postgres, *postgres.children())]
    database = 1000 * sum(spent.user + spent.system for spent in times)
    return {
        "CPU of the server": (server := running.cpu()),
        "CPU with Postgres": server + database,
        "time": 1000 * monotonic(),
    }


def _show(framework: str, rounds: list[dict[str, dict[str, float]]]) -> None:
    print(f"\n{FRAMEWORKS[framework]}, {len(rounds)} rounds: a turn in ms, and more than without")
    for name in rounds[0]["none"]:
        base = median(each["none"][name] for each in rounds)
        row = f"{name:<20}{base:8.2f}"
        for way in WAYS[1:]:
            more = sorted(each[way][name] - each["none"][name] for each in rounds)
            quarter = len(more) // 4
            row += f"   {way} {median(more):+.2f} ({median(more) / base:+.1%})"
            row += f" [{more[quarter]:+.2f}, {more[-1 - quarter]:+.2f}]"
        print(row)


if __name__ == "__main__":
    main()
