"""An update leaves nothing out in silence, whatever its owner moved, deleted, ignored or wrote."""

import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from lakebase_agent.project.answers import read_answers
from tests.support.releases import commit, edit, git
from tests.support.tiny_template import NEW, Tiny, open_tiny, release

OTHER = "agent_server/user.py"
POOL, CSS = "agent_server/database/pool.py", "agent_server/page/page.css"
ADDED, OWN = "docs/guide.md", "docs/own.md"
NEXT = {
    **NEW,
    OTHER: NEW[OTHER] + "LIMIT = 2\n",
    ADDED: "How to.\n",
    OWN: "How to own.\n",
    POOL: NEW[POOL].replace("20", "30"),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Return a template whose last release moved nothing."""
    tiny = open_tiny(tmp_path_factory.mktemp("home of ada"))
    release(tiny, "v0.3.1", NEXT)
    return tiny


class Updated(NamedTuple):
    """A project after an update, and how that ended."""

    project: Path
    done: "subprocess.CompletedProcess[str]"

    @property
    def last(self) -> list[str]:
        """The last two lines."""
        return self.done.stdout.splitlines()[-2:]


def updated(tiny: Tiny, project: Path) -> Updated:
    """Commit what was edited, and run `lakebase-agent update --yes`."""
    commit(project)
    return Updated(project, tiny.published.update(project, "--yes"))


@pytest.fixture(scope="module")
def rearranged(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Updated:
    """Return a project whose owner moved, deleted and ignored files."""
    project = tiny.generate(tmp_path_factory.mktemp("rearranged") / "my agent", "v0.3.0")
    git(project, "mv", OTHER, "agent_server/mine.py")
    git(project, "rm", "--quiet", POOL, CSS)
    (project / ".gitignore").write_text("docs/\n")
    (project / OWN).parent.mkdir()
    (project / OWN).write_text("mine")
    return updated(tiny, project)


def test_a_change_to_a_file_that_the_owner_deleted_is_told(rearranged: Updated) -> None:
    assert f"  not applied: {POOL}, which changed\n" in rearranged.done.stdout
    assert not (rearranged.project / POOL).exists()


def test_a_change_to_a_file_that_the_owner_moved_is_told(rearranged: Updated) -> None:
    told = f"  not applied: {OTHER}, which changed; yours is agent_server/mine.py\n"
    assert told in rearranged.done.stdout
    assert (rearranged.project / "agent_server/mine.py").read_text() == NEW[OTHER]


def test_nothing_is_told_of_a_deleted_file_that_did_not_change(rearranged: Updated) -> None:
    assert CSS not in rearranged.done.stdout


def test_a_new_file_at_a_path_that_git_ignores_is_brought(rearranged: Updated) -> None:
    assert (rearranged.project / ADDED).read_text() == NEXT[ADDED]
    told = f"  add       {ADDED}   (git ignores it: git add --force)\n"
    assert told in rearranged.done.stdout


def test_the_owners_own_ignored_file_is_kept_and_told_last(rearranged: Updated) -> None:
    told = f"  not applied: {OWN}, which is new; yours, which git ignores, is kept"
    assert (rearranged.done.returncode, rearranged.last[-1]) == (0, told)
    assert (rearranged.project / OWN).read_text() == "mine"


@pytest.fixture(scope="module")
def from_windows(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Updated:
    """Return a project whose every line ended in CRLF, with an edit and one that conflicts."""
    project = tiny.generate(tmp_path_factory.mktemp("windows") / "my agent", "v0.3.0")
    edit(project / OTHER, lambda text: "# Mine.\n" + text)
    edit(project / POOL, lambda text: text.replace("return 20", "return 21"))
    for path in project.rglob("*"):
        if path.is_file() and ".git/" not in path.as_posix():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    return updated(tiny, project)


def test_only_a_line_that_both_changed_conflicts_among_carriage_returns(
    from_windows: Updated,
) -> None:
    assert (from_windows.done.returncode, from_windows.done.stdout.count(" conflict ")) == (1, 1)
    assert (from_windows.project / POOL).read_bytes().count(b"class Pool:\r\n") == 1
    text = (from_windows.project / OTHER).read_bytes()
    assert text.startswith(b"# Mine.\r\nfrom agent_server.database")
    assert text.endswith(b"LIMIT = 2\r\n")


def test_carriage_returns_are_kept_and_given_to_new_files(from_windows: Updated) -> None:
    for path in (POOL, OTHER, ADDED, CSS):
        text = (from_windows.project / path).read_bytes()
        assert b"\n" not in text.replace(b"\r\n", b""), path
    unchanged = git(from_windows.project, "status", "--porcelain", "--", "agent_server/page")
    assert unchanged == ""


@pytest.mark.parametrize("commit", ["55214e0", "5521400", "0521400", "v0.3.0"])
def test_a_commit_that_looks_like_a_number_is_text(tmp_path: Path, commit: str) -> None:
    (tmp_path / ".copier-answers.yml").write_text(f"_commit: {commit}\napp_name: a\n")
    assert read_answers(tmp_path)["_commit"] == commit
