"""Other answers for a project that was edited: what goes, what stays, and that it still works."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.owner import edited as edit_as_owner
from tests.support.places import IDENTITY, OF_THE_MEMORY
from tests.support.project import Project, Server, install
from tests.support.releases import CURRENT, Published, commit, edit, in_small
from tests.support.rendering import Combination, expected_files

BOTH = ("short_term", "long_term")
MEMORY_SWITCHES = [
    (BOTH, ()),
    ((), BOTH),
    (BOTH, ("short_term",)),
    (("short_term",), BOTH),
    (BOTH, ("long_term",)),
    (("long_term",), BOTH),
    ((*BOTH, "background", "chat"), (*BOTH, "chat")),
    (BOTH, (*BOTH, "background", "chat")),
    ((*BOTH, "background", "chat"), BOTH),
]
FLAVOUR_SWITCHES = [
    ("local", "autoscaling"),
    pytest.param("autoscaling", "provisioned", marks=pytest.mark.long),
    pytest.param("provisioned", "local", marks=pytest.mark.long),
]
MARK = "   (with your edits in it)"


def switched(combination: Combination, switch: tuple[str, ...] | str) -> Combination:
    """Return `combination` with another memory or another flavour."""
    if isinstance(switch, str):
        return Combination(combination.framework, combination.memory, switch)
    return Combination(combination.framework, switch, combination.lakebase)


def data(switch: tuple[str, ...] | str) -> tuple[str, str]:
    """Return the option that makes a switch."""
    if isinstance(switch, str):
        return "--data", f"lakebase={switch}"
    return "--data", f"memory=[{', '.join(switch)}]"


def check_switch(small: Published, project: Path, start: Combination, to: object) -> None:
    """Edit some files that go and some that stay, switch, and compare with what was told."""
    assert isinstance(to, (str, tuple))
    small.generate(project, CURRENT, start)
    goes = sorted(filter(in_small, expected_files(start) - expected_files(switched(start, to))))
    edited = [*goes[::2], IDENTITY, "databricks.yml", "agent_server/tools.py"]
    added = {}
    for name in edited:
        text, added[name] = edit_as_owner(name, (project / name).read_text())
        (project / name).write_text(text)
    commit(project)
    told = small.update(project, "--dry-run", *data(to)).stdout
    expected = [name + MARK * (name in edited) for name in goes]
    assert re.findall(r"^  delete +(.*)$", told, re.MULTILINE) == expected
    done = small.update(project, "--yes", *data(to))
    assert (done.returncode, done.stderr) == (0, "")
    assert not any((project / name).exists() for name in goes)
    stays = [*filter(in_small, expected_files(switched(start, to)))]
    assert [name for name in stays if not (project / name).is_file()] == []
    assert all(added[name] in (project / name).read_text() for name in edited if name in stays)


def slow_and_long(switches: list[Any]) -> list[Any]:
    """Return the first and the last for the slow tests, the others for the long ones."""
    slow, long = [pytest.mark.slow], [pytest.mark.slow, pytest.mark.long]
    marks = [slow, *[long] * len(switches[1:-1]), slow]
    return [pytest.param(*s, marks=m) for s, m in zip(switches, marks, strict=True)]


@pytest.mark.parametrize(("start", "to"), slow_and_long(MEMORY_SWITCHES), ids=str)
def test_another_memory_deletes_exactly_the_announced_files(
    small: Published, tmp_path: Path, start: tuple[str, ...], to: tuple[str, ...]
) -> None:
    framework = "langgraph" if "long_term" in to else "openai"
    check_switch(small, tmp_path / "p", Combination(framework, start, "local"), to)


@pytest.mark.slow
@pytest.mark.parametrize(("start", "to"), FLAVOUR_SWITCHES, ids=str)
def test_another_flavour_deletes_nothing_and_keeps_the_owners_lines(
    small: Published, tmp_path: Path, start: str, to: str
) -> None:
    project = tmp_path / "p"
    check_switch(small, project, Combination("langgraph", BOTH, start), to)
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert answers["lakebase"] == to


@pytest.mark.slow
def test_an_edited_file_that_another_memory_replaces_is_announced_as_a_conflict(
    small: Published, tmp_path: Path
) -> None:
    project = small.generate(tmp_path / "p", CURRENT, Combination("openai", BOTH, "local"))
    edit(project / OF_THE_MEMORY, lambda text: text.replace("await memory_store.", "await mine."))
    commit(project)
    told = small.update(project, "--dry-run", *data(("short_term",))).stdout
    assert f"  conflict  {OF_THE_MEMORY}\n" in told


def ask(project: Project, *questions: str) -> list[str]:
    with Server(project).until_ready() as server:
        return [server.ask(question, thread="t") for question in questions]


def commit_and_switch(published: Published, folder: Path, to: tuple[str, ...] | str) -> None:
    commit(folder)
    done = published.update(folder, "--yes", *data(to))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.generated
@pytest.mark.parametrize(
    ("framework", "there", "back"),
    [
        ("langgraph", ("long_term",), BOTH),
        pytest.param("openai", (), BOTH, marks=pytest.mark.long),
        pytest.param("openai", "provisioned", "local", marks=pytest.mark.long),
    ],
    ids=str,
)
def test_data_and_tests_survive_a_switch_there_and_back(
    published: Published,
    environments: Path,
    tmp_path: Path,
    framework: str,
    there: tuple[str, ...] | str,
    back: tuple[str, ...] | str,
) -> None:
    folder = tmp_path / "my agent"
    published.generate(folder, CURRENT, Combination(framework, BOTH, "local"))
    edit(folder / "agent_server/tools.py", lambda text: text + "\n# Mine.\n")
    project = install(folder, environments / framework)
    ask(project, "My name is Grace", "Remember that I like teal")
    for switch in (there, back):
        commit_and_switch(published, folder, switch)
        if switch == there:  # its way back is tested as it was generated
            project.run_tests(briefly=True)
    name, facts = ask(project, "What is my name?", "What do you know about me?")
    assert "Grace" in name and "teal" in facts
    assert "# Mine." in (folder / "agent_server/tools.py").read_text()
