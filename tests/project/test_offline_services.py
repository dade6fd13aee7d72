"""The offline services of a generated project, through what happens to processes."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.support.project import Project, install
from tests.support.rendering import Combination, render

pytestmark = pytest.mark.generated
NewProject = Callable[[str], Project]
SUPERVISOR, POSTGRES = "local.supervisor", "postgres"
# What Postgres logs when it was not stopped in order.
RECOVERY = "automatic recovery in progress"
# The user that Postgres runs as when root starts it.
UNPRIVILEGED = 65534 if os.geteuid() == 0 else None
HOLD = """
import json, sys
from local.services import open_services
with open_services(postgres="postgres" in sys.argv, model="model" in sys.argv) as variables:
    print(json.dumps(variables), flush=True)
    sys.stdin.read()
"""


class User:
    """A process that holds the services of a project open."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._variables: dict[str, str] = {}

    @property
    def url(self) -> str:
        """The URL of its Postgres, once that runs."""
        return self.until_served()["DATABASE_URL"]

    def until_served(self) -> dict[str, str]:
        """Return what the services answered; fail when there are none."""
        assert self.process.stdout
        if not self._variables:
            self._variables = json.loads(self.process.stdout.readline() or "{}")
        assert self._variables, "the services did not start"
        return self._variables

    def leave(self) -> None:
        """End as a program does that has nothing left to do."""
        assert self.process.stdin
        self.process.stdin.close()
        assert self.process.wait(20) == 0

    def kill(self) -> None:
        """End without a word."""
        self.process.kill()
        self.process.wait(20)


