"""Settings: environment variables, and the defaults for those that are not set."""

import codecs
import os
import tomllib
from io import StringIO
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
# What an operator may want to change without reading the code. `[tool.lakebase-agent]` of
# pyproject.toml overrides these, and an environment variable of the same name overrides both.
LIMITS = {
    "MAX_REQUEST_VALUES": 50000,  # of JSON in the body of a request: objects, texts, numbers
    "MAX_REQUEST_DEPTH": 64,  # of JSON in the body of a request: levels
    "MAX_FILE_PARTS": 100,  # of the messages in a request that have images or files, texts too
    "LOOP_HELD_MILLISECONDS": 100,  # until the watchdog, if it is on, logs where the loop is held
    "CONNECT_SECONDS": 10,  # for one try to connect to Postgres
    "STATEMENT_SECONDS": 30,  # for one statement, until Postgres ends it
    "LOCK_SECONDS": 5,  # for a statement to wait for a lock
    "IDLE_TRANSACTION_SECONDS": 60,  # in a transaction without a statement, until Postgres ends it
    "ANSWER_SECONDS": 5,  # for Postgres to say that it is there, or that it has ended a statement
    "READY_SECONDS": 2,  # for /ready to answer
    "SETUP_SECONDS": 60,  # to wait while another process creates tables
    "SETUP_STATEMENT_SECONDS": 3600,  # for one statement that creates or changes tables
    "APPROVAL_DAYS": 7,  # to approve a tool call
    "START_WAIT_SECONDS": 30,  # for a request to wait for a server that is starting
    "START_RETRY_SECONDS": 3,  # between tries to start
    "STOP_SECONDS": 8,  # to finish answers at shutdown; Databricks Apps kills after 15
    "END_SECONDS": 1,  # to end those that are unfinished then
    "HEAD_SECONDS": 10,  # for the first line and the headers of a request to arrive
    "UNREAD_SECONDS": 60,  # for a client to read what was sent to it
    "CONNECTIONS_WAITING": 500,  # without a request, in each process; the oldest is closed
    "FLUSH_SECONDS": 5,  # to send the last traces when the server stops
    "CANCEL_SECONDS": 5,  # for a cancelled turn to end, before it is cancelled again
    "EMBEDDING_SECONDS": 10,  # for the vectors of one operation on memories
    "MEMORY_KEY_CHARACTERS": 300,  # in the name of a memory
    "MEMORY_OPERATIONS_PER_USER": 4,  # at once, in each process; the others wait
    "LEASE_SECONDS": 10,  # until the lease of a dead process expires
    "LEASE_RENEWAL_SECONDS": 3,  # between renewals of a lease
    "SAVE_SECONDS": 5,  # to try to save what runs emit, before they fail
    "UNSAVED_SECONDS": 600,  # to try to save that they failed; later, other attempts follow
    "CHAT_ANSWER_SECONDS": 3600,  # for an answer of a chat, with or without a reader
    "CHAT_WAIT_SECONDS": 15,  # for a question to wait for the answer to the last one
    "HEARTBEAT_SECONDS": 3,  # between heartbeats of a background run
    "ABANDONED_SECONDS": 10,  # without a heartbeat, until another process may claim a run
    "SUSPECT_SECONDS": 10,  # between starts of runs that a process died with
    "HAND_OVER_SECONDS": 5,  # for a stopping process to release its background runs
    "TITLE_SECONDS": 60,  # for the model to make a title
    "TITLE_TOKENS": 200,  # of its answer, thoughts included
    "CLEANUP_SECONDS": 3600,  # between looks for what has been kept for long enough
    "MODEL_ANSWER_BYTES": 4194304,  # in one answer of the model
    "MODEL_STREAM_BYTES": 33554432,  # in all events of a stream from the model
    "OUTPUT_BYTES": 16777216,  # of all events of a turn
    "TOOL_ARGUMENTS_BYTES": 1048576,  # that the model may write for one call
    "TOOL_OUTPUT_BYTES": 1048576,  # of one call; the rest is cut off
    "RECENT_BYTES": 8388608,  # of threads that a process remembers, so as not to read them again
    "TRACE_TEXT_BYTES": 65536,  # of each text in a trace; the rest is cut off
    "PAGE_BYTES": 1048576,  # after which a page of messages or events ends
    "MCP_LIST_SECONDS": 5,  # for a turn to wait for the tools of a server that has not said any yet
    "MCP_RETRY_SECONDS": 10,  # between looks at a server that can't be reached
    "MCP_TOOLS_SECONDS": 300,  # until the tools of a server are asked for anew
    "EXPORT_SECONDS": 600,  # for a client to read an export
}
MAY_BE_0 = ("_KEPT_DAYS", "CONTEXT_TOKENS")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["tool"]["lakebase-agent"]
DEFAULTS = {**LIMITS, **PROJECT}
LAKEBASE = ("AUTOSCALING_ENDPOINT", "AUTOSCALING_PROJECT", "AUTOSCALING_BRANCH", "INSTANCE_NAME")
WORKSPACE = ("DATABRICKS_APP_NAME", "DATABRICKS_HOST", "DATABRICKS_CONFIG_PROFILE")


class SettingsError(ValueError):
    """A setting is missing, malformed or contradicts another; the text names it."""


def load_env_file() -> None:
    """Set the variables of `.env`, if there is one, that are not set.

    It is UTF-8, or UTF-16 as PowerShell writes it. Raises SettingsError if it is neither.
    """
    from dotenv import load_dotenv

    path = ROOT / ".env"
    data = path.read_bytes() if path.is_file() or path.is_fifo() else b""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise SettingsError(f"{path} is no text in UTF-8. Save it as UTF-8.")
    load_dotenv(stream=StringIO(text))


def on_this_machine(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def setting(name: str) -> str:
    """Return the environment variable `name`, else its default."""
    return os.environ.get(name) or str(DEFAULTS[name])


def limit(name: str) -> int:
    """Return a numeric setting, in the unit that its name gives.

    Raises SettingsError when it is not a whole number of at least 1. Days to keep something may
    also be 0, which is for ever, and CONTEXT_TOKENS, which is for everything.
    """
    value, least = setting(name), 0 if name.endswith(MAY_BE_0) else 1
    if not (value.isascii() and value.isdecimal() and int(value) >= least):
        raise SettingsError(f"{name} must be a whole number of at least {least}, not {value!r}.")
    return int(value)


def check_limits() -> None:
    """Raise SettingsError for the first limit that `limit` would refuse."""
    for name, default in DEFAULTS.items():
        if isinstance(default, int):
            limit(name)


def has(feature: str) -> bool:
    """Return whether the project has `short_term`, `long_term`, `background` or `chat`."""
    return feature in PROJECT["MEMORY"]


def in_databricks_app() -> bool:
    """Return whether this is a deployed Databricks App, which sets DATABRICKS_APP_NAME.

    `databricks apps run-local` sets it too, with the address of this machine as the app's.
    """
    local = on_this_machine(os.environ.get("DATABRICKS_APP_URL", ""))
    return bool(os.environ.get("DATABRICKS_APP_NAME")) and not local


def lakebase_configured() -> bool:
    """Return whether a variable says which Lakebase to use."""
    return any(os.environ.get(f"LAKEBASE_{name}") for name in LAKEBASE)


def workspace_configured() -> bool:
    """Return whether models come from a Databricks workspace."""
    return any(os.environ.get(name) for name in WORKSPACE) or lakebase_configured()
