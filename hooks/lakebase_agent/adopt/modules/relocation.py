"""Changing a module of the template for its place in somebody else's project."""

import io
import tokenize
from collections.abc import Iterator
from pathlib import PurePosixPath

from lakebase_agent.adopt.place import SCRIPT, Place

PACKAGE = "agent_server"
ROOT = "Path(__file__).resolve().parent.parent"


def new_path(path: str, place: Place) -> str:
    """Return where a file of the template goes."""
    if path == SCRIPT:
        return place.script
    return f"{place.folder}/{path.removeprefix(f'{PACKAGE}/')}"


def relocate(path: str, text: str, place: Place) -> str:
    """Return the text of a file of the template for its new place.

    Its imports name the new package, its error messages the new grant script, and it finds the
    project's own folder from there.
    """
    text = _with_package(text, place.module).replace(f"uv run python {SCRIPT}", place.run_script)
    if path == SCRIPT:
        return text
    depth = len(PurePosixPath(new_path(path, place)).parts) - 1
    return text.replace(ROOT, f"Path(__file__).resolve().parents[{depth}]")


def _with_package(text: str, module: str) -> str:
    """Return code with another name for the template's package, wherever the code names it."""
    lines = text.splitlines(keepends=True)
    for row, start in reversed(list(_positions(text))):
        line = lines[row]
        lines[row] = line[:start] + module + line[start + len(PACKAGE) :]
    return "".join(lines)


def _positions(text: str) -> Iterator[tuple[int, int]]:
    """Yield the line and the column, both from 0, of each use of the package's name."""
    previous = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and token.string == PACKAGE and previous != ".":
            yield token.start[0] - 1, token.start[1]
        previous = token.string
