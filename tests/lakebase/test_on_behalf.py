"""An agent acts as the user who asks, in a stand-in workspace that answers with who called."""

import json
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.conftest import Renders
from tests.standins.workspace import APP, APP_PRINCIPAL, Workspace, open_workspace
from tests.standins.workspace.data_api import WAREHOUSE
from tests.support.on_lakebase import ENDPOINT
from tests.support.project import Project, Server, install, text_of
from tests.support.rendering import FRAMEWORKS, MEMORIES, Combination, render

pytestmark = [
    pytest.mark.generated,
    pytest.mark.skipif(sys.platform != "linux", reason="needs addresses of the loopback"),
]
TOOLS = '''

@{decorator}
async def whoami(seconds: float = 0) -> str:
    """Say as whom the agent acts, after some seconds."""
    import asyncio
    from agent_server.on_behalf import as_user

    await asyncio.sleep(seconds)
    select = {{"statement": "SELECT current_user()", "warehouse_id": "{warehouse}"}}
    answer = await as_user(lambda w: w.statement_execution.execute_statement(**select))
    return f"You are {{answer.result.data_array[0][0]}}."


{readme}

{list}
MCP_SERVERS += [
    Mcp("mine", "/api/2.0/mcp/genie/SPACE", as_user=True),
    Mcp("shared", "/api/2.0/mcp/functions/main/tools"),
]
'''
# Says as whom the model is asked after a turn.
PROBE = """
        from agent_server.on_behalf import OnBehalfError, as_user

        try:
            who = await as_user(lambda w: w.current_user.me().user_name)
        except OnBehalfError as error:
            who = f"nobody: {error}"
        print(f"After a turn, {prompt[:8]!r} as {who}", flush=True)
"""
AFTER_A_TURN = {"You keep", "Give a c", "Summaris"}  # how it is asked
DECORATORS = {
    "langgraph": "tool",
    "openai": "function_tool(failure_error_function=tell_model)",
}
STATEMENTS, ASK = "/api/2.0/sql/statements", "/call whoami"
LATE = '/call whoami {"seconds": 4}'
SHARING = "analysts, data.engineers"  # the groups that share memories
GONE = "I can't act as you any more; please ask again."


# For what no framework has a part in.
once = pytest.mark.parametrize("project", ["langgraph"], indirect=True)


def examples(folder: Path) -> str:
    """Return what the README's examples of tools say, word for word."""
    blocks = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    return "\n".join(b for b in blocks if "as_user" in b)


