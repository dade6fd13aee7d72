"""The README's two commands, `scripts/demo` and `scripts/test`, on a bare machine."""

import hashlib
import io
import json
import os
import platform
import runpy
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.support.project import free_port
from tests.support.rendering import REPOSITORY

FIND_UV = runpy.run_path(str(REPOSITORY / "scripts" / "find_uv.py"))
download, fits, unpack = (FIND_UV[name] for name in ("download", "fits", "unpack"))
# What leads to the package index from here; a bare machine has it in the system's settings.
NETWORK = ("PIP_", "UV_INDEX", "UV_DEFAULT", "UV_FIND", "UV_NATIVE", "SSL_", "HTTP", "NO_PROXY")
MACHINE = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine())
TAGS = {"Linux": f"manylinux_2_17_{MACHINE}", "Darwin": f"macosx_11_0_{MACHINE}"}
TAG = TAGS.get(platform.system(), "win_amd64")


def bare(folder: Path) -> dict[str, str]:
    """Return the environment of somebody with a new account."""
    network = {name: value for name, value in os.environ.items() if name.startswith(NETWORK)}
    return {**network, "HOME": str(folder), "PATH": "/usr/bin:/bin"}


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Yield the URL of a package index with two versions of uv, and its page."""
    page = tmp_path / "uv" / "index.html"
    page.parent.mkdir()
    files = [entry(page.parent, version) for version in ("0.9.10", "0.10.2", "0.11.0rc1")]
    page.write_text(json.dumps({"files": files}))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", page
        server.shutdown()


def entry(folder: Path, version: str) -> dict[str, object]:
    """Write a wheel whose program says its version; return what an index says of it."""
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"uv-{version}.data/scripts/uv", f"#!/bin/sh\necho {version}\n")
    path = folder / f"uv-{version}-py3-none-{TAG}.whl"
    path.write_bytes(wheel.getvalue())
    digest = hashlib.sha256(wheel.getvalue()).hexdigest()
    return {"filename": path.name, "url": path.name, "hashes": {"sha256": digest}}


def test_without_pip_the_newest_release_of_uv_is_fetched(
    index: tuple[str, Path], tmp_path: Path
) -> None:
    unpack(download(index[0]), uv := tmp_path / "bin" / "uv")
    said = subprocess.run([uv], capture_output=True, text=True, check=True).stdout
    assert said == "0.10.2\n"


def test_what_is_not_what_the_index_says_is_refused(index: tuple[str, Path]) -> None:
    url, page = index
    page.write_text(page.read_text().replace('"sha256": "', '"sha256": "0'))
    with pytest.raises(ValueError, match=r"uv-0\.10\.2"):
        download(url)


@pytest.mark.parametrize(
    "name", ["uv-1.0-py3-none-linux_armv0.whl", "uv-1.0rc1-py3-none-any.whl", "uv-1.0.tar.gz"]
)
def test_a_file_for_another_machine_does_not_fit(name: str) -> None:
    assert not fits({"filename": name})


def test_without_uv_and_without_a_way_to_get_it_the_next_step_is_named(tmp_path: Path) -> None:
    nowhere = {**bare(tmp_path), "PIP_INDEX_URL": "http://127.0.0.1:9"}
    code = "import importlib.util as u, runpy; u.find_spec = lambda *_: None; "
    code += f"runpy.run_path({str(REPOSITORY / 'scripts/find_uv.py')!r}, run_name='__main__')"
    elsewhere = f"import pathlib; pathlib.Path.exists = lambda _: False; {code}"
    done = subprocess.run(
        [sys.executable, "-c", elsewhere], env=nowhere, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and done.stderr.endswith("and run this again.\n")


@pytest.mark.generated
def test_the_demo_starts_on_a_bare_machine(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with demo(tmp_path / "my agent", log, port):
        with urlopen(f"http://127.0.0.1:{port}/") as page:
            assert b"<title>My Agent</title>" in page.read()
        assert len(log.read_text().splitlines()) <= 15, log.read_text()
    with pytest.raises(URLError):
        urlopen(f"http://127.0.0.1:{port}/")  # it ended with the command


@contextmanager
def demo(folder: Path, log: Path, port: int) -> Iterator[None]:
    """Run the demo while the body runs, which begins once the demo says that it is ready."""
    command, variables = [REPOSITORY / "scripts" / "demo", folder], {"PORT": str(port)}
    with log.open("w") as output:
        running = subprocess.Popen(
            command, env={**bare(log.parent), **variables}, stdout=output, stderr=output
        )
    try:
        while "It is ready" not in log.read_text() and running.poll() is None:
            time.sleep(0.2)
        yield
    finally:
        running.terminate()
        running.wait(30)


@pytest.mark.generated
def test_the_test_command_starts_on_a_bare_machine(tmp_path: Path) -> None:
    command = [str(REPOSITORY / "scripts" / "test"), "--version"]
    done = subprocess.run(command, env=bare(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "pytest" in done.stdout, done.stderr
