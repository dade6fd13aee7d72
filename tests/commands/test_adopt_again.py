"""`lakebase-agent adopt` in a project of an earlier release: its owner keeps every edit."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.support.adopted_earlier import add_this_tree, adopt_at_release, check_out_release
from tests.support.existing_agents import ODD, adopted, app_template, run, write_agent
from tests.support.owner_edits import edit_functions
from tests.support.releases import commit, edit, git
from tests.support.rendering import FRAMEWORKS

RELEASE = "v0.2.6"
MEMORY = "agent_server/lakebase_memory"
FLAGS = ("--lakebase", "autoscaling")
OWN = """\
from agent_server.lakebase_memory import leases
from agent_server.lakebase_memory.texts import to_storable
from .lakebase_memory import identity


def used():
    from agent_server.lakebase_memory.memory_store import open_store

    return open_store, to_storable, identity.User, leases.open_lease
"""
OWN_NOW = """\
from agent_server.lakebase_memory.database.text import to_storable
from agent_server.lakebase_memory.threads import lease as leases
from .lakebase_memory import identity


def used():
    from agent_server.lakebase_memory.database.memory import open_store

    return open_store, to_storable, identity.User, leases.open_lease
"""


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template in git at a release whose modules were in one folder."""
    return check_out_release(tmp_path_factory.mktemp("flat") / "the template", RELEASE)