@pytest.fixture(scope="module", params=FRAMEWORKS)
def project(
    request: pytest.FixtureRequest, renders: Renders, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """Return an installed project with a tool that acts as the user."""
    folder = tmp_path_factory.mktemp("behalf") / "my-agent"
    render(renders.template, Combination(request.param, MEMORIES, "autoscaling"), folder)
    tools = folder / "agent_server" / "tools.py"
    code = tools.read_text()
    added = "TOOLS += [whoami, count_orders]"
    if request.param == "langgraph":
        code = code.replace("[get_current_time]", "[get_current_time, whoami, count_orders]")
        added = ""
    more = {"list": added, "warehouse": WAREHOUSE, "readme": examples(folder)}
    tools.write_text(code + TOOLS.format(decorator=DECORATORS[request.param], **more))
    asking = folder / "agent_server" / "after_turns" / "asking.py"
    first = "        if self._client is None:"
    asking.write_text(asking.read_text().replace(first, PROBE + first))
    return install(folder, tmp_path_factory.mktemp("environment"))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Yield a workspace with a database."""
    with open_workspace(tmp_path_factory.mktemp("workspace")) as workspace:
        yield workspace


def deployed(project: Project, workspace: Workspace, **more: str) -> Server:
    """Start a server as Databricks Apps does, as the app's service principal."""
    name, secret = workspace.identities.add_service_principal(APP_PRINCIPAL)
    signed_in = {"DATABRICKS_CLIENT_ID": name, "DATABRICKS_CLIENT_SECRET": secret}
    place = {"DATABRICKS_HOST": workspace.url, "DATABRICKS_APP_NAME": APP}
    more = {"LAKEBASE_AGENT_MEMORY_SCHEMA": "of_the_app", **more}
    return Server(project, **signed_in, **place, **ENDPOINT, **more)


@pytest.fixture(scope="module")
def server(project: Project, workspace: Workspace) -> Iterator[Server]:
    """Yield a running app."""
    with deployed(project, workspace, LOG_LEVEL="DEBUG", SHARED_MEMORY_GROUPS=SHARING) as server:
        yield server.until_ready()


class User:
    """A person with a token of their own, or with none."""

    def __init__(self, workspace: Workspace, *groups: str, authorized: bool = True) -> None:
        self.name = f"{uuid4().hex}@example.com"
        self.token = workspace.identities.add_user(self.name)
        workspace.identities.groups[self.name] = [*groups]
        sent = {"X-Forwarded-Access-Token": self.token} if authorized else {}
        self.headers = {"X-Forwarded-User": self.name, **sent}

    def post(self, server: Server, path: str, body: dict[str, object]) -> httpx.Response:
        """Send a request."""
        return server.http.post(path, json=body, headers=self.headers)

    def ask(self, server: Server, question: str = ASK) -> str:
        """Return the answer to a foreground turn."""
        answer = self.post(server, "/responses", {"input": question})
        assert answer.status_code == 200, answer.text
        return text_of(answer.json())

    def save(self, server: Server, memory: str, **more: str) -> str:
        """Let the model save a memory for a group, under its text's own name."""
        arguments = json.dumps({"memory_key": memory, "memory": memory, **more})
        return self.ask(server, f"/call save_group_memory {arguments}")

    def recall(self, server: Server, query: str) -> str:
        """Let the model search what the user's groups share."""
        return self.ask(server, f"/call get_group_memory {json.dumps({'query': query})}")

    def stream(self, server: Server) -> str:
        """Return the whole text of a stream."""
        return self.post(server, "/responses", {"input": ASK, "stream": True}).text

    def chat(self, server: Server) -> str:
        """Return the answer in a chat."""
        return self.post(server, "/api/chat", {"message": ASK}).text

    def begin(self, server: Server, question: str = ASK) -> str:
        """Return the id of a background response."""
        answer = self.post(server, "/responses", {"input": question, "background": True})
        return str(answer.json()["id"])

    def read(self, server: Server, response_id: str) -> str:
        """Return the text of a background response, once it has ended."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = server.http.get(f"/responses/{response_id}", headers=self.headers).json()
            if found["status"] == "completed":
                return text_of(found)
            time.sleep(0.2)
        raise TimeoutError(found)

    def in_background(self, server: Server) -> str:
        """Return the answer of a background response."""
        return self.read(server, self.begin(server))


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


WAYS: list[Callable[[User, Server], str]] = [User.ask, User.stream, User.chat, User.in_background]


@contextmanager
def callers(workspace: Workspace) -> Iterator[set[str]]:
    """Yield a set that gets the names of who called the API in the body."""
    before, found = len(workspace.gate.callers), set[str]()
    yield found
    found.update(
        name for name, path in workspace.gate.callers[before:] if path.startswith(STATEMENTS)
    )


def test_nobody_is_answered_as_another(server: Server, workspace: Workspace) -> None:
    users = User(workspace), User(workspace)
    turns = [(user, way) for user in users for way in WAYS for _ in range(25)]
    random.Random(7).shuffle(turns)
    with ThreadPoolExecutor(8) as pool, callers(workspace) as called:
        answers = list(pool.map(lambda turn: turn[1](turn[0], server), turns))
    names = {user.name for user in users}
    for (user, way), said in zip(turns, answers, strict=True):
        assert {name for name in names if name in said} == {user.name}, (way, said)
    assert called == names


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_without_a_token_the_model_is_told_and_nobody_is_asked(
    server: Server, workspace: Workspace, way: Callable[[User, Server], str]
) -> None:
    with callers(workspace) as called:
        said = way(User(workspace, authorized=False), server)
    assert "I can't act as you: the request carried no authorization" in said
    assert called == set()


def test_a_server_of_the_workspace_is_asked_as_the_user(
    server: Server, workspace: Workspace
) -> None:
    for user in (User(workspace), User(workspace)):
        assert f"SPACE was asked by {user.name}." in user.ask(server, "/call mine_ask_genie")


def test_the_tools_of_one_user_are_not_anothers(server: Server, workspace: Workspace) -> None:
    ada, eve = User(workspace), User(workspace)
    call = f"/call only_{ada.name.partition('@')[0]}"
    assert f"was asked by {ada.name}." in ada.ask(server, call)
    assert "was asked by" not in eve.ask(server, call)


def test_a_server_of_the_workspace_is_asked_as_the_app(
    server: Server, workspace: Workspace
) -> None:
    said = User(workspace).ask(server, "/call shared_ask_functions")
    assert f"main/tools was asked by {APP_PRINCIPAL}." in said


@once
def test_a_server_is_asked_with_the_apps_token_of_the_moment(
    project: Project, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace.identities, "sign_in_seconds", 1)
    with deployed(project, workspace) as server:
        user, call = User(workspace), "/call shared_ask_functions"
        assert APP_PRINCIPAL in user.ask(server.until_ready(), call)
        time.sleep(1.5)
        assert APP_PRINCIPAL in user.ask(server, call)


# Each server of the README's example, and where it is.
PLACES = {
    "genie": "SPACE_ID",
    "sql": "",
    "functions": "CATALOG/SCHEMA",
    "vector-search": "CATALOG/SCHEMA/INDEX",
}
AS_USER = ("ask_genie", "ask_sql", "ask_functions", "ask_vector-search")
AS_APP = (
    "all_sales_ask_genie", "all_sql_ask_sql", "all_functions_ask_functions",
    "all_docs_ask_vector-search",
)  # fmt: skip


@pytest.mark.parametrize(("tools", "as_app"), [(AS_USER, False), (AS_APP, True)])
def test_the_examples_of_the_readme_answer_as_they_say(
    server: Server, workspace: Workspace, tools: tuple[str, ...], as_app: bool
) -> None:
    user = User(workspace)
    who = APP_PRINCIPAL if as_app else user.name
    for tool, place in zip(tools, PLACES.values(), strict=True):
        assert f"{place} was asked by {who}." in user.ask(server, f"/call {tool}"), tool


def test_the_statement_of_the_readme_runs_as_the_user(server: Server, workspace: Workspace) -> None:
    user = User(workspace)
    assert user.name in user.ask(server, "/call count_orders")


def test_without_a_token_a_server_says_why_it_is_not_asked(
    server: Server, workspace: Workspace
) -> None:
    nobody = User(workspace, authorized=False)
    assert "There is no tool mine_ask_genie" in nobody.ask(server, "/call mine_ask_genie")
    assert "I can't act as you" in nobody.ask(server, "/call mine")


def test_a_tool_of_the_user_is_never_the_apps_of_the_same_name(
    server: Server, workspace: Workspace
) -> None:
    user, nobody = User(workspace), User(workspace, authorized=False)
    for _ in range(2):
        assert f"was asked by {user.name}." in user.ask(server, "/call ask_genie")
        assert "There is no tool ask_genie" in nobody.ask(server, "/call ask_genie")
        assert f"was asked by {APP_PRINCIPAL}." in nobody.ask(server, "/call all_sales_ask_genie")


def test_an_expired_token_is_told_to_the_model(server: Server, workspace: Workspace) -> None:
    user = User(workspace)
    workspace.identities.revoke(user.token)
    with callers(workspace) as called:
        assert GONE in user.ask(server)
    assert called == set()


def test_a_token_that_expires_while_a_turn_runs_is_told(
    server: Server, workspace: Workspace
) -> None:
    user = User(workspace)
    started = user.begin(server, LATE)
    time.sleep(1)
    workspace.identities.revoke(user.token)
    assert GONE in user.read(server, started)


def test_what_the_user_may_not_do_is_told_to_the_model(
    server: Server, workspace: Workspace
) -> None:
    workspace.faults.forbidden(STATEMENTS)
    try:
        assert "You may not do this (PERMISSION_DENIED)" in User(workspace).ask(server)
    finally:
        workspace.faults.clear()


@once
def test_two_tokens_are_refused(server: Server, workspace: Workspace) -> None:
    user, other = User(workspace), User(workspace)
    headers = [*user.headers.items(), ("X-Forwarded-Access-Token", other.token)]
    answer = server.http.post("/responses", json={"input": ASK}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "ambiguous_identity")


def assert_taken_over_by_nobody(
    project: Project, workspace: Workspace, how: signal.Signals
) -> None:
    user = User(workspace)
    with deployed(project, workspace) as server:
        started = user.begin(server.until_ready(), LATE)
        time.sleep(2)
        server.stop(how)
    with callers(workspace) as called, deployed(project, workspace) as server:
        assert GONE in user.read(server.until_ready(), started)
    assert called == set()


def test_a_run_of_a_dead_process_acts_as_nobody(project: Project, workspace: Workspace) -> None:
    assert_taken_over_by_nobody(project, workspace, signal.SIGKILL)


@once
def test_a_run_that_is_handed_over_acts_as_nobody(project: Project, workspace: Workspace) -> None:
    assert_taken_over_by_nobody(project, workspace, signal.SIGTERM)


def test_no_token_is_kept_anywhere(server: Server, workspace: Workspace) -> None:
    user = User(workspace)
    said = [way(user, server) for way in WAYS]
    export = server.http.get("/api/me/export", headers=user.headers).text
    assert user.name in "".join(said) and ASK in export
    kept = [export, server.log, json.dumps(workspace.mlflow.traces, default=str), *said]
    assert not [text for text in [*kept, *rows(workspace)] if user.token in text]


def rows(workspace: Workspace) -> Iterator[str]:
    """Yield every row of every table of the app, as text."""
    with workspace.database.admin() as connection:
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'of_the_app'"
        for (table,) in connection.execute(tables).fetchall():
            for (row,) in connection.execute(f"SELECT t::text FROM of_the_app.{table} t"):
                yield row


def test_what_one_of_a_group_saves_the_others_find(server: Server, workspace: Workspace) -> None:
    user, other = User(workspace, "analysts"), User(workspace, "all", "analysts")
    assert "for analysts" in user.save(server, "We release on Mondays")
    found = other.recall(server, "When do we release?")
    assert "We release on Mondays" in found and user.name in found


def test_who_is_not_in_the_group_reads_and_writes_nothing(
    server: Server, workspace: Workspace
) -> None:
    member, stranger = User(workspace, "analysts"), User(workspace, "data.engineers")
    member.save(server, "The key is under the mat")
    assert "under the mat" not in stranger.recall(server, "The key is under the mat")
    refused = stranger.save(server, "The key is in the pot", group="analysts")
    assert "Name a group of the user that shares memories: data.engineers." in refused
    assert "in the pot" not in member.recall(server, "The key is in the pot")


@pytest.mark.parametrize("groups", [(), ("sales",), ("Analysts",), ("group:analysts",)])
def test_a_group_that_the_owner_does_not_name_shares_nothing(
    server: Server, workspace: Workspace, groups: tuple[str, ...]
) -> None:
    user = User(workspace, *groups)
    for said in (user.save(server, "Lunch is at noon"), user.recall(server, "Lunch")):
        assert "The user is in no group that shares memories." in said


def test_without_a_token_there_is_no_shared_memory(server: Server, workspace: Workspace) -> None:
    User(workspace, "analysts").save(server, "Lunch is late")
    nobody = User(workspace, "analysts", authorized=False)
    for said in (nobody.save(server, "Lunch is early"), nobody.recall(server, "Lunch is late")):
        assert "I can't act as you" in said and "Lunch is late" not in said
    assert "early" not in User(workspace, "analysts").recall(server, "Lunch is early")


def test_who_leaves_a_group_leaves_its_memory(server: Server, workspace: Workspace) -> None:
    user = User(workspace, "analysts")
    user.save(server, "The vault opens at nine")
    workspace.identities.groups[user.name].clear()
    assert "at nine" not in user.recall(server, "The vault opens at nine")


def test_any_of_a_group_may_correct_its_memory(server: Server, workspace: Workspace) -> None:
    user, other = User(workspace, "analysts"), User(workspace, "analysts")
    user.save(server, "The door is red")
    key = json.dumps({"memory_key": "The door is red", "group": "analysts"})
    assert "Forgot" in other.ask(server, f"/call delete_group_memory {key}")
    assert 'The door is red"' not in user.recall(server, "The door is red")


def test_a_group_keeps_what_is_shared_when_a_user_is_forgotten(
    server: Server, workspace: Workspace
) -> None:
    user, other = User(workspace, "analysts"), User(workspace, "analysts")
    user.save(server, "Ships sail at dawn")
    export = server.http.get("/api/me/export", headers=user.headers).json()
    assert "Ships sail at dawn" in str(export["store"])
    assert server.http.delete("/api/me", headers=user.headers).status_code == 204
    found = other.recall(server, "Ships sail at dawn")
    assert "Ships sail at dawn" in found and user.name not in found


def test_what_others_share_is_not_exported(server: Server, workspace: Workspace) -> None:
    User(workspace, "analysts").save(server, "The sun sets late")
    other = User(workspace, "analysts")
    assert "sun sets" in other.recall(server, "The sun sets late")
    assert not server.http.get("/api/me/export", headers=other.headers).json()["store"]


def test_a_workspace_that_names_no_groups_costs_no_turn(
    server: Server, workspace: Workspace
) -> None:
    user = User(workspace, "analysts")
    workspace.faults.broken("/api/2.0/preview/scim/v2/Me")
    try:
        assert "does not say now which groups" in user.recall(server, "Lunch")
    finally:
        workspace.faults.clear()


def test_what_is_done_after_a_turn_acts_as_nobody(project: Project, workspace: Workspace) -> None:
    on = dict.fromkeys(("REMEMBER_AFTER_TURN", "CHAT_TITLES", "CONTEXT_SUMMARY"), "true")
    user, chat = User(workspace), dict[str, object]()
    with deployed(project, workspace, CONTEXT_TOKENS="300", **on) as server:
        for _ in range(6):
            said = user.post(server.until_ready(), "/api/chat", {"message": "/repeat 60", **chat})
            chat = {"chatId": said.headers["x-chat-id"]}
        until(lambda: {asked for asked, _ in acted(server)} == AFTER_A_TURN)
    assert {who for _, who in acted(server)} == {f"nobody: {GONE}"}


def acted(server: Server) -> list[tuple[str, str]]:
    """Return what the model was asked after turns, and as whom."""
    return re.findall("After a turn, '(.*)' as (.*)", server.log)


@once
def test_a_developer_acts_as_themselves(project: Project, workspace: Workspace) -> None:
    variables = workspace.variables(LAKEBASE_AGENT_MEMORY_SCHEMA="developers", **ENDPOINT)
    with Server(project, **variables) as server:
        assert "You are ada@example.com." in server.until_ready().ask(ASK)


@once
def test_offline_there_is_nobody_to_act_as(project: Project) -> None:
    with Server(project, SHARED_MEMORY_GROUPS=SHARING) as server:
        assert "there is no workspace here" in server.until_ready().ask(ASK)
        for tool in ("save_group_memory", "get_group_memory"):
            call = '{"memory_key": "lunch", "memory": "At noon", "query": "lunch"}'
            assert "there is no workspace here" in server.ask(f"/call {tool} {call}")
