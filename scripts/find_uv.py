"""Print the path of uv; without one, put it in `.tools` first: nothing else is installed.

It runs with the Python of a bare machine: any 3.8 or newer, perhaps without pip, perhaps one that
the system manages (PEP 668). Only the standard library is used.
"""

import hashlib
import importlib.util
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from urllib.request import Request, urlopen

TOOLS = Path(__file__).resolve().parent.parent / ".tools"
NAME = "uv.exe" if os.name == "nt" else "uv"
INDEX = "https://pypi.org/simple"
JSON = "application/vnd.pypi.simple.v1+json"
HELP = "Install uv (https://docs.astral.sh/uv), and run this again."


def main() -> int:
    """Print the path; return 1 and say what to do when there is no way to get it."""
    try:
        print(find_uv())
    except (OSError, ValueError, LookupError, subprocess.CalledProcessError) as error:
        print(f"There is no uv here, and it can't be fetched: {error}. {HELP}", file=sys.stderr)
        return 1
    return 0


def find_uv() -> str:
    """Return the path of uv: the user's own, or one in `.tools`, where it is put if need be."""
    if found := shutil.which("uv"):
        return found
    uv = TOOLS / "bin" / NAME
    if not uv.exists():
        print("Fetching uv, once...", file=sys.stderr)
        # With --target, pip changes nothing but that folder, so that PEP 668 does not forbid it.
        if importlib.util.find_spec("pip"):
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(TOOLS), "uv"]
            quiet = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
            subprocess.run(pip, check=True, stdout=sys.stderr, env=quiet)
        else:
            unpack(download(os.environ.get("PIP_INDEX_URL", INDEX)), uv)
    return str(uv)


def download(index: str) -> bytes:
    """Return the newest wheel of uv for this machine, whose hash is that of the index."""
    page = f"{index.rstrip('/')}/uv/"
    with urlopen(Request(page, headers={"Accept": JSON}), timeout=60) as answer:
        files = json.load(answer)["files"]
    wheel = max(filter(fits, files), key=version, default=None)
    if wheel is None:
        raise LookupError(f"{page} has no wheel for {platform.system()} {platform.machine()}")
    with urlopen(urljoin(page, wheel["url"]), timeout=600) as answer:
        data: bytes = answer.read()
    if hashlib.sha256(data).hexdigest() != wheel["hashes"]["sha256"]:
        raise ValueError(f"{wheel['filename']} is not what the index says it is")
    return data


def unpack(wheel: bytes, uv: Path) -> None:
    """Write the program in the wheel to `uv`."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        [member] = [n for n in archive.namelist() if n.endswith(f".data/scripts/{NAME}")]
        uv.parent.mkdir(parents=True, exist_ok=True)
        uv.write_bytes(archive.read(member))
    uv.chmod(0o755)


def fits(file: Any) -> bool:
    """Return whether a file of the index is a final release's wheel for this machine."""
    name, machine = file["filename"], platform.machine().lower()
    machine = {"amd64": "x86_64", "aarch64": "aarch64"}.get(machine, machine)
    systems = {
        "Linux": rf"manylinux\S*_{machine}",
        "Darwin": rf"macosx\S*_{'arm64' if machine == 'arm64' else machine}",
        "Windows": "win_amd64" if machine == "x86_64" else f"win_{machine}",
    }
    here = systems.get(platform.system(), "none")
    final = re.match(r"uv-[\d.]+-py3-none-", name)
    return bool(final and re.search(rf"{here}\S*\.whl$", name) and not file.get("yanked"))


def version(file: Any) -> "tuple[int, ...]":
    """Return the version of a wheel, to be compared."""
    return tuple(map(int, file["filename"].split("-")[1].split(".")))


if __name__ == "__main__":
    sys.exit(main())
