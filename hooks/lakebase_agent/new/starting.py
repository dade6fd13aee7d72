"""Start the project in the current folder, and print its address once it answers."""

import os
import socket
import subprocess
import sys
import threading
import time
from urllib.error import URLError
from urllib.request import urlopen

PORTS = range(8000, 8100)


def main() -> int:
    """Run the server until it is stopped; return its exit code."""
    port = int(os.environ.get("PORT") or next(filter(is_free, PORTS)))
    quiet = {**os.environ, "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING")}
    server = subprocess.Popen(["start-app", "--port", str(port)], env=quiet)
    threading.Thread(target=tell, args=(server, port), daemon=True).start()
    try:
        return server.wait()
    except KeyboardInterrupt:  # which the server was sent, too
        return server.wait()


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
    sys.exit(main())
