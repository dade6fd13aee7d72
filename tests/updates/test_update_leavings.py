"""An update leaves nothing out in silence, whatever its owner moved, deleted, ignored or wrote."""

import subprocess
from pathlib import Path

import pytest

from lakebase_agent.project.answers import read_answers
from tests.support.releases import commit, edit, git
from tests.support.tiny_template import NEW, Tiny, open_tiny, release

OTHER = "agent_server/user.py"
ADDED = "docs/guide.md"
NEXT = {
    **NEW,
    OTHER: NEW[OTHER] + "LIMIT = 2\n",
    ADDED: "How to.\n",
    "agent_server/database/pool.py": NEW["agent_server/database/pool.py"].replace("20", "30"),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Return a template whose last release moved nothing."""
    tiny = open_tiny(tmp_path_factory.mktemp("home of ada"))
    release(tiny, "v0.3.1", NEXT)
    return tiny


@pytest.fixture
def project(tiny: Tiny, tmp_path: Path) -> Path:
    """Return a project of the release before it."""
    return tiny.generate(tmp_path / "my agent", "v0.3.0")


def update(tiny: Tiny, project: Path) -> "subprocess.CompletedProcess[str]":
    """Commit what was edited, and run `lakebase-agent update --yes`."""
    commit(project)
    return tiny.published.update(project, "--yes")


def test_a_change_to_a_file_that_the_owner_deleted_is_told_last(tiny: Tiny, project: Path) -> None:
    git(project, "rm", "--quiet", OTHER)
    done = update(tiny, project)
    assert done.stdout.splitlines()[-1] == f"  not applied: {OTHER}, which changed"
    assert not (project / OTHER).exists()


def test_a_change_to_a_file_that_the_owner_moved_is_told_last(tiny: Tiny, project: Path) -> None:
    git(project, "mv", OTHER, "agent_server/mine.py")
    done = update(tiny, project)
    told = f"  not applied: {OTHER}, which changed; yours is agent_server/mine.py"
    assert done.stdout.splitlines()[-1] == told
    assert (project / "agent_server/mine.py").read_text() == NEW[OTHER]


def test_nothing_is_told_of_a_deleted_file_that_did_not_change(tiny: Tiny, project: Path) -> None:
    git(project, "rm", "--quiet", "agent_server/page/page.css")
    assert "not applied" not in update(tiny, project).stdout


def test_a_new_file_at_a_path_that_git_ignores_is_brought(tiny: Tiny, project: Path) -> None:
    (project / ".gitignore").write_text("docs/\n")
    done = update(tiny, project)
    assert (project / ADDED).read_text() == NEXT[ADDED]
    assert f"  add       {ADDED}   (git ignores it: git add --force)" in done.stdout.splitlines()


def test_the_owners_own_ignored_file_is_kept_and_told(tiny: Tiny, project: Path) -> None:
    (project / ".gitignore").write_text("docs/\n")
    (project / ADDED).parent.mkdir()
    (project / ADDED).write_text("mine")
    done = update(tiny, project)
    told = f"  not applied: {ADDED}, which is new; yours, which git ignores, is kept"
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, told)
    assert (project / ADDED).read_text() == "mine"


def with_carriage_returns(project: Path) -> None:
    """Let every line of the project end as on Windows."""
    for path in project.rglob("*"):
        if path.is_file() and ".git/" not in path.as_posix():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def test_carriage_returns_make_no_conflicts_and_are_kept(tiny: Tiny, project: Path) -> None:
    edit(project / OTHER, lambda text: "# Mine.\n" + text)
    with_carriage_returns(project)
    done = update(tiny, project)
    assert (done.returncode, done.stderr) == (0, "")
    assert (project / OTHER).read_bytes().startswith(b"# Mine.\r\nfrom agent_server.database")
    assert (project / OTHER).read_bytes().endswith(b"LIMIT = 2\r\n")
    untouched = "agent_server/database/lakebase.py"
    assert git(project, "status", "--porcelain", "--", untouched) == ""


def test_a_conflict_among_carriage_returns_is_in_its_lines_alone(tiny: Tiny, project: Path) -> None:
    pool = project / "agent_server/database/pool.py"
    edit(pool, lambda text: text.replace("return 20", "return 21"))
    with_carriage_returns(project)
    done = update(tiny, project)
    assert (done.returncode, done.stdout.count("  conflict ")) == (1, 1)
    assert pool.read_bytes().count(b"class Pool:\r\n") == 1
    assert b"\n" not in pool.read_bytes().replace(b"\r\n", b"")


@pytest.mark.parametrize("commit", ["55214e0", "5521400", "0521400", "v0.3.0"])
def test_a_commit_that_looks_like_a_number_is_text(tmp_path: Path, commit: str) -> None:
    (tmp_path / ".copier-answers.yml").write_text(f"_commit: {commit}\napp_name: a\n")
    assert read_answers(tmp_path)["_commit"] == commit
