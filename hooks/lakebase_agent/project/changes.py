"""Changes to files of a project: shown as a diff, then made together or not at all."""

import difflib
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

Change = tuple[str | None, str | None]  # a file's old and new text; None where there is none


def to_diff(changes: Mapping[str, Change]) -> str:
    """Return the changes as a unified diff; of a .env only the lines that change."""
    text = ""
    for name, (old, new) in changes.items():
        before, after = ((side or "").splitlines(keepends=True) for side in (old, new))
        left = f"a/{name}" if old is not None else "/dev/null"
        right = f"b/{name}" if new is not None else "/dev/null"
        context = 0 if Path(name).name == ".env" else 3
        for line in difflib.unified_diff(before, after, left, right, n=context):
            ended = line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            text += ended.replace("\r\n", "\n")
    return text


def write_together(folder: Path, changes: Mapping[str, Change]) -> None:
    """Make all changes, or none: whatever fails, every file is as it was. Ctrl-C waits."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".lakebase-agent-") as name:
        staged = {path: Path(name, str(number)) for number, path in enumerate(changes)}
        for path, (_, new) in changes.items():
            if new is not None:
                staged[path].write_bytes(new.encode())
                staged[path].chmod(_mode(folder / path))
        with _no_interruption():
            _replace(folder, changes, staged)


def _replace(folder: Path, changes: Mapping[str, Change], staged: Mapping[str, Path]) -> None:
    done: list[tuple[Path, bytes | None, int]] = []
    made: list[Path] = []
    try:
        for name, (_, new) in changes.items():
            path = folder / name
            kept = path.read_bytes() if path.is_file() else None
            mode = _mode(path)
            for parent in reversed([p for p in path.parents if not p.exists()]):
                parent.mkdir()
                made.append(parent)
            if new is None:
                path.unlink()
            else:
                os.replace(staged[name], path)
            done.append((path, kept, mode))
    except OSError:
        for path, kept, mode in reversed(done):
            if kept is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(kept)
                path.chmod(mode)
        for parent in reversed(made):
            with suppress(OSError):
                parent.rmdir()
        raise


@contextmanager
def _no_interruption() -> Iterator[None]:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _mode(path: Path) -> int:
    if path.exists():
        return path.stat().st_mode & 0o777
    return 0o600 if path.name == ".env" else 0o644
