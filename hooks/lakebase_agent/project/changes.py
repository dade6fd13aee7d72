"""Changes to files of a project: shown as a diff, then made together or not at all."""

import difflib
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path


@dataclass(frozen=True)
class Replacement:
    """The old and the new text of a file, None where there is no file, and its permissions.

    Without a `mode` a file keeps its own; a new one is readable by all, except a .env.
    """

    old: str | None
    new: str | None
    mode: int | None = None


def to_diff(changes: Mapping[str, Replacement]) -> str:
    """Return the changes as a unified diff; of a .env it shows only the lines that change."""
    lines: list[str] = []
    for name, change in changes.items():
        before = (change.old or "").splitlines(keepends=True)
        after = (change.new or "").splitlines(keepends=True)
        left = f"a/{name}" if change.old is not None else "/dev/null"
        right = f"b/{name}" if change.new is not None else "/dev/null"
        context = 0 if Path(name).name == ".env" else 3
        lines += _heading(name, change)
        lines += difflib.unified_diff(before, after, left, right, n=context)
    return "".join(_ended(line).replace("\r\n", "\n") for line in lines)


def _heading(name: str, change: Replacement) -> list[str]:
    """Return what git writes above a file's changes; of a new file without lines, it is all."""
    lines = [f"diff --git a/{name} b/{name}\n"]
    if change.old is None or change.new is None:
        kind = "new" if change.old is None else "deleted"
        lines.append(f"{kind} file mode 100644\n")
    return lines


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def write_together(folder: Path, changes: Mapping[str, Replacement]) -> None:
    """Write all new texts, or none: if one fails, every file is restored. Ctrl-C has to wait.

    `changes` are by path below `folder`. Raises OSError.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".lakebase-agent-") as name:
        staged = {path: Path(name, str(number)) for number, path in enumerate(changes)}
        for path, change in changes.items():
            if change.new is not None:
                staged[path].write_bytes(change.new.encode())
                staged[path].chmod(change.mode or _mode(folder / path))
        with _ctrl_c_ignored():
            _replace_all(folder, changes, staged)


def _replace_all(
    folder: Path, changes: Mapping[str, Replacement], staged: Mapping[str, Path]
) -> None:
    with ExitStack() as undo:
        for name, change in changes.items():
            path = folder / name
            for parent in reversed([parent for parent in path.parents if not parent.exists()]):
                parent.mkdir()
                undo.callback(_remove_folder, parent)
            restore = _restorer(path)
            if change.new is None:
                path.unlink()
            elif path.is_symlink() and path.is_file():  # it stays one: what it leads to is written
                path.write_bytes(staged[name].read_bytes())
            else:
                os.replace(staged[name], path)
            undo.callback(restore)
        undo.pop_all()


def _restorer(path: Path) -> Callable[[], None]:
    """Return a function that makes a file what it is now."""
    if not path.is_file():
        return partial(path.unlink, missing_ok=True)
    return partial(_restore, path, path.read_bytes(), _mode(path))


def _restore(path: Path, content: bytes, mode: int) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def _remove_folder(path: Path) -> None:
    with suppress(OSError):  # somebody else's file is in it
        path.rmdir()


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _mode(path: Path) -> int:
    if path.exists():
        return path.stat().st_mode & 0o777
    return 0o600 if path.name == ".env" else 0o644
