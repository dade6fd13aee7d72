"""Start a project, and print its address once it answers.

`scripts/demo` runs this file by itself, with whatever Python there is.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from urllib.error import URLError
from urllib.request import urlopen

PORTS = range(8000, 8100)


def start(command: Sequence[str], folder: str, variables: Mapping[str, str]) -> int:
    """Run the server with a command until it is stopped; return its exit code."""
    port = int(variables.get("PORT") or next(filter(is_free, PORTS)))
    quiet = {"LOG_LEVEL": "WARNING", **variables}
    server = subprocess.Popen([*command, "--port", str(port)], cwd=folder, env=quiet)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())  # or it would go on by itself
    threading.Thread(target=tell, args=(server, port), daemon=True).start()
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:
            continue  # the server was sent it, too, and ends by itself


def tell(server: "subprocess.Popen[bytes]", port: int) -> None:
    """Print the address once the server answers there."""
    url = f"http://localhost:{port}"
    while server.poll() is None:
        try:
            with urlopen(f"{url}/ready", timeout=5):
                print(f"\n  It is ready: {url}\n  Stop it with Ctrl-C.\n", flush=True)
                return
        except (URLError, OSError):
            time.sleep(0.2)


def is_free(port: int) -> bool:
    """Return whether nothing answers at a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


if __name__ == "__main__":
    sys.exit(start(["start-app"], ".", os.environ))
