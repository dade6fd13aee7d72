"""`lakebase-agent` on the other Pythons that it supports, and with its oldest packages."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.commands.test_help import COMMANDS, check_help
from tests.support.existing_agents import app_template, write_agent
from tests.support.releases import CURRENT, MADE_UP, Published, git
from tests.support.rendering import REPOSITORY

pytestmark = pytest.mark.slow
OLDEST = "oldest packages"


class Installed(NamedTuple):
    """The command in an environment of its own, in a home with the published template."""

    command: Path
    published: Published

    def run(self, folder: Path, *arguments: str) -> str:
        """Run the command and return what it printed; fail when it fails."""
        done = self.published.run(folder, str(self.command), *arguments, COLUMNS="80")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(
    scope="module", params=[pytest.param("3.12", marks=pytest.mark.long), "3.13", OLDEST]
)
def installed(
    request: pytest.FixtureRequest, published: Published, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """Return the command, installed for another version of Python, or with its oldest packages."""
    oldest = request.param == OLDEST
    python = sys.executable if oldest else next(pythons(request.param), None)
    if not python:
        pytest.skip(f"there is no Python {request.param} on this machine")
    place = tmp_path_factory.mktemp("a tool") / request.param
    subprocess.run(["uv", "venv", "--quiet", "--python", python, place], check=True)
    resolution = "lowest-direct" if oldest else "highest"
    install = ["uv", "pip", "install", "--quiet", "--python", place, "--resolution", resolution]
    subprocess.run([*install, REPOSITORY], check=True)
    return Installed(place / "bin" / "lakebase-agent", published)


def pythons(version: str) -> Iterator[str]:
    """Yield the interpreters of a version that work; a shim may be there for none."""
    found = shutil.which(f"python{version}")
    pyenv = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
    for python in [*([found] if found else []), *map(str, pyenv)]:
        if subprocess.run([python, "--version"], capture_output=True).returncode == 0:
            yield python


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(installed: Installed, command: str) -> None:
    check_help(installed.run(installed.published.home, command, "--help"), command)


def test_a_project_is_generated(installed: Installed, tmp_path: Path) -> None:
    source = str(installed.published.home / "clone")
    options = ("--defaults", "--no-install", "--source", source)
    installed.run(tmp_path, "new", "my agent", *options)
    assert (tmp_path / "my agent" / "agent_server" / "agent.py").is_file()


def test_a_project_inside_another_repository_is_updated(
    installed: Installed, tmp_path: Path
) -> None:
    git(tmp_path, "init", "--quiet")
    project = installed.published.generate(tmp_path / "my agent", MADE_UP[1])
    installed.run(project, "update", "--yes")
    assert f"_commit: {CURRENT}" in (project / ".copier-answers.yml").read_text()


def test_an_agent_is_adopted(installed: Installed, tmp_path: Path) -> None:
    agent = write_agent(tmp_path / "my agent", app_template("openai"))
    source = str(installed.published.home / "clone")
    installed.run(agent, "adopt", "--yes", "--instance", "memory", "--source", source)
    assert (agent / "agent_server" / "lakebase_memory" / "threads" / "lease.py").is_file()
