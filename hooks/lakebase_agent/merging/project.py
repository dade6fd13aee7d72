"""Merging a project that Copier has just updated, and reporting the result.

Copier drops the owner's edits in a file that the template moved. They are still in HEAD: this
renders the old and the new version again, and merges the edits into the new files.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from copier import run_copy

from lakebase_agent.merging.merged import Merged, Moved, NotApplied
from lakebase_agent.merging.moves import Moves, moves_between
from lakebase_agent.merging.trees import MERGED, left_out, merge_trees

REPORT = "LAKEBASE_AGENT_REPORT"  # names the file to write the report to, instead of printing it
OURS = "LAKEBASE_AGENT_OURS"  # names the commit with the owner's files, if that is not HEAD


def move_edits(project: Path, answers_file: str, owned: Sequence[str], versions: list[str]) -> None:
    """Merge the edits that Copier can't into an updated project, and report the result.

    `owned` are the owner's files and folders, which no update touches; `versions` are those before
    and after the update. Nothing is written before the whole merge is done.

    Raises OSError, ValueError, CalledProcessError and Copier's errors.
    """
    unmerged = _names(
        project, "diff", "--name-only", "--diff-filter=U", "--relative", "-z", "--", "."
    )
    merging = [path for path in unmerged if path.endswith(MERGED)]
    moves = moves_between(*versions)
    with _open_trees(project, answers_file, owned) as (base, ours, theirs):
        if moves.modules or moves.names:
            merged = merge_trees(base, ours, theirs, moves)
        else:
            merged = _merge_staged(project, merging)
            merged.not_applied += left_out(base, ours, theirs)
    _write(project, merged)
    resolved = [path for path in merging if path not in merged.conflicts and path in merged.files]
    if resolved:
        _git(project, "reset", "--quiet", "--", *resolved)
    _report(merged)


def _merge_staged(project: Path, paths: list[str]) -> Merged:
    """Merge the files in which git found conflicts."""
    base: dict[str, str] = {}
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}
    for path in paths:
        for tree, stage in ((base, 1), (ours, 2), (theirs, 3)):
            try:
                tree[path] = _text(_git(project, "show", f":{stage}:./{path}"))
            except subprocess.CalledProcessError:
                return Merged(conflicts=paths)  # added or deleted on one side
    return merge_trees(base, ours, theirs, Moves())


@contextmanager
def _open_trees(
    project: Path, answers_file: str, owned: Sequence[str]
) -> Iterator[tuple[dict[str, str], dict[str, str], dict[str, str]]]:
    """Yield the files of the old release, of the owner, and of the new release."""
    with tempfile.TemporaryDirectory(prefix="lakebase-agent-") as name:
        folder = Path(name).resolve()
        ours_at = os.environ.get(OURS, "HEAD")
        before = _answers(_text(_git(project, "show", f"{ours_at}:./{answers_file}")))
        after = _answers((project / answers_file).read_text("utf-8"))
        base = _render(before, folder / "old" / project.name)
        theirs = _render(after, folder / "new" / project.name)
        ours = _read(_check_out(project, ours_at, folder))
        kept = [path for path in base.keys() | theirs.keys() if _is_owned(path, owned)]
        for tree in (base, theirs):
            for path in (*kept, answers_file):
                tree.pop(path, None)
        yield base, ours, theirs


def _answers(text: str) -> dict[str, Any]:
    answers: dict[str, Any] = yaml.safe_load(text)
    # YAML reads a commit such as 55214e0 as a number.
    return answers | {"_commit": str(yaml.load(text, yaml.BaseLoader)["_commit"])}


def _render(answers: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return the template's files, rendered with answers at the version they name."""
    data = {key: value for key, value in answers.items() if not key.startswith("_")}
    run_copy(
        answers["_src_path"], folder, data, vcs_ref=answers["_commit"],
        defaults=True, quiet=True, unsafe=True, skip_tasks=True,
    )  # fmt: skip
    return _read(folder)


def _check_out(project: Path, commit: str, folder: Path) -> Path:
    """Write the project as it is in a commit to a folder, and return where."""
    index = {"GIT_INDEX_FILE": str(folder / "index")}
    _git(project, "read-tree", commit, variables=index)
    names = _git(project, "ls-files", "-z", "--", ".", variables=index)
    target = f"--prefix={folder.as_posix()}/ours/"
    _git(project, "checkout-index", "-z", "--stdin", target, variables=index, given=names)
    prefix = _git(project, "rev-parse", "--show-prefix").decode().removesuffix("\n")
    return folder / "ours" / prefix


def _read(folder: Path) -> dict[str, str]:
    """Return the text of every file below a folder; invalid UTF-8 survives as surrogates."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {path.relative_to(folder).as_posix(): _text(path.read_bytes()) for path in sorted(paths)}


def _is_owned(path: str, owned: Sequence[str]) -> bool:
    names = [name.strip("/") for name in owned]
    return any(path == name or path.startswith(f"{name}/") for name in names)


def _write(project: Path, merged: Merged) -> None:
    for path, text in merged.files.items():
        target, new = project / path, text.encode("utf-8", "surrogateescape")
        if not target.is_file() or target.read_bytes() != new:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(new)
    for path in merged.deleted:
        target = project / path
        target.unlink(missing_ok=True)
        for folder in target.relative_to(project).parents[:-1]:
            if (project / folder).is_dir() and not any((project / folder).iterdir()):
                (project / folder).rmdir()


def _report(merged: Merged) -> None:
    if path := os.environ.get(REPORT):
        report = {name: value for name, value in asdict(merged).items() if name != "files"}
        Path(path).write_text(json.dumps(report), "utf-8")
        return
    for line in lines(merged):
        print(line, flush=True)


def read_report(path: Path) -> Merged:
    """Return the reported result of an update, without the files; empty if there is no report."""
    if not path.is_file():
        return Merged()
    report = json.loads(path.read_text("utf-8"))
    return Merged(
        conflicts=report["conflicts"],
        moved=[Moved(**item) for item in report["moved"]],
        not_applied=[NotApplied(**item) for item in report["not_applied"]],
    )


def lines(merged: Merged) -> Iterator[str]:
    """Yield the lines that report a merge, those that call for action last."""
    for moved in merged.moved:
        edits = "   (with your edits in it)" if moved.edited else ""
        yield f"moved: {moved.old} -> {moved.new}{edits}"
    for path in merged.conflicts:
        yield f"conflict: {path}"
    for path in merged.dropped:
        yield f"deleted: {path}   (with your edits in it; `git show HEAD:./{path}` has them)"
    for item in merged.not_applied:
        yield f"not applied: {item.path}, {item.reason}"


def _names(project: Path, *arguments: str) -> list[str]:
    return [name for name in _text(_git(project, *arguments)).split("\0") if name]


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _git(
    project: Path, *arguments: str, variables: Mapping[str, str] | None = None, given: bytes = b""
) -> bytes:
    done = subprocess.run(
        ["git", *arguments], cwd=project, env={**os.environ, **(variables or {})}, input=given,
        capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout
