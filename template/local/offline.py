"""What `start-app` does outside a deployed app: open what is missing, and say what it runs on."""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager

from agent_server.identity import LOCAL_USER
from agent_server.settings import ROOT, lakebase_configured, setting, workspace_configured
from local.services import open_services


@contextmanager
def open_offline(url: str = "") -> Iterator[None]:
    """Set the environment variables of the offline services that no setting makes needless.

    Prints what the agent runs on, and its `url` if given. Raises ServicesError.
    """
    postgres, model = _needs_postgres(), _needs_model()
    titles = {"model": _model(), "user": f"{LOCAL_USER}, unless X-Forwarded-User says otherwise"}
    if _remembers():
        titles = {"memory": _memory(), **titles}
    with open_services(postgres, model, ROOT) as variables:
        os.environ.update(variables)
        if url:
            print("\n".join(f"  {key:<8}{text}" for key, text in titles.items()))
            print(f"  open    {url}", flush=True)
        yield


def _remembers() -> bool:
    # A project without memory has no embedded Postgres either.
    return importlib.util.find_spec("local.postgres") is not None


def _needs_postgres() -> bool:
    return _remembers() and not (lakebase_configured() or os.environ.get("DATABASE_URL"))


def _needs_model() -> bool:
    return not (workspace_configured() or os.environ.get("OPENAI_BASE_URL"))


def _memory() -> str:
    if lakebase_configured():
        place = "Lakebase"
    else:
        place = "embedded Postgres in .local/" if _needs_postgres() else "DATABASE_URL"
    return f"{place}, schema {setting('LAKEBASE_AGENT_MEMORY_SCHEMA')}"


def _model() -> str:
    if _needs_model():
        return "offline stand-in: scripted answers, not a model"
    place = "the workspace" if workspace_configured() else os.environ["OPENAI_BASE_URL"]
    return f"{setting('MODEL_ENDPOINT')} of {place}"