@pytest.fixture(scope="module")
def installed(
    template: Path, environments: Path, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """Return a project whose packages every test uses, and whose files every test copies."""
    combination = Combination("langgraph", ("short_term", "long_term"), "local")
    folder = render(template, combination, tmp_path_factory.mktemp("installed") / "project")
    return install(folder, environments / "langgraph")


@pytest.fixture
def new_project(installed: Project, tmp_path: Path) -> Iterator[NewProject]:
    """Yield what makes a project, by its name; whatever a test leaves running ends with it."""
    made: list[Project] = []

    def make(name: str) -> Project:
        folder = shutil.copytree(installed.folder, tmp_path / name)
        made.append(Project(folder, installed.environment))
        return made[-1]

    yield make
    for project in made:
        _kill(project)
        shutil.rmtree(project.folder / ".local" / "postgres", ignore_errors=True)


@pytest.fixture
def project(new_project: NewProject) -> Project:
    """Return a project whose services never ran."""
    return new_project("project")


@pytest.mark.parametrize("end", [User.leave, User.kill], ids=["leaves", "is killed"])
def test_the_services_end_soon_after_their_last_user(
    project: Project, end: Callable[[User], None]
) -> None:
    with _use(project) as user:
        user.until_served()
        assert _count(project, SUPERVISOR) == _count(project, POSTGRES) == 1
        end(user)
        _until(lambda: not _processes(project), seconds=10)


def test_the_services_stay_while_there_is_another_user(project: Project) -> None:
    with _use(project) as first, _use(project) as second:
        assert first.url == second.url
        running = _processes(project)
        first.kill()
        _always(lambda: _processes(project) == running, seconds=2)


def test_a_supervisor_that_is_asked_to_stop_stops_postgres_even_in_use(
    project: Project,
) -> None:
    with _use(project) as user:
        user.until_served()
        _one(project, SUPERVISOR).terminate()
        _until(lambda: not _processes(project), seconds=10)
    assert "database system is shut down" in _server_log(project)


def test_data_survives_a_stop(project: Project) -> None:
    with _use(project) as user:
        _execute(user.url, "CREATE TABLE word AS SELECT 'teal' AS text")
    _until(lambda: not _processes(project))
    with _use(project) as user:
        assert _execute(user.url, "SELECT text FROM word") == [("teal",)]
    assert RECOVERY not in _server_log(project)


def test_data_survives_a_kill_of_postgres_and_its_supervisor(project: Project) -> None:
    with _use(project) as user:
        _execute(user.url, "CREATE TABLE word AS SELECT 'teal' AS text")
        _kill(project)
    with _use(project) as user:
        assert _execute(user.url, "SELECT text FROM word") == [("teal",)]
    assert RECOVERY in _server_log(project)


def test_the_next_supervisor_takes_over_the_postgres_of_a_killed_one(project: Project) -> None:
    with _use(project) as user:
        url = user.url
        _one(project, SUPERVISOR).kill()
    postgres = _one(project, POSTGRES)
    with _use(project) as user:
        assert user.url == url
        assert _one(project, POSTGRES) == postgres
    _until(lambda: not _processes(project))


@pytest.mark.parametrize("wanted", ["postgres", "model"])
def test_a_process_with_a_recycled_pid_is_ignored_and_left_alone(
    project: Project, wanted: str
) -> None:
    with _use(project) as user:
        user.until_served()
        _kill(project)
    with _foreign_process() as foreign:
        _write_pid(project, foreign.pid)
        with _use(project, wanted) as user:
            user.until_served()
        _until(lambda: not _processes(project))
        assert foreign.poll() is None
    assert "Traceback" not in (project.folder / ".local" / "services.log").read_text()


def test_a_postgres_that_is_still_stopping_is_waited_for(project: Project) -> None:
    with _use(project) as user, psycopg.connect(user.url) as connection:
        _one(project, SUPERVISOR).kill()
        # Asked like this, it lets the open connection finish, and accepts no other.
        _one(project, POSTGRES).terminate()
        with _use(project) as successor:
            _until(lambda: "the database system is shutting down" in _server_log(project))
            connection.close()
            assert _execute(successor.url, "SELECT 1") == [(1,)]


def test_each_project_has_a_postgres_of_its_own(new_project: NewProject) -> None:
    with _use(new_project("one")) as one, _use(new_project("other")) as other:
        _execute(one.url, "CREATE TABLE secret AS SELECT 1 AS number")
        with pytest.raises(psycopg.errors.UndefinedTable):
            _execute(other.url, "SELECT number FROM secret")
        assert _execute(one.url, "SELECT number FROM secret") == [(1,)]


def test_a_path_can_have_spaces_quotes_and_letters_beyond_ascii(new_project: NewProject) -> None:
    project = new_project("Zoë's 1st “agent” 東京")
    with _use(project) as user:
        assert _execute(user.url, "SELECT 1") == [(1,)]
    _until(lambda: not _processes(project))


def test_the_permissions_of_other_folders_do_not_change(new_project: NewProject) -> None:
    project = new_project("closed/project")
    folders = [project.folder, *project.folder.parents]
    project.folder.parent.chmod(0o700)
    project.folder.chmod(0o700)
    before = [_permissions(folder) for folder in folders]
    with _use(project) as user:
        user.until_served()
        assert [_permissions(folder) for folder in folders] == before
    _until(lambda: not _processes(project))
    assert [_permissions(folder) for folder in folders] == before


def test_only_the_owner_can_read_the_secrets(project: Project) -> None:
    with _use(project) as user:
        user.until_served()
        secrets = [
            project.folder / ".local" / name for name in ("postgres/password", "services.json")
        ]
        assert [path.stat().st_mode & 0o777 for path in secrets] == [0o600, 0o600]


def test_a_wrong_token_gets_no_url(project: Project) -> None:
    with _use(project) as user:
        user.until_served()
        for token in ("x", "", None, "é"):
            answer = _ask_supervisor(project, {"token": token, "wanted": ["postgres", "model"]})
            assert "variables" not in answer and "://" not in answer
        assert _ask_supervisor(project, {"wanted": ["postgres"]}) == ""


def test_a_wrong_password_gets_no_connection(project: Project) -> None:
    with _use(project) as user:
        url = user.url
        password = (project.folder / ".local" / "postgres" / "password").read_text()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            _execute(url.replace(password, "wrong"), "SELECT 1")


def test_users_that_arrive_at_once_share_one_postgres(project: Project) -> None:
    with ExitStack() as stack:
        users = [stack.enter_context(_use(project)) for _ in range(5)]
        assert len({user.url for user in users}) == 1
        _until(lambda: _count(project, SUPERVISOR) == 1)
        assert _count(project, POSTGRES) == 1


def test_a_user_that_meets_a_stopping_supervisor_gets_the_next(project: Project) -> None:
    state = project.folder / ".local" / "services.json"
    state.parent.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as ending:
        state.write_text(json.dumps({"port": ending.getsockname()[1], "token": ""}))
        with _use(project) as user:
            connection, _ = ending.accept()
            state.unlink()
            connection.close()
            assert _execute(user.url, "SELECT 1") == [(1,)]


def test_an_interrupted_first_start_is_repaired_by_the_next(project: Project) -> None:
    folder = project.folder / ".local" / "postgres"
    with _use(project) as interrupted:
        _until(lambda: any(folder.glob("*/global/pg_control")))
        os.killpg(_one(project, SUPERVISOR).pid, signal.SIGKILL)
        interrupted.kill()
    with _use(project) as user:
        assert _execute(user.url, "SELECT 1") == [(1,)]
    assert sorted(path.name for path in folder.iterdir()) == ["data", "password"]


@contextmanager
def _use(project: Project, wanted: str = "postgres") -> Iterator[User]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with project.start("python", "-c", HOLD, wanted, **pipes) as process:
        yield User(process)


def _execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def _processes(project: Project, program: str = "") -> list[psutil.Process]:
    # Only what names the folder: not the processes that Postgres starts, which end with it.
    mine, found = str(project.folder / ".local"), []
    for process in psutil.process_iter(["cmdline"]):
        arguments = process.info["cmdline"] or []
        if any(argument.startswith(mine) for argument in arguments) and (
            not program or program in [Path(argument).name for argument in arguments]
        ):
            found.append(process)
    return found


def _count(project: Project, program: str) -> int:
    return len(_processes(project, program))


def _one(project: Project, program: str) -> psutil.Process:
    [process] = _processes(project, program)
    return process


def _kill(project: Project) -> None:
    """Kill Postgres and its supervisor, as a computer does that runs out of memory."""
    processes = _processes(project)
    processes += [child for process in processes for child in process.children()]
    for process in processes:
        # What Postgres started may end with it before its turn comes.
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _until(lambda: not any(_runs(process) for process in processes))


def _runs(process: psutil.Process) -> bool:
    # A process that ended is listed until its parent asks how.
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


@contextmanager
def _foreign_process() -> Iterator["subprocess.Popen[bytes]"]:
    """Yield a process of the user that Postgres runs as, so that it could be mistaken for one."""
    with subprocess.Popen(["sleep", "60"], cwd="/", user=UNPRIVILEGED) as process:
        yield process
        process.kill()


def _write_pid(project: Project, pid: int) -> None:
    file = project.folder / ".local" / "postgres" / "data" / "postmaster.pid"
    _, *rest = file.read_text().splitlines()
    file.write_text("\n".join([str(pid), *rest]))


def _permissions(folder: Path) -> tuple[int, int, int]:
    status = folder.stat()
    return status.st_mode, status.st_uid, status.st_gid


def _ask_supervisor(project: Project, question: dict[str, object]) -> str:
    state = json.loads((project.folder / ".local" / "services.json").read_text())
    with socket.create_connection(("127.0.0.1", state["port"]), timeout=20) as connection:
        connection.sendall(json.dumps(question).encode() + b"\n")
        with connection.makefile() as lines:
            return lines.readline()


def _server_log(project: Project) -> str:
    return (project.folder / ".local" / "postgres" / "data" / "server.log").read_text()


def _until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _always(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert true()
        time.sleep(0.1)
