"""Three-way merges of texts, by git. Imports the standard library only."""

import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple


class Labels(NamedTuple):
    """What the conflict markers call the three versions."""

    ours: str
    base: str
    theirs: str


def merge_texts(base: str, ours: str, theirs: str, labels: Labels) -> tuple[str, bool]:
    """Return `ours` with the changes from `base` to `theirs`, and whether it has conflicts.

    Raises OSError if git is not installed.
    """
    named = [argument for label in labels for argument in ("-L", label)]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("ours", ours), ("base", base), ("theirs", theirs)):
            Path(folder, name).write_bytes(text.encode())
        command = ["git", "merge-file", "-p", *named, "ours", "base", "theirs"]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return done.stdout.decode(), done.returncode != 0
