"""The process that owns the offline services, and stops when their last user leaves."""

import asyncio
import contextlib
import importlib
import json
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import uvicorn
from filelock import FileLock, Timeout

from local.services import read_state

GRACE_SECONDS = 1.0
FIRST_USER_SECONDS = 20.0
SUCCESSION_SECONDS = 60.0

log = logging.getLogger(__name__)


class Supervisor:
    """Starts each service when it is first asked for, and counts the users."""

    def __init__(self, folder: Path, token: str) -> None:
        self._folder = folder
        self._token = token
        self._starting = asyncio.Lock()
        self._variables: dict[str, dict[str, str]] = {}
        self._users = 0
        self._joined = asyncio.Event()
        self._left = asyncio.Event()

    async def until_unused(self) -> None:
        """Return GRACE_SECONDS after the last user left, or if none came in FIRST_USER_SECONDS."""
        patience = FIRST_USER_SECONDS
        with contextlib.suppress(TimeoutError):
            while True:
                await asyncio.wait_for(self._joined.wait(), patience)
                await self._left.wait()
                patience = GRACE_SECONDS

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one user for as long as it holds its connection."""
        self._users += 1
        self._joined.set()
        self._left.clear()
        try:
            writer.write(json.dumps(await self._answer(await reader.readline())).encode() + b"\n")
            await reader.read()
        except OSError as error:
            log.info("a user left: %s", error)
        finally:
            self._users -= 1
            writer.close()
            if not self._users:
                self._joined.clear()
                self._left.set()

    async def _answer(self, question: bytes) -> dict[str, object]:
        asked = json.loads(question)
        if not secrets.compare_digest(str(asked["token"]), self._token):
            return {"error": "the token is wrong."}
        variables: dict[str, str] = {}
        async with self._starting:
            for name in asked["wanted"]:
                if name not in self._variables:
                    log.info("starting %s", name)
                    try:
                        start = STARTS[name]
                        self._variables[name] = await asyncio.to_thread(start, self._folder)
                    except (RuntimeError, OSError) as error:
                        log.exception("%s did not start", name)
                        return {"error": str(error)}
                variables |= self._variables[name]
        return {"variables": variables}


def _postgres() -> ModuleType:
    # By name, because a project without memory has no Postgres.
    return importlib.import_module("local.postgres")


def _start_postgres(folder: Path) -> dict[str, str]:
    return {"DATABASE_URL": _postgres().start(folder / "postgres")}


def _start_model(_folder: Path) -> dict[str, str]:
    from local.embeddings import DIMS
    from local.model import MODEL, build_model_app

    # With the protocol named, asyncio sets TCP_NODELAY; without it, answers take 40 ms longer.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(build_model_app(), log_level="warning"))
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    return {
        "OPENAI_BASE_URL": url,
        "OPENAI_API_KEY": MODEL,
        "OFFLINE_MODEL": "1",
        "MODEL_ENDPOINT": MODEL,
        "EMBEDDING_ENDPOINT": MODEL,
        "EMBEDDING_DIMS": str(DIMS),
    }


STARTS: dict[str, Callable[[Path], dict[str, str]]] = {
    "postgres": _start_postgres,
    "model": _start_model,
}


def main() -> None:
    """Run the services of one project until nobody uses them."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s")
    folder = Path(sys.argv[1])
    with _only_one(folder) as mine:
        if mine:
            try:
                asyncio.run(_supervise(folder))
            finally:
                if (folder / "postgres").exists():
                    _postgres().stop(folder / "postgres")


async def _supervise(folder: Path) -> None:
    token = secrets.token_urlsafe(24)
    supervisor = Supervisor(folder, token)
    server = await asyncio.start_server(supervisor.serve, "127.0.0.1", 0)
    _write_state(folder, server.sockets[0].getsockname()[1], token)
    ended = asyncio.ensure_future(supervisor.until_unused())
    loop = asyncio.get_running_loop()
    # call_soon_threadsafe: nothing else wakes a loop that is waiting for users.
    signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(ended.cancel))
    with contextlib.suppress(asyncio.CancelledError):
        await ended
    # First, so that nobody joins a process that is stopping.
    (folder / "services.json").unlink(missing_ok=True)
    server.close()


@contextmanager
def _only_one(folder: Path) -> Iterator[bool]:
    """Yield True in the one process that may supervise; False if another already does."""
    lock, deadline = FileLock(folder / "services.lock"), time.monotonic() + SUCCESSION_SECONDS
    while True:
        try:
            with lock.acquire(timeout=0.1):
                yield True
            return
        except Timeout:
            if read_state(folder) or time.monotonic() > deadline:
                yield False
                return


def _write_state(folder: Path, port: int, token: str) -> None:
    new = folder / "services.json.new"
    new.touch(mode=0o600)
    new.write_text(json.dumps({"port": port, "token": token}))
    os.replace(new, folder / "services.json")


if __name__ == "__main__":
    main()
