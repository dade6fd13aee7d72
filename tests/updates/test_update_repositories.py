"""An update in the repositories that people have: with links, hooks, modes and settings of git."""

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from lakebase_agent.errors import UsageError
from lakebase_agent.update.checks import ROOMS, check_project
from tests.support.releases import commit, git
from tests.support.rendering import Combination, template_files
from tests.support.tiny_template import OLD, USER, Tiny, open_tiny

OTHER, OWN, MOVED = "agent_server/user.py", "mine.py", "agent_server/lakebase.py"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Return a template that moves files."""
    return open_tiny(tmp_path_factory.mktemp("home of ada"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a committed project; nothing fetches its template."""
    folder = tmp_path / "my agent"
    answers = {".copier-answers.yml": "_commit: v0.2.0\n_src_path: gh:org/none\napp_name: a\n"}
    for name, text in {**OLD, **answers}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


class Updated(NamedTuple):
    """A project after an update, and what that printed."""

    project: Path
    said: str


@pytest.fixture(scope="module")
def peculiar(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Updated:
    """Return an updated project on no branch, with a link, a program, and hooks that refuse."""
    project = tiny.generate(tmp_path_factory.mktemp("peculiar") / "Größe 名前")
    (project / OTHER).rename(project / OWN)
    (project / OTHER).symlink_to(f"../{OWN}")
    (project / MOVED).chmod(0o755)
    commit(project)
    git(project, "checkout", "--quiet", "--detach")
    hooks = tmp_path_factory.mktemp("hooks")
    for name in ("pre-commit", "commit-msg", "post-checkout"):
        (hooks / name).write_text("#!/bin/sh\nexit 1\n")
        (hooks / name).chmod(0o755)
    git(project, "config", "--file", str(tiny.published.home / ".gitconfig"), "commit.gpgsign", "1")
    settings = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.hooksPath"}
    done = tiny.published.run(
        project, "lakebase-agent", "update", **settings, GIT_CONFIG_VALUE_0=str(hooks)
    )
    assert (done.returncode, done.stderr) == (0, "")
    return Updated(project, done.stdout)


def test_a_symbolic_link_of_the_owner_stays_one(peculiar: Updated) -> None:
    assert os.readlink(peculiar.project / OTHER) == f"../{OWN}"
    assert "delete" not in peculiar.said
    assert f"not applied: {OTHER}, which changed; yours is {OWN}" in peculiar.said


def test_what_a_link_leads_to_is_updated_where_it_is(peculiar: Updated) -> None:
    new = USER.replace("lakebase", "database.lakebase")
    assert (peculiar.project / OWN).read_text() == new


def test_a_program_that_moves_stays_a_program(peculiar: Updated) -> None:
    assert os.access(peculiar.project / "agent_server/database/lakebase.py", os.X_OK)
    assert not os.access(peculiar.project / "agent_server/database/pool.py", os.X_OK)


def test_a_file_where_the_template_has_a_folder_is_named(tiny: Tiny, tmp_path: Path) -> None:
    project = tiny.generate(tmp_path / "my agent")
    (project / "agent_server/database").write_text("mine")
    commit(project)
    done = tiny.published.update(project)
    assert done.returncode == 2
    assert "agent_server/database of yours is where the template has a folder" in done.stderr
    assert git(project, "status", "--porcelain") == ""


def refusal(project: Path) -> str:
    """Return why a project is not updated."""
    with pytest.raises(UsageError) as raised:
        check_project(project)
    return str(raised.value)


def test_a_linked_folder_is_refused(project: Path) -> None:
    (project / "agent_server").rename(project / "src")
    (project / "agent_server").symlink_to("src")
    commit(project)
    assert refusal(project).startswith("an update can't follow agent_server: make it a folder")


def test_a_link_of_the_owners_elsewhere_is_not_refused(project: Path) -> None:
    (project / "data").symlink_to("agent_server")
    commit(project)
    assert check_project(project)["_commit"] == "v0.2.0"


def test_every_folder_of_the_template_is_one_that_must_not_be_linked() -> None:
    files = template_files(Combination("langgraph", (), "local").framework)
    assert {path.split("/")[0] for path in files if "/" in path} <= set(ROOMS)


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_a_file_that_git_does_not_watch_is_named_with_the_command(project: Path, flag: str) -> None:
    git(project, "update-index", flag, OTHER)
    (project / OTHER).write_text("mine")
    assert f"--no-skip-worktree --no-assume-unchanged {OTHER}" in refusal(project)


def test_a_sparse_checkout_is_refused(project: Path) -> None:
    git(project, "sparse-checkout", "set", "docs")
    assert refusal(project).endswith("Run: git sparse-checkout disable")


def test_new_files_count_as_uncommitted_even_if_git_hides_them(project: Path) -> None:
    git(project, "config", "status.showUntrackedFiles", "no")
    (project / "größe 2.txt").touch()
    assert refusal(project) == "commit or stash your changes first: größe 2.txt"


def test_inside_a_git_hook_it_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(project / ".git"))
    assert refusal(project).endswith("Run: unset GIT_DIR")


def test_without_a_repository_the_commands_are_named(project: Path) -> None:
    (project / ".git").rename(project.parent / "gone")
    assert "\n    git init && git add --all && git commit" in refusal(project)
