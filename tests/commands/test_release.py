"""Releasing a version of this repository."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.releases import commit, git, releases_of
from tests.support.rendering import REPOSITORY

NEWS = "### Added\n\n- Something.\n\n"
CHANGELOG = f"# Changelog\n\n## Unreleased\n\n{NEWS}## 0.1.0 - 2026-01-01\n\n- All.\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with a version, a changelog, and a committer."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
    text = '[project]\nname = "x"  # kept\nversion = "0.1.0"\n'
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    git(tmp_path, "tag", "v0.1.0")
    return tmp_path


def release(repository: Path, version: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(REPOSITORY / "scripts" / "release.py"), version]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


def test_a_release_is_a_commit_a_tag_and_a_section_of_the_changelog(repository: Path) -> None:
    done = release(repository, "0.2.0")
    assert done.returncode == 0, done.stderr
    head = git(repository, "rev-parse", "HEAD")
    assert releases_of(repository) == {"v0.2.0": head}
    assert git(repository, "rev-parse", "v0.2.0") == head
    text = (repository / "pyproject.toml").read_text()
    assert tomllib.loads(text)["project"]["version"] == "0.2.0" and "# kept" in text
    log = (repository / "CHANGELOG.md").read_text()
    assert "## Unreleased\n\n## 0.2.0 - 20" in log and log.count("- Something.") == 1


@pytest.mark.parametrize(
    ("version", "reason"),
    [("0.1.0", "released already"), ("0.0.9", "earlier"), ("next", "not a version")],
)
def test_a_version_that_cannot_be_next_is_refused(
    repository: Path, version: str, reason: str
) -> None:
    before = git(repository, "rev-parse", "HEAD")
    done = release(repository, version)
    assert (done.returncode, reason in done.stderr) == (1, True)
    assert git(repository, "rev-parse", "HEAD") == before
    assert git(repository, "status", "--porcelain") == ""


def test_uncommitted_changes_are_refused(repository: Path) -> None:
    (repository / "left.txt").touch()
    done = release(repository, "0.2.0")
    assert (done.returncode, "left.txt" in done.stderr) == (1, True)


def test_a_release_without_changes_to_announce_is_refused(repository: Path) -> None:
    (repository / "CHANGELOG.md").write_text(CHANGELOG.replace(NEWS, ""))
    commit(repository)
    done = release(repository, "0.2.0")
    assert (done.returncode, "no entry" in done.stderr) == (1, True)
    assert git(repository, "tag") == "v0.1.0"


def test_a_refused_commit_leaves_everything_unchanged(repository: Path) -> None:
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert release(repository, "0.2.0").returncode == 1
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "tag") == "v0.1.0"
