"""What `copier copy` does once a project is rendered: git, and never a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COPIER = (sys.executable, "-m", "copier", "copy", "--trust", "--defaults")
IDENTITY = "[user]\nname = Ada\nemail = ada@example.com\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home; git has no settings but what is written to its `.gitconfig`."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    (tmp_path / ".gitconfig").write_text(IDENTITY)
    (tmp_path / "called").touch()
    write_uv(tmp_path, "touch uv.lock")
    monkeypatch.setenv("UV", str(tmp_path / "uv"))
    return tmp_path


def write_uv(home: Path, script: str) -> None:
    """Write a stand-in for uv, which notes how it is called, and then runs a line of shell."""
    program = home / "uv"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{home / "called"}"\n{script}\n')
    program.chmod(0o755)


def copy(template: Path, project: Path, *options: str) -> str:
    """Run `copier copy` as a person would, and return all it said."""
    done = subprocess.run(
        [*COPIER, *options, str(template), str(project)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_new_project_is_a_repository_with_one_commit(template: Path, home: Path) -> None:
    said = copy(template, home / "my agent")
    log = git(home / "my agent", "log", "--format=%s by %an")
    assert log == "chore: generate my-agent from lakebase-agent by Ada"
    assert git(home / "my agent", "status", "--porcelain") == ""
    assert "with a first commit" in said
    assert "uv run start-app" in said


def test_without_a_git_identity_only_the_first_commit_gets_a_neutral_one(
    questions: Path, home: Path
) -> None:
    (home / ".gitconfig").write_text("[user]\nuseConfigOnly = true\n")
    said = copy(questions, home / "p")
    assert git(home / "p", "log", "--format=%ae") == "lakebase-agent@localhost"
    assert "does not know your name" in said
    assert "lakebase-agent" not in (home / "p" / ".git" / "config").read_text()


def test_inside_a_repository_nothing_is_committed(questions: Path, home: Path) -> None:
    git(home, "init", "--quiet")
    said = copy(questions, home / "p")
    assert not (home / "p" / ".git").exists()
    assert git(home, "rev-list", "--all") == ""
    assert "inside a git repository" in said


def test_without_git_the_project_stays_and_the_next_commands_are_shown(
    template: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(home / "nothing"))
    said = copy(template, home / "p")
    assert (home / "p" / "agent_server" / "agent.py").is_file()
    assert "git is not installed" in said
    assert "git init && git add --all && git commit" in said


def test_the_project_stays_when_its_commit_is_refused_and_the_reason_is_shown(
    template: Path, home: Path
) -> None:
    hook = home / "hooks" / "pre-commit"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\necho not on a Sunday >&2\nexit 1\n")
    hook.chmod(0o755)
    (home / ".gitconfig").write_text(f"{IDENTITY}[core]\nhooksPath = {hook.parent}\n")
    said = copy(template, home / "p")
    assert (home / "p" / "agent_server" / "agent.py").is_file()
    assert "not on a Sunday" in said


def test_the_hook_can_be_switched_off(
    questions: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEBASE_AGENT_NO_HOOKS", "1")
    copy(questions, home / "p")
    assert not (home / "p" / ".git").exists()


def test_a_quiet_copy_says_nothing(questions: Path, home: Path) -> None:
    assert copy(questions, home / "p", "--quiet") == ""
    assert (home / "p" / ".git").is_dir()


def test_a_refused_answer_leaves_nothing_behind(questions: Path, home: Path) -> None:
    command = [*COPIER, "--data", "app_name=Not This", str(questions), str(home / "p")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Validation error for question 'app_name'" in done.stderr.splitlines()[-1]
    assert not (home / "p").exists()


def test_the_hook_needs_only_the_standard_library(questions: Path, home: Path) -> None:
    (home / "p").mkdir()
    hook = questions / "hooks" / "post_gen.py"
    command = [sys.executable, "-I", "-S", str(hook), "p", "local"]
    subprocess.run(command, cwd=home / "p", check=True, capture_output=True)
    assert (home / "p" / ".git").is_dir()


@pytest.fixture
def uv(home: Path) -> Path:
    """Return where a stand-in for uv, which fails, notes how it was called."""
    write_uv(home, "exit 3")
    return home / "called"


def test_a_project_on_lakebase_is_linked_without_questions(
    questions: Path, home: Path, uv: Path
) -> None:
    copy(questions, home / "p", "-d", "lakebase=autoscaling")
    assert uv.read_text().endswith("lakebase-agent link --yes\n")


def test_the_project_stays_when_linking_fails_and_says_how_to_finish(
    questions: Path, home: Path, uv: Path
) -> None:
    said = copy(questions, home / "p", "-d", "lakebase=provisioned")
    assert git(home / "p", "status", "--porcelain") == ""
    assert "lakebase-agent link" in said and "with a first commit" in said


def test_a_local_project_is_not_linked(questions: Path, home: Path, uv: Path) -> None:
    copy(questions, home / "p")
    assert "link" not in uv.read_text()


def generate(questions: Path, home: Path) -> str:
    """Run the hook alone in a new project, and return what it said."""
    (home / "p").mkdir()
    (home / "p" / "pyproject.toml").touch()
    command = [sys.executable, str(questions / "hooks" / "post_gen.py"), "p", "local"]
    done = subprocess.run(command, cwd=home / "p", capture_output=True, text=True)
    return done.stdout + done.stderr


def test_the_packages_are_locked_and_the_lock_is_in_the_first_commit(
    questions: Path, home: Path
) -> None:
    generate(questions, home)
    assert (home / "called").read_text() == "lock --quiet\n"
    assert "uv.lock" in git(home / "p", "ls-files").split()


def test_a_project_that_cannot_be_locked_stays_and_says_how_to_finish(
    questions: Path, home: Path, uv: Path
) -> None:
    said = generate(questions, home)
    assert git(home / "p", "status", "--porcelain") == ""
    assert "uv lock && git add uv.lock" in said and "with a first commit" in said
