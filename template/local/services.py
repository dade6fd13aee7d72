"""The offline services that a project's processes share: Postgres and a stand-in model.

A separate process owns them (`local.supervisor`). Each user holds a connection to it, which the
operating system closes however the user ends.
"""

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent_server.transport.proxies import settle_proxies

START_SECONDS = 60.0


class ServicesError(RuntimeError):
    """The offline services did not start; the text says why, and where the log is."""


@contextmanager
def open_services(
    postgres: bool, model: bool, root: Path | None = None
) -> Iterator[dict[str, str]]:
    """Yield the environment variables of the services asked for, and keep these running.

    `postgres` provides DATABASE_URL, `model` provides OPENAI_BASE_URL and a key. Both belong to the
    project in `root` (default: the current folder), and keep their data in its `.local/`.
    Raises ServicesError, and SettingsError as `settle_proxies` does.
    """
    settle_proxies()
    folder = (root or Path.cwd()).resolve() / ".local"
    folder.mkdir(exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    wanted = [name for name, asked in (("postgres", postgres), ("model", model)) if asked]
    connection, variables = _join(folder, wanted)
    with connection:
        yield variables


def read_state(folder: Path) -> dict[str, Any]:
    """Return the port and the token of the running supervisor; empty when there is none."""
    with contextlib.suppress(OSError, ValueError):
        state: dict[str, Any] = json.loads((folder / "services.json").read_text())
        return state
    return {}


def _join(folder: Path, wanted: list[str]) -> tuple[socket.socket, dict[str, str]]:
    answer: dict[str, Any] = {}
    # The supervisor may be stopping because its last user left. The next one will not be.
    for _attempt in range(2):
        connection = _connect(folder)
        answer = _ask(folder, connection, wanted)
        if "variables" in answer:
            return connection, answer["variables"]
        connection.close()
        if answer:
            break
    raise _failure(folder, answer.get("error", "they stopped while starting."))


def _ask(folder: Path, connection: socket.socket, wanted: list[str]) -> dict[str, Any]:
    """Return the supervisor's answer; empty if it ended without one."""
    question = {"token": read_state(folder).get("token"), "wanted": wanted}
    answer: dict[str, Any] = {}
    with (
        contextlib.suppress(ConnectionError),
        connection.makefile("rw", encoding="utf-8") as lines,
    ):
        lines.write(json.dumps(question) + "\n")
        lines.flush()
        answer = json.loads(lines.readline() or "{}")
    return answer


def _connect(folder: Path) -> socket.socket:
    connection = _try_connect(folder)
    if connection:
        return connection
    supervisor = _spawn(folder)
    deadline, notice = time.monotonic() + START_SECONDS, time.monotonic() + 1
    while time.monotonic() < deadline:
        time.sleep(0.05)
        if connection := _try_connect(folder):
            return connection
        if supervisor.poll():
            raise _failure(folder, "their process ended.")
        if notice and time.monotonic() > notice:
            print("  starting the offline services ...", file=sys.stderr, flush=True)
            notice = 0
    raise _failure(folder, f"no answer for {START_SECONDS:.0f} s.")


def _try_connect(folder: Path) -> socket.socket | None:
    port = read_state(folder).get("port")
    if port:
        with contextlib.suppress(OSError):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.settimeout(2 * START_SECONDS)
            return connection
    return None


def _spawn(folder: Path) -> "subprocess.Popen[bytes]":
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        detached = {"creationflags": subprocess.DETACHED_PROCESS}
    with (folder / "services.log").open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "local.supervisor", str(folder)],
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **detached,
        )
    # It outlives this call, and Python warns of child processes that nothing refers to any more.
    threading.Thread(target=supervisor.wait, daemon=True).start()
    return supervisor


def _failure(folder: Path, reason: str) -> ServicesError:
    return ServicesError(
        f"The offline services did not start: {reason} The log is {folder / 'services.log'}; "
        "run the command again, or set DATABASE_URL and OPENAI_BASE_URL to do without them."
    )
