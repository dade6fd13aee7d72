"""What `start-app` does outside a deployed app: start what is missing, and print what is used."""

import importlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from agent_server.identity import LOCAL_USER
from agent_server.settings import (
    PROJECT,
    ROOT,
    SettingsError,
    has,
    lakebase_configured,
    setting,
    workspace_configured,
)
from local.services import open_services

LOOPBACK = ("127.0.0.1", "0.0.0.0")


@contextmanager
def open_offline(host: str = "", port: int = 0) -> Iterator[None]:
    """Open the offline services that no setting replaces, and set their environment variables.

    With a `host`, prints what the server uses and its address. Raises ServicesError, and
    SettingsError when a setting is invalid or another program uses the port.
    """
    if host:
        _check_port(host, port)
    postgres, model = _needs_postgres(), _needs_model()
    if os.environ.get("OPENAI_BASE_URL") and not os.environ.get("OPENAI_API_KEY"):
        os.environ["OPENAI_API_KEY"] = "none"  # the client requires one, many servers do not
    if _remembers() and not (postgres or lakebase_configured()):
        _check_database_url()
    titles = {"model": _model(), "user": f"{LOCAL_USER}, unless X-Forwarded-User says otherwise"}
    if _remembers():
        titles = {"memory": _memory(), **titles}
    with open_services(postgres, model, ROOT) as variables:
        os.environ.update(variables)
        if host:
            titles["open"] = _address(host, port)
            print("\n".join(f"  {key:<8}{text}" for key, text in titles.items()), flush=True)
        yield


def _address(host: str, port: int) -> str:
    name = "localhost" if host in LOOPBACK else f"[{host}]" if ":" in host else host
    page = "" if has("chat") else "/responses, with POST: see README.md"
    return f"http://{name}:{port}{page}"


def _check_port(host: str, port: int) -> None:
    if not 0 < port < 2**16:
        raise SettingsError(f"--port must be from 1 to {2**16 - 1}, not {port}.")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        flag = "--host" if isinstance(error, socket.gaierror) else "--port"
        text = f"cannot listen on {host} port {port} ({error}). Choose another with {flag}."
        raise SettingsError(text) from None


def _check_database_url() -> None:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(os.environ["DATABASE_URL"])
    except ProgrammingError:  # its text may contain the password
        text = "DATABASE_URL must be like postgresql://user:password@host:5432/database."
        raise SettingsError(text) from None


def _remembers() -> bool:
    return bool(PROJECT["MEMORY"])


def _needs_postgres() -> bool:
    return _remembers() and not (lakebase_configured() or os.environ.get("DATABASE_URL"))


def _needs_model() -> bool:
    return not (workspace_configured() or os.environ.get("OPENAI_BASE_URL"))


def _memory() -> str:
    if lakebase_configured():
        place = "Lakebase"
    else:
        place = "embedded Postgres in .local/" if _needs_postgres() else "DATABASE_URL"
    database = importlib.import_module("agent_server.database.lakebase")
    return f"{place}, schema {database.schema_name()}"


def _model() -> str:
    if _needs_model():
        return "offline stand-in: scripted answers, not a model"
    place = "the workspace" if workspace_configured() else os.environ["OPENAI_BASE_URL"]
    return f"{setting('MODEL_ENDPOINT')} of {place}"
