"""An update that is killed: before it writes, and in the middle of `git apply`."""

import shutil
import subprocess
from pathlib import Path

import pytest

from lakebase_agent.update.killed import UNDO, way_back
from tests.support.releases import PROGRAMS, commit, git
from tests.support.tiny_template import Tiny, open_tiny

SLOW = "agent_server/user.py"  # which the update changes
SLOWLY = "if [ -e .git/reached ]; then cat; else touch .git/reached; sleep 60; fi"
UPDATE = f"setsid '{PROGRAMS}/lakebase-agent' update --yes"
KILL = UPDATE + " & until ls {found}; do kill -0 $! || exit; sleep 0.05; done; kill -9 -$!"
REHEARSING, WRITING = '"$TMPDIR"/lakebase-agent-*', ".git/reached"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return open_tiny(tmp_path_factory.mktemp("home of ada"))


@pytest.fixture(scope="module")
def original(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project in which git takes a minute to write one file, the first time."""
    folder = tiny.generate(tmp_path_factory.mktemp("original") / "my agent")
    (folder / ".gitattributes").write_text(f"{SLOW} filter=slow\n")
    (folder / ".gitignore").write_text("page/\n")  # to which the update brings a file
    commit(folder)
    git(folder, "config", "filter.slow.smudge", SLOWLY)
    return folder


@pytest.fixture(scope="module")
def left(tiny: Tiny, original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose update was killed in the middle of `git apply`."""
    folder = Path(shutil.copytree(original, tmp_path_factory.mktemp("left") / "my agent"))
    kill(tiny, folder, WRITING)
    return folder


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "my agent"))


@pytest.fixture
def killed(left: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(left, tmp_path / "my agent"))


def kill(tiny: Tiny, project: Path, found: str, **variables: str) -> None:
    """Update a project, and kill all of it as soon as a file is there."""
    script = KILL.format(found=found)
    assert tiny.published.run(project, "sh", "-c", script, **variables).returncode == 0


def contents(project: Path) -> dict[str, bytes]:
    """Return every file of a project, and what git has of it."""
    paths = [path for path in project.rglob("*") if path.is_file() and ".git" not in path.parts]
    index = git(project, "ls-files", "--stage").encode()
    return {str(path): path.read_bytes() for path in paths} | {"index": index}


def test_before_it_writes_a_kill_leaves_the_project_unchanged(
    tiny: Tiny, project: Path, tmp_path: Path
) -> None:
    before = contents(project)
    (tmp_path / "tmp").mkdir()
    kill(tiny, project, REHEARSING, TMPDIR=str(tmp_path / "tmp"))
    assert (contents(project), way_back(project)) == (before, "")


@pytest.mark.parametrize("locked", [False, True])
def test_while_it_writes_the_next_update_names_the_command_that_undoes_it(
    tiny: Tiny, killed: Path, locked: bool
) -> None:
    assert (killed / SLOW).read_bytes() == b""
    (killed / ".git" / "index.lock").touch() if locked else None
    done = tiny.published.update(killed)
    assert (done.returncode, "was killed while it wrote" in done.stderr) == (2, True)
    subprocess.run(done.stderr.splitlines()[1], cwd=killed, shell=True, check=True)
    assert git(killed, "status", "--porcelain", "--ignored") == ""
    assert tiny.published.update(killed, "--yes").returncode == 0


@pytest.mark.parametrize("command", ["link", "doctor", "adopt", "add-tool"])
def test_while_it_is_half_written_every_command_names_the_way_back(
    tiny: Tiny, killed: Path, command: str
) -> None:
    done = tiny.published.run(killed, "lakebase-agent", command)
    assert (done.returncode, UNDO in done.stderr) == (2, True)


def test_after_the_way_back_nothing_is_said_of_it(killed: Path) -> None:
    subprocess.run(way_back(killed), cwd=killed, shell=True, check=True)
    assert way_back(killed) == ""


def test_what_the_owner_committed_since_is_not_undone(killed: Path) -> None:
    assert way_back(killed)
    commit(killed)
    (killed / "mine.py").touch()
    assert way_back(killed) == ""


def test_an_update_that_ends_is_not_taken_for_a_killed_one(tiny: Tiny, project: Path) -> None:
    (project / ".git" / "reached").touch()
    assert tiny.published.update(project, "--yes").returncode == 0
    assert git(project, "status", "--porcelain") and way_back(project) == ""
