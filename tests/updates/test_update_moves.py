"""An update to a release that moved files: the owner's edits move with them."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.releases import commit, edit, git
from tests.support.tiny_template import Tiny, open_tiny

LAKEBASE = "agent_server/lakebase.py"
POOL = "agent_server/database/pool.py"
NEW_LAKEBASE = "agent_server/database/lakebase.py"
CSS = "agent_server/page/page.css"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Return the template with its two releases."""
    return open_tiny(tmp_path_factory.mktemp("home of ada"))


@pytest.fixture
def project(tiny: Tiny, tmp_path: Path) -> Path:
    """Return a project of the old release."""
    return tiny.generate(tmp_path / "my agent")


def change(project: Path, path: str, old: str, new: str) -> None:
    """Edit a file as its owner would, and commit it."""
    edit(project / path, lambda text: text.replace(old, new, 1))
    commit(project)


def update(tiny: Tiny, project: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    """Run `lakebase-agent update --yes`."""
    return tiny.published.update(project, "--yes", *more)


def test_an_edit_moves_with_its_definition(tiny: Tiny, project: Path) -> None:
    change(project, LAKEBASE, "        return 10", "        # Mine.\n        return 10")
    done = update(tiny, project)
    assert (done.returncode, done.stderr) == (0, "")
    assert "        # Mine.\n        return 20\n" in (project / POOL).read_text()
    assert not (project / LAKEBASE).exists()


def test_moves_are_listed_as_moves(tiny: Tiny, project: Path) -> None:
    change(project, LAKEBASE, "return 10", "return 10  # Mine.")
    said = update(tiny, project, "--dry-run").stdout
    moves = re.findall(r"^  move +(.*)$", said, re.MULTILINE)
    assert moves == [
        f"{LAKEBASE} -> {NEW_LAKEBASE}   (with your edits in it)",
        "agent_server/static/page.css -> agent_server/page/page.css",
    ]
    assert re.findall(r"^  delete", said, re.MULTILINE) == []


def test_nobody_is_warned_of_edits_that_move(tiny: Tiny, project: Path) -> None:
    change(project, LAKEBASE, '"""Postgres."""', '"""Postgres."""\n# Mine.')
    done = tiny.published.update(project)
    assert (done.returncode, done.stderr) == (0, "")
    assert "# Mine." in (project / NEW_LAKEBASE).read_text()


def test_files_that_are_no_python_move_too(tiny: Tiny, project: Path) -> None:
    change(project, "agent_server/static/page.css", "a {}", "a {color: red}")
    assert update(tiny, project).returncode == 0
    assert (project / CSS).read_text() == "a {color: red}\n\n\nb {}\n\n\nc {}\n"


def test_the_owners_files_import_from_the_new_modules(tiny: Tiny, project: Path) -> None:
    (project / "own.py").write_bytes(b"from agent_server.lakebase import Pool  # mine\r\n")
    commit(project)
    assert update(tiny, project).returncode == 0
    expected = b"from agent_server.database.pool import Pool  # mine\r\n"
    assert (project / "own.py").read_bytes() == expected
    agent = (project / "agent_server/agent.py").read_text()
    assert agent.startswith("from agent_server.database.lakebase import schema\n")


@pytest.mark.slow
def test_plain_copier_update_does_the_same(tiny: Tiny, project: Path, tmp_path: Path) -> None:
    change(project, LAKEBASE, "        return 10", "        # Mine.\n        return 10")
    other = tmp_path / "other"
    subprocess.run(["cp", "-r", str(project), str(other)], check=True)
    update(tiny, project)
    done = tiny.published.run(other, "copier", "update", "--trust", "--defaults")
    assert f"moved: {LAKEBASE} -> {NEW_LAKEBASE}   (with your edits in it)" in done.stdout
    for folder in (project, other):
        git(folder, "add", "--all")
    assert git(project, "diff", "HEAD") == git(other, "diff", "HEAD")


def test_a_line_that_both_changed_is_a_conflict_there_alone(tiny: Tiny, project: Path) -> None:
    change(project, LAKEBASE, "return 10", "return 11")
    done = update(tiny, project)
    assert (done.returncode, POOL in done.stderr) == (1, True)
    assert done.stdout.splitlines()[-1] == f"  conflict  {POOL}"
    text = (project / POOL).read_text()
    assert text.count("<<<<<<< before updating\n        return 11\n=======\n") == 1
    assert "<<<<<<<" not in (project / NEW_LAKEBASE).read_text()


def test_the_whole_update_can_be_undone(tiny: Tiny, project: Path) -> None:
    change(project, LAKEBASE, "return 10", "return 11")
    way_back = update(tiny, project).stderr.strip().splitlines()[-1].strip()
    subprocess.run(way_back, cwd=project, shell=True, check=True, capture_output=True)
    assert git(project, "status", "--porcelain") == ""


def test_what_the_owner_deleted_is_not_applied_and_said(tiny: Tiny, project: Path) -> None:
    git(project, "rm", "--quiet", LAKEBASE)
    commit(project)
    done = update(tiny, project)
    assert done.stdout.splitlines()[-1] == f"  not applied: {LAKEBASE}, which changed"
    assert not (project / POOL).exists() and not (project / NEW_LAKEBASE).exists()


@pytest.mark.slow
def test_an_own_file_in_the_new_place_is_kept_in_a_conflict(tiny: Tiny, project: Path) -> None:
    (project / POOL).parent.mkdir()
    (project / POOL).write_text("mine = 1\n")
    commit(project)
    done = update(tiny, project)
    text = (project / POOL).read_text()
    assert (done.returncode, "mine = 1\n" in text, "return 20" in text) == (1, True, True)


def test_a_project_with_carriage_returns_keeps_them(tiny: Tiny, project: Path) -> None:
    edit(project / LAKEBASE, lambda text: text.replace("return 10", "return 10  # Mine."))
    content = (project / LAKEBASE).read_bytes().replace(b"\n", b"\r\n")
    (project / LAKEBASE).write_bytes(content)
    commit(project)
    update(tiny, project)
    content = (project / POOL).read_bytes()
    assert b"# Mine.\r\n" in content and b"\n" not in content.replace(b"\r\n", b"")


def test_a_project_inside_another_repository_moves(tiny: Tiny, tmp_path: Path) -> None:
    outer = tmp_path / "mono repo"
    project = tiny.generate(outer / "agents" / "mine")
    subprocess.run(["rm", "-rf", str(project / ".git")], check=True)
    git(outer, "init", "--quiet")
    change(project, LAKEBASE, "        return 10", "        # Mine.\n        return 10")
    assert update(tiny, project).returncode == 0
    assert "# Mine." in (project / POOL).read_text()


@pytest.mark.slow
def test_a_second_update_does_nothing(tiny: Tiny, project: Path) -> None:
    change(project, LAKEBASE, "        return 10", "        # Mine.\n        return 10")
    update(tiny, project)
    commit(project)
    assert "nothing changes" in update(tiny, project).stdout


def test_a_table_that_can_not_be_read_loses_nothing(tmp_path: Path) -> None:
    tiny = open_tiny(tmp_path / "home", moves="[modules")
    project = tiny.generate(tmp_path / "p")
    change(project, LAKEBASE, "return 10", "return 11")
    done = tiny.published.run(project, "copier", "update", "--trust", "--defaults")
    assert done.returncode == 0
    assert "Could not merge your edits" in done.stdout
    assert "return 11" in git(project, "show", f"HEAD:{LAKEBASE}")
