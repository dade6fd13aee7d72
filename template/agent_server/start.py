"""The command `start-app`."""

import argparse
import contextlib
import importlib.util
import os
import socket
import sys
from typing import Any

import uvicorn
from dotenv import load_dotenv

from agent_server.settings import ROOT, SettingsError, in_databricks_app


def main() -> None:
    """Run the server until it is stopped; exit code 2 when it can't start as asked."""
    load_dotenv(ROOT / ".env")
    options = _options()
    with contextlib.ExitStack() as stack:
        try:
            _check_port(options.host, options.port)
            if not in_databricks_app():
                # Packages of the development group, which a deployed app neither has nor needs.
                from local.offline import open_offline

                stack.enter_context(open_offline(f"http://{options.host}:{options.port}"))
            if importlib.util.find_spec("agent_server.lakebase"):  # not without memory
                importlib.import_module("agent_server.lakebase").check_database_settings()
        except (ValueError, RuntimeError) as error:
            print(f"start-app: {error}", file=sys.stderr)
            sys.exit(2)
        settings: dict[str, Any] = {**vars(options), "log_config": None}
        if options.reload:
            settings["reload_dirs"] = [str(ROOT / "agent_server")]
        uvicorn.run("agent_server.app:app", **settings)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="start-app", description="Start the agent's server.")
    port = os.environ.get("DATABRICKS_APP_PORT") or os.environ.get("PORT") or "8000"
    parser.add_argument("--port", type=int, default=port, help="default: %(default)s")
    host = "0.0.0.0" if in_databricks_app() else "127.0.0.1"
    parser.add_argument("--host", default=host, help="default: %(default)s")
    parser.add_argument("--reload", action="store_true", help="restart when the code changes")
    parser.add_argument("--workers", type=int, help="number of processes (default: 1)")
    return parser.parse_args()


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            text = f"cannot listen on {host} port {port} ({error}). Choose another with --port."
            raise SettingsError(text) from None