@pytest.fixture(scope="module")
def source(flat: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template in git, with that release and this one."""
    return add_this_tree(flat, tmp_path_factory.mktemp("source") / "the template")


def modules_of(folder: Path) -> list[Path]:
    """Return the modules that adoption added, and its script."""
    modules = [path for path in folder.rglob("*.py") if path.is_relative_to(folder / MEMORY)]
    return [*modules, folder / "scripts" / "grant_lakebase_memory.py"]


def edit_every_function(paths: list[Path]) -> list[str]:
    """Add a comment to every function of some modules, and return the comments."""
    added = []
    for path in paths:
        text, more = edit_functions(path.name, path.read_text(), ("first", "last"), "# mine: {}")
        path.write_text(text)
        added += more
    return added


def lost(added: list[str], folder: Path) -> list[str]:
    """Return the comments that are not in the project exactly once."""
    texts = [path.read_text() for path in folder.rglob("*.py")]
    counts = Counter(line.strip() for text in texts for line in text.splitlines())
    return [line for line in added if counts[line] != 1]


def check_names(folder: Path) -> None:
    """Fail if the project's code uses a name that is not defined, or a module that is not there."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E9,F821,F823"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    for path in folder.rglob("*.py"):
        for module in re.findall(r"(?:from|import) (agent_server[.\w]*)", path.read_text()):
            place = folder.joinpath(*module.split("."))
            assert place.is_dir() or place.with_suffix(".py").is_file(), f"{path}: {module}"


@pytest.fixture(scope="module", params=FRAMEWORKS)
def original(
    request: pytest.FixtureRequest, flat: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return an agent that the earlier release adopted, to be copied."""
    home = tmp_path_factory.mktemp("original")
    folder = write_agent(home / "my agent", app_template(request.param))
    adopt_at_release(folder, flat, *FLAGS)
    return folder


@pytest.fixture
def agent(original: Path, tmp_path: Path) -> Path:
    """Return an agent that the earlier release adopted."""
    return Path(shutil.copytree(original, tmp_path / "my agent"))


def test_every_edit_of_a_module_is_where_it_moved_to(agent: Path, source: Path) -> None:
    added = edit_every_function(modules_of(agent))
    commit(agent)
    said = adopted(agent, source)
    assert lost(added, agent) == []
    assert f"move      {MEMORY}/leases.py -> {MEMORY}/threads/lease.py" in said
    assert not (agent / MEMORY / "leases.py").exists()
    check_names(agent)


def test_without_edits_it_becomes_what_adopting_anew_gives(
    agent: Path, source: Path, tmp_path: Path
) -> None:
    adopted(agent, source)
    framework = "openai" if (agent / MEMORY / "context.py").exists() else "langgraph"
    anew = write_agent(tmp_path / "anew", app_template(framework))
    adopted(anew, source, *FLAGS)
    texts = {path.relative_to(anew): path.read_text() for path in modules_of(anew)}
    assert {path.relative_to(agent): path.read_text() for path in modules_of(agent)} == texts


def test_the_owners_code_imports_what_moved_from_its_new_place(agent: Path, source: Path) -> None:
    own = agent / "agent_server" / "own.py"
    own.write_text(OWN)
    commit(agent)
    adopted(agent, source)
    assert own.read_text() == OWN_NOW
    check_names(agent)


def test_it_gets_the_settings_that_it_lacks(agent: Path, source: Path) -> None:
    edit(agent / "pyproject.toml", lambda text: text.replace("DIMS = 1024", "DIMS = 7  # mine"))
    commit(agent)
    adopted(agent, source)
    text = (agent / "pyproject.toml").read_text()
    settings = tomllib.loads(text)["tool"]["lakebase-agent"]
    assert settings["MEMORY"] == ["short_term", "long_term"]
    assert "EMBEDDING_DIMS = 7  # mine\n" in text
    assert "POOL_CONNECTIONS = 20  # to Postgres" in text


@pytest.mark.slow
def test_another_run_changes_nothing(agent: Path, source: Path) -> None:
    edit_every_function(modules_of(agent))
    commit(agent)
    adopted(agent, source)
    commit(agent)
    assert "nothing to do" in adopted(agent, source)


def test_a_module_that_the_owner_deleted_does_not_come_back(agent: Path, source: Path) -> None:
    (agent / MEMORY / "memory_store.py").unlink()
    commit(agent)
    said = adopted(agent, source)
    assert not (agent / MEMORY / "database" / "memory.py").exists()
    assert said.rstrip().endswith(f"not applied: {MEMORY}/memory_store.py, which changed")


def test_edits_of_the_same_lines_are_a_conflict_which_is_listed_last(
    agent: Path, source: Path
) -> None:
    module = agent / MEMORY / "leases.py"
    edit(module, lambda text: text.replace("(pool: Pool, thread_key: str", "(mine: Pool"))
    added = edit_every_function([agent / MEMORY / "lakebase.py"])
    commit(agent)
    done = run(agent, source)
    assert done.returncode == 1
    assert done.stderr.endswith(f"resolve the conflicts in {MEMORY}/threads/lease.py\n")
    assert "(mine: Pool" in (agent / MEMORY / "threads" / "lease.py").read_text()
    assert lost(added, agent) == []


@pytest.mark.parametrize("change", ["version: ''", "version: v900"])
def test_modules_whose_first_text_is_unknown_are_left_alone(
    agent: Path, source: Path, template: Path, change: str
) -> None:
    edit(agent / ".lakebase-agent.yml", lambda text: text.replace(f"version: {RELEASE}", change))
    commit(agent)
    done = run(agent, template)  # which is in no git
    assert done.returncode == 2
    assert f"{MEMORY}/leases.py" in done.stderr
    assert git(agent, "status", "--porcelain") == ""


@pytest.mark.slow
def test_a_package_in_src_moves_too(flat: Path, source: Path, tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "odd", ODD)
    adopt_at_release(folder, flat, "--lakebase", "provisioned")
    place = folder / "src" / "the_agent" / "lakebase_memory"
    own = folder / "src" / "the_agent" / "own.py"
    own.write_text("from the_agent.lakebase_memory.leases import open_lease\n")
    added = edit_every_function([*place.glob("*.py"), *folder.glob("scripts/*.py")])
    commit(folder)
    adopted(folder, source)
    assert lost(added, folder) == []
    assert own.read_text() == "from the_agent.lakebase_memory.threads.lease import open_lease\n"
    assert (place / "threads" / "lease.py").is_file() and not (place / "leases.py").exists()
