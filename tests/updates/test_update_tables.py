"""A project of the last release, and of made-up ones, with what was said, updated and started."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.support.background_project import Reader, begin, read
from tests.support.places import MIGRATIONS
from tests.support.project import Project, Server, install
from tests.support.releases import MADE_UP, Published, commit, git, releases_of
from tests.support.rendering import FRAMEWORKS, MEMORIES, REPOSITORY, Combination

pytestmark = pytest.mark.generated
# The made-up ones lack a column that the current one adds to `chats`; the first records no version.
LAST = list(releases_of(REPOSITORY))[-1:]
FIRST, SECOND = zip(MADE_UP, FRAMEWORKS, strict=True)
RELEASES = [
    *(pytest.param(made_up, marks=pytest.mark.long) for made_up in (FIRST, SECOND)),
    *product(LAST, FRAMEWORKS),
]
ADA = {"X-Forwarded-User": "ada"}
LATER = "are of a later release"
EARLIER = "agent_server/migrations.py"  # where that module was up to v0.2.6


@pytest.fixture(params=RELEASES, ids="-".join)
def project(
    request: pytest.FixtureRequest, published: Published, environments: Path, tmp_path: Path
) -> Project:
    """Return an installed project of an earlier release, with everything."""
    release, framework = request.param
    everything = Combination(framework, MEMORIES, "local")
    folder = published.generate(tmp_path / "p", release, everything)
    return install(folder, environments / framework)


def update(published: Published, project: Project) -> None:
    """Bring the project to this release, between two commits."""
    commit(project.folder)
    done = published.update(project.folder, "--yes")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    commit(project.folder, "update")
    install(project.folder, project.environment)


def talk(server: Server) -> None:
    """Leave something in every table: chats, a thread, a memory, a background response."""
    say(server.until_ready(), "My name is Ada")
    server.ask("My name is Ada", "t")
    server.ask("Remember that I like teal")
    Reader(server, begin(server, "hello", "background")).wait()


def say(server: Server, message: str, chat: str | None = None) -> str:
    """Return the answer in a chat."""
    body = {"message": message, **({"chatId": chat} if chat else {})}
    answer = server.http.post("/api/chat", json=body, headers=ADA)
    assert answer.status_code == 200, answer.text
    return answer.text


def get(server: Server, path: str) -> Any:
    answer = server.until_ready().http.get(path, headers=ADA)
    assert answer.status_code == 200, answer.text
    return answer.json()


def rows(server: Server) -> dict[str, Any]:
    """Return what is kept about the user, but for the columns that updates have added."""
    tables = get(server, "/api/me/export")
    names = ("pinned", "answering", "answering_until", "files", "sources", "trace_id")
    added = dict.fromkeys(names)
    return {name: [{**row, **added} for row in tables[name]] for name in tables}


def rows_before(project: Project) -> dict[str, Any]:
    """Leave something in every table of an earlier release, and return its rows."""
    with Server(project) as server:
        talk(server)
        assert "pinned" not in get(server, "/api/chats")[0]
        return rows(server)


def check_remembered(server: Server) -> None:
    """Everything that was said can still be read, and gone on with."""
    [chat] = get(server, "/api/chats")
    roles = [m["role"] for m in get(server, f"/api/chats/{chat['id']}/messages")]
    assert roles[:2] == ["user", "assistant"]
    assert "Ada" in say(server, "What is my name?", chat["id"])
    assert "Ada" in server.ask("What is my name?", "t")
    assert "teal" in server.ask("What do you know about me?")
    responses = get(server, "/api/me/export")["responses"]
    [response] = [r for r in responses if r["thread_key"] == "ada/background"]
    assert read(server, response["id"])["status"] == "completed"


def test_users_data_survives_an_update_and_a_rollback(
    published: Published, project: Project
) -> None:
    recorded = any((project.folder / place).exists() for place in (MIGRATIONS, EARLIER))
    before = rows_before(project)
    update(published, project)
    with Server(project) as server:
        now = rows(server)
        assert {name: now[name] for name in before} == before
        assert not any(found for name, found in now.items() if name not in before)  # new tables
        assert get(server, "/api/chats")[0]["pinned"] is False
        check_remembered(server)
    git(project.folder, "checkout", "--quiet", "HEAD~1")
    with Server(install(project.folder, project.environment)) as server:
        check_remembered(server)
        assert (LATER in server.log) == recorded


@pytest.mark.long
@pytest.mark.parametrize("project", RELEASES[:1], indirect=True, ids="-".join)
def test_two_processes_that_start_at_once_migrate_the_tables_once(
    published: Published, project: Project
) -> None:
    with Server(project) as server:
        talk(server)
    update(published, project)
    with Server(project) as first, Server(project) as second:
        assert get(first, "/api/chats") == get(second, "/api/chats")
        check_remembered(first)
        assert "not ready" not in first.log + second.log
