"""`lakebase-agent adopt` among links, environments and folders that are not the agent's."""

from pathlib import Path

import pytest

from lakebase_agent.adopt.existing_agent import examine_agent
from tests.support.existing_agents import adopted, app_template, run, write_agent
from tests.support.releases import git

FLAGS = ("--lakebase", "autoscaling")
AGENT = app_template("openai")["agent_server/agent.py"]


def paths_of(folder: Path) -> list[str]:
    """Return the files that are read for an agent."""
    return [source.path.as_posix() for source in examine_agent(folder).sources]


def test_an_environment_of_any_name_is_not_read(tmp_path: Path) -> None:
    package = "env/lib/python3.11/site-packages/agents/agent.py"
    files = app_template("openai") | {package: AGENT, "env/pyvenv.cfg": "home = /usr\n"}
    paths = paths_of(write_agent(tmp_path / "a", files, in_git=False))
    assert (package in paths, "agent_server/agent.py" in paths) == (False, True)


def test_links_that_lead_nowhere_and_folders_like_modules_are_not_read(tmp_path: Path) -> None:
    files = app_template("openai") | {"agent_server/folder.py/text": ""}
    folder = write_agent(tmp_path / "a", files, in_git=False)
    (folder / "agent_server" / "gone.py").symlink_to("nowhere.py")
    assert not {"agent_server/gone.py", "agent_server/folder.py"} & set(paths_of(folder))


def test_a_linked_file_stays_a_link_and_what_it_leads_to_is_changed(
    template: Path, tmp_path: Path
) -> None:
    folder = write_agent(tmp_path / "a", app_template("openai"), in_git=False)
    (folder / ".env").rename(tmp_path / "shared.env")
    (folder / ".env").symlink_to("../shared.env")
    adopted(folder, template, *FLAGS, "--project", "p")
    assert (folder / ".env").is_symlink()
    text = (tmp_path / "shared.env").read_text()
    assert text.startswith("DATABRICKS_TOKEN=") and "LAKEBASE_AUTOSCALING_PROJECT=p" in text


@pytest.mark.parametrize("package", ["..", "{parent}", "agent_server/../.."])
def test_no_modules_are_written_outside_of_the_project(
    template: Path, tmp_path: Path, package: str
) -> None:
    folder = write_agent(tmp_path / "a", app_template("openai"))
    done = run(folder, template, *FLAGS, "--package", package.format(parent=tmp_path))
    assert (done.returncode, "is not a folder of" in done.stderr) == (2, True)
    assert not (tmp_path / "lakebase_memory").exists()


def test_a_module_of_the_owners_is_not_hidden_by_the_new_folder(
    template: Path, tmp_path: Path
) -> None:
    files = app_template("openai") | {"agent_server/lakebase_memory.py": "MINE = 1\n"}
    folder = write_agent(tmp_path / "a", files)
    done = run(folder, template, *FLAGS)
    assert (done.returncode, "lakebase_memory.py exists already" in done.stderr) == (2, True)
    assert git(folder, "status", "--porcelain") == ""


def test_a_length_of_vectors_that_is_no_number_is_refused_by_its_flag(
    template: Path, tmp_path: Path
) -> None:
    folder = write_agent(tmp_path / "a", app_template("openai"), in_git=False)
    done = run(folder, template, *FLAGS, "--embedding-dims", "many")
    assert (done.returncode, "--embedding-dims 'many'" in done.stderr) == (2, True)
