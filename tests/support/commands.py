"""Running a command of the package in this process, with nobody there to answer."""

import io
import sys
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from lakebase_agent.cli import main


class Done(NamedTuple):
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def run_here(folder: Path, *command: str) -> Done:
    """Run a command of `lakebase-agent` in a folder."""
    out, err = io.StringIO(), io.StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err), ExitStack() as stack:
        code = 0
        stack.callback(setattr, sys, "argv", sys.argv)
        stack.callback(setattr, sys, "stdin", sys.stdin)
        sys.argv, sys.stdin = ["lakebase-agent", *command], io.StringIO()
        try:
            main()
        except SystemExit as exit:
            code = int(str(exit.code))
    return Done(code, out.getvalue(), err.getvalue())
