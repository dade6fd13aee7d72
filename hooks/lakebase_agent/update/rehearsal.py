"""Rehearsing an update in a copy of the project.

The project itself is touched only at the end, in one step, so that a failure or Ctrl-C before it
leaves every file as it was.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from copier import VcsRef, run_update
from plumbum import local

from lakebase_agent.errors import UsageError
from lakebase_agent.merging.merged import Merged, NotApplied
from lakebase_agent.merging.project import OURS, REPORT, read_report
from lakebase_agent.project.git import LINK, PROGRAM, git, names, top_of, tracked, undisturbed
from lakebase_agent.update.changes import Rehearsal
from lakebase_agent.update.line_ends import line_ends_of

# Those of `_skip_if_exists` in copier.yml that Copier would restore if the owner deleted them. The
# page's `page.toml` and `logo.svg` are missing where there was no page, or an earlier one.
OWNERS = (
    "README.md", "agent_server/agent.py", "agent_server/prompts.py", "agent_server/tools.py",
    "evals/cases.toml",
)  # fmt: skip
CURRENT = "current"
IGNORED = ("--others", "--ignored", "--exclude-standard", "-z", "--", ".")
# What git has of a file, whatever the machine makes of line ends.
CLONED = ("--quiet", "--shared", "--no-tags", "--config", "core.autocrlf=false")
KEPT = "which is new; yours, which git ignores, is kept"
LINKED = "which changed; yours is a symbolic link"
IN_THE_WAY = "{path} of yours is where the template has a {what}: move it, and commit"


@contextmanager
def open_rehearsal(
    project: Path, data: Mapping[str, Any], version: str, ask: bool
) -> Iterator[Rehearsal]:
    """Yield a copy of `project` with the update to `version` done; empty is the latest release.

    Prints the changelog between the two versions. With `ask`, Copier asks its new questions.
    Raises GitError, Copier's errors and KeyboardInterrupt.
    """
    top = top_of(project)
    with tempfile.TemporaryDirectory(prefix="lakebase-agent-") as folder:
        clone = Path(folder).resolve() / top.name
        git(top, "clone", *CLONED, str(top), str(clone))
        copy = clone / project.relative_to(top)
        base = git(clone, "rev-parse", "HEAD").strip()
        ends = line_ends_of(clone)
        ends.to_lf()
        linked, programs = tracked(copy, LINK), tracked(copy, PROGRAM)
        report = _update(copy, data, version, ask, base)
        _keep_links(copy, linked, base, report)
        for move in (move for move in report.moved if move.old in programs):
            (copy / move.new).chmod(0o755)
        stages = ends.stages_to_crlf(names(clone, "ls-files", "--unmerged", "-z"))
        git(clone, "add", "--all")
        ignored = _take_ignored(copy, project, report)
        added = names(clone, "diff", "--cached", "--diff-filter=A", "--name-only", "-z", base)
        ends.to_crlf(added)
        yield Rehearsal(project, copy, base, stages, ignored, report)


def _update(copy: Path, data: Mapping[str, Any], version: str, ask: bool, base: str) -> Merged:
    """Update the copy with Copier, and return what was merged beyond that."""
    gone = [f"/{path}" for path in OWNERS if not (copy / path).exists()]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        sys.stdout.flush()
        # Copier's messages name temporary folders.
        variables = {**undisturbed(), REPORT: str(report), OURS: base}
        with redirect_stderr(StringIO()), local.env(**variables), _named_in(copy):
            run_update(
                copy, dict(data), vcs_ref=VcsRef.CURRENT if version == CURRENT else version or None,
                defaults=not ask, skip_answered=True, overwrite=True, unsafe=True, exclude=gone,
            )  # fmt: skip
        return read_report(report)


@contextmanager
def _named_in(copy: Path) -> Iterator[None]:
    """Raise UsageError with a path of the project for a file where a folder is needed."""
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        place = Path(str(error.filename))
        if not place.is_relative_to(copy):
            raise
        what = "file" if isinstance(error, IsADirectoryError) else "folder"
        path = place.relative_to(copy).as_posix()
        raise UsageError(IN_THE_WAY.format(path=path, what=what)) from error


def _keep_links(copy: Path, kept: list[str], base: str, report: Merged) -> None:
    """Restore the owner's symbolic links, which Copier and merging take for files."""
    changed = [path for path in kept if not (copy / path).is_symlink()]
    if changed:
        git(copy, "checkout", "--quiet", base, "--", *changed)
    known = {item.path for item in report.not_applied}
    report.not_applied += [NotApplied(path, LINKED) for path in changed if path not in known]


def _take_ignored(copy: Path, project: Path, report: Merged) -> list[str]:
    """Stage the new files that git ignores, and return them; the owner's own are kept.

    Nothing else in a fresh clone is ignored.
    """
    rejected = names(copy, "ls-files", "--others", "-z", "--", "*.rej")
    found = [path for path in names(copy, "ls-files", *IGNORED) if path not in rejected]
    own = [path for path in found if (project / path).exists()]
    taken = [path for path in found if path not in own]
    if rejected or taken:
        git(copy, "add", "--force", "--", *rejected, *taken)
    for path in own:
        if (project / path).read_bytes() != (copy / path).read_bytes():
            report.not_applied.append(NotApplied(path, KEPT))
    return taken
