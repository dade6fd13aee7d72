"""`lakebase-agent update`: what it shows, what it asks, what it refuses, and how it fails."""

import re
import signal
import subprocess
import time
from pathlib import Path

import pexpect
import pytest
import yaml

from lakebase_agent.update.changes import Change, in_order, parses
from lakebase_agent.update.rehearsal import OWNERS
from tests.standins.workspace import open_workspace
from tests.support.commands import at_terminal
from tests.support.owner import LINKED
from tests.support.places import IDENTITY
from tests.support.releases import (
    CURRENT,
    MADE_UP,
    Published,
    commit,
    edit,
    git,
    in_small,
)
from tests.support.rendering import REPOSITORY, Combination, expected_files

EVERYTHING = Combination("langgraph", ("short_term", "long_term"), "local")


@pytest.fixture
def published(small: Published) -> Published:
    """Return the small template: how an update is done and told does not depend on its size."""
    return small


@pytest.fixture
def project(published: Published, tmp_path: Path) -> Path:
    """Return a project of an earlier release, committed."""
    return published.generate(tmp_path / "my agent", MADE_UP[1], EVERYTHING)


@pytest.fixture
def current(published: Published, tmp_path: Path) -> Path:
    """Return a project of the current release, committed."""
    return published.generate(tmp_path / "my agent", CURRENT, EVERYTHING)


def answers(project: Path) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((project / ".copier-answers.yml").read_text())
    return found


def snapshot(project: Path) -> dict[str, bytes]:
    """Return every file of a project, and its index."""
    paths = [p for p in project.rglob("*") if p.is_file() and ".git/" not in p.as_posix()]
    index = git(project, "ls-files", "--stage").encode()
    return {str(p): p.read_bytes() for p in paths} | {"index": index}


def listed(text: str, kind: str) -> list[str]:
    """Return the files that an update lists as `kind`."""
    return re.findall(rf"^  {kind} +(.*)$", text, re.MULTILINE)


def test_a_project_takes_the_next_release(published: Published, project: Path) -> None:
    done = published.update(project)
    assert (done.returncode, done.stderr) == (0, "")
    assert answers(project)["_commit"] == CURRENT
    assert "# As it was once." in (project / "agent_server/prompts.py").read_text()
    assert "A remark" not in (project / IDENTITY).read_text()
    assert "A remark" not in (project / "evals/run.py").read_text()
    assert not (project / "agent_server/obsolete.py").exists()


def test_what_calls_for_action_is_listed_last() -> None:
    kinds = ["conflict", "delete", "change", "broken", "move", "delete", "add"]
    ordered = in_order([Change(f"{n}.py", kind) for n, kind in enumerate(kinds)])
    expected = ["change", "move", "add", "delete", "delete", "conflict", "broken"]
    assert [change.kind for change in ordered] == expected


def test_copier_merges_and_tells_of_it_after_the_changelog() -> None:
    migrations = yaml.safe_load((REPOSITORY / "copier.yml").read_text())["_migrations"]
    scripts = [re.findall(r"'(\w+\.py)'", str(step["command"][1])) for step in migrations]
    assert scripts == [["show_changelog.py"], ["merge_dependencies.py"], ["move_edits.py"]]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    "settings",
    [("noprefix", "relative"), pytest.param(("mnemonicPrefix",), marks=pytest.mark.slow)],
    ids=str,
)
def test_git_settings_for_diffs_do_not_disturb_an_update(
    published: Published, project: Path, settings: tuple[str, ...]
) -> None:
    for setting in settings:
        git(project, "config", f"diff.{setting}", "true")
    done = published.update(project)
    assert (done.returncode, done.stderr) == (0, "")
    assert answers(project)["_commit"] == CURRENT


@pytest.mark.long
@pytest.mark.slow
def test_the_changes_between_the_two_versions_are_shown(
    published: Published, project: Path
) -> None:
    said = published.update(project).stdout
    assert f"News of {CURRENT}." in said
    assert f"News of {MADE_UP[1]}." not in said
    assert f"from {MADE_UP[1]} to {CURRENT}" in said


@pytest.mark.long
@pytest.mark.slow
def test_plain_copier_update_does_the_same(
    published: Published, project: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    subprocess.run(["cp", "-r", str(project), str(other)], check=True)
    published.update(project)
    done = published.run(other, "copier", "update", "--trust", "--defaults")
    assert done.returncode == 0, done.stderr
    assert f"News of {CURRENT}." in done.stdout
    assert git(project, "diff") == git(other, "diff")


@pytest.mark.long
@pytest.mark.slow
def test_a_second_update_changes_nothing(published: Published, project: Path) -> None:
    published.update(project)
    commit(project)
    done = published.update(project)
    assert (done.returncode, "nothing changes" in done.stdout) == (0, True)
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.long
def test_an_update_can_go_to_a_release_or_stay_at_it(published: Published, project: Path) -> None:
    done = published.update(project, "--to", "current", "--data", "app_name=other",
                            "--data", "memory=short_term,long_term")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert answers(project)["_commit"] == MADE_UP[1]
    assert answers(project)["app_name"] == "other"


@pytest.mark.slow
def test_a_dry_run_shows_what_changes_and_writes_nothing(
    published: Published, project: Path
) -> None:
    before = snapshot(project)
    said = published.update(project, "--dry-run").stdout
    assert f"+++ b/{IDENTITY}" in said
    assert listed(said, "delete") == ["agent_server/obsolete.py"]
    assert snapshot(project) == before


def test_uncommitted_changes_are_named_and_kept(published: Published, project: Path) -> None:
    (project / "agent_server/tools.py").write_text("# mine\n")
    (project / "notes.txt").touch()
    done = published.update(project)
    assert done.returncode == 2
    assert "tools.py" in done.stderr and "notes.txt" in done.stderr
    assert (project / "agent_server/tools.py").read_text() == "# mine\n"


def test_a_folder_that_git_does_not_track_is_refused(published: Published, project: Path) -> None:
    subprocess.run(["rm", "-rf", str(project / ".git")], check=True)
    done = published.update(project)
    assert (done.returncode, "git" in done.stderr) == (2, True)
    git(project, "init", "--quiet")
    (project / ".git/info/exclude").write_text("*\n")
    done = published.update(project)
    assert (done.returncode, "does not track" in done.stderr) == (2, True)


def test_a_project_without_a_version_is_told_what_to_do(
    published: Published, template: Path, tmp_path: Path
) -> None:
    project = tmp_path / "p"
    published.run(tmp_path, "copier", "copy", "--trust", "--defaults", str(template), str(project))
    git(project, "init", "--quiet")
    commit(project)
    done = published.update(project)
    assert (done.returncode, "names no version" in done.stderr) == (2, True)
    assert "lakebase-agent new" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("place", ["../gone", "."])
def test_a_template_that_cannot_be_found_is_named(
    published: Published, project: Path, place: str
) -> None:
    path = project / ".copier-answers.yml"
    edit(path, lambda text: text.replace("gh:org/lakebase-agent", place))
    commit(project)
    done = published.update(project)
    assert (done.returncode, "_src_path" in done.stderr) == (2, True)


@pytest.mark.parametrize("version", ["v0.0.9", "--help"])
def test_an_unpublished_version_exits_with_3(
    published: Published, project: Path, version: str
) -> None:
    before = snapshot(project)
    done = published.update(project, f"--to={version}")
    assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) == 1
    assert snapshot(project) == before


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(
            "framework=openai",
            "a project keeps its framework. Generate a new project",
            marks=pytest.mark.slow,
        ),
        pytest.param("app_name=Not This", "app_name", marks=pytest.mark.slow),
        ("memory", "question=answer"),
        ("memory=short-term", "memory"),
        ("framwork=openai", "did you mean framework?"),
        ("lakebase=x", "lakebase"),
        ("_src_path=x", "there is no question"),
    ],
)
def test_an_invalid_answer_exits_with_2_and_changes_nothing(
    published: Published, current: Path, answer: str, reason: str
) -> None:
    before = snapshot(current)
    done = published.update(current, "--data", answer)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert snapshot(current) == before


@pytest.mark.slow
@pytest.mark.long
def test_another_app_name_keeps_the_schema_and_so_the_memory(
    published: Published, current: Path
) -> None:
    (current / ".env").write_text("LAKEBASE_AGENT_MEMORY_SCHEMA=my_agent_dev_ada\n")
    assert published.update(current, "--data", "app_name=other").returncode == 0
    bundle = yaml.safe_load((current / "databricks.yml").read_text())
    dev, prod = (bundle["targets"][name]["variables"] for name in ("dev", "prod"))
    assert (dev["app_name"], prod["app_name"]) == ("other-dev", "other")
    assert (dev["memory_schema"], prod["memory_schema"]) == ("my_agent_dev", "my_agent")
    assert 'SCHEMA = "my_agent"' in (current / "pyproject.toml").read_text()
    assert (current / ".env").read_text() == "LAKEBASE_AGENT_MEMORY_SCHEMA=my_agent_dev_ada\n"


SWITCHED = Combination("langgraph", ("long_term",), "local")
LEASES = sorted(filter(in_small, expected_files(EVERYTHING) - expected_files(SWITCHED)))


@pytest.mark.slow
def test_files_that_an_answer_deletes_are_listed_with_a_note_of_edits(
    published: Published, current: Path
) -> None:
    edit(current / LEASES[0], lambda text: text + "# Mine.\n")
    commit(current)
    done = published.update(current, "--dry-run", "--data", "memory=[long_term]")
    edited, *rest = LEASES
    assert listed(done.stdout, "delete") == [f"{edited}   (with your edits in it)", *rest]
    assert "delete" not in published.update(current, "--dry-run").stdout


@pytest.mark.slow
def test_without_a_terminal_edits_are_not_deleted_without_yes(
    published: Published, current: Path
) -> None:
    edit(current / LEASES[0], lambda text: text + "# Mine.\n")
    commit(current)
    before, switch = snapshot(current), ("--data", "memory=[long_term]")
    done = published.update(current, *switch)
    assert (done.returncode, LEASES[0] in done.stderr) == (2, True)
    assert LEASES[1] not in done.stderr
    assert snapshot(current) == before
    assert published.update(current, *switch, "--yes").returncode == 0
    assert not (current / LEASES[0]).exists()


@pytest.mark.slow
@pytest.mark.parametrize(("reply", "code", "there"), [("y", 0, False), ("n", 130, True)])
def test_a_person_is_asked_before_files_are_deleted(
    published: Published, current: Path, reply: str, code: int, there: bool
) -> None:
    terminal = updating(published, current, "--data", "memory=[long_term]")
    terminal.expect("Go on. Files: " + f"{len(LEASES)} deleted")
    terminal.send(reply)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == code
    assert (current / LEASES[0]).exists() == there


def updating(
    published: Published, project: Path, *arguments: str, **more: str
) -> "pexpect.spawn[str]":
    """Run `lakebase-agent update` in a terminal."""
    place = {"HOME": str(published.home), "COPIER_CACHE_DIR": str(published.home / "cache")}
    return at_terminal(project, "update", *arguments, **place, **more)


def answer(person: "pexpect.spawn[str]", question: str, keys: str) -> None:
    """Wait for a question, and press keys."""
    person.expect(question)
    person.send(keys)


@pytest.mark.slow
def test_ctrl_c_leaves_the_project_unchanged(published: Published, project: Path) -> None:
    before = snapshot(project)
    terminal = updating(published, project)
    terminal.expect("Go on. Files: 1 deleted")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert snapshot(project) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "after", [0.3, *(pytest.param(s, marks=pytest.mark.long) for s in (0.8, 1.3, 2.3)), 1.8]
)
def test_a_signal_at_any_time_leaves_the_project_unchanged_or_updated(
    published: Published, project: Path, after: float
) -> None:
    before = snapshot(project)
    terminal = updating(published, project, "--yes")
    time.sleep(after)
    terminal.kill(signal.SIGINT)
    terminal.expect(pexpect.EOF)
    terminal.close()
    # While Python still starts, the signal itself ends it.
    stopped = terminal.exitstatus == 130 or terminal.signalstatus == signal.SIGINT
    assert stopped or terminal.exitstatus == 0
    assert (snapshot(project) == before) == stopped


@pytest.mark.slow
def test_remaining_conflicts_are_listed_and_exit_with_1(
    published: Published, project: Path
) -> None:
    edit(project / "databricks.yml", lambda text: text.replace("with memory", "of mine"))
    commit(project)
    done = published.update(project, "--yes")
    assert (done.returncode, listed(done.stdout, "conflict")) == (1, ["databricks.yml"])
    assert "databricks.yml" in done.stderr
    assert "<<<<<<< before updating" in (project / "databricks.yml").read_text()
    assert "description: An AI agent of mine" in (project / "databricks.yml").read_text()
    assert git(project, "diff", "--name-only", "--diff-filter=U") == "databricks.yml"


@pytest.mark.slow
def test_the_suggested_command_undoes_an_update_with_conflicts(
    published: Published, project: Path
) -> None:
    edit(project / "databricks.yml", lambda text: text.replace("with memory", "of mine"))
    commit(project)
    before = snapshot(project)
    done = published.update(project, "--yes")
    way_back = done.stderr.strip().splitlines()[-1].strip()
    subprocess.run(way_back, cwd=project, shell=True, check=True, capture_output=True)
    assert snapshot(project) == before


@pytest.mark.slow
def test_a_file_that_no_longer_parses_is_listed_and_exits_with_1(
    published: Published, project: Path
) -> None:
    """The owner closed with a bracket what the template opened elsewhere: git merges it."""
    edit(project / IDENTITY, lambda text: text + "mine = (\n")
    commit(project)
    done = published.update(project, "--yes")
    assert (done.returncode, listed(done.stdout, "broken")) == (1, [IDENTITY])


@pytest.mark.parametrize(
    ("name", "content", "valid"),
    [
        ("a.py", b"x = (", False),
        ("a.py", b"x = 1", True),
        ("a.yml", b"a: 1\n---\nb: !Custom c\n", True),
        ("a.yml", b"a: [", False),
        ("a.toml", b"a = 1\na = 2\n", False),
        ("a.png", b"\x89PNG\xff", True),
    ],
)
def test_only_a_file_that_is_invalid_in_its_own_language_is_broken(
    tmp_path: Path, name: str, content: bytes, valid: bool
) -> None:
    (tmp_path / name).write_bytes(content)
    assert parses(tmp_path / name) == valid


@pytest.mark.slow
def test_a_locked_index_leaves_the_project_unchanged(published: Published, project: Path) -> None:
    edit(project / "databricks.yml", lambda text: text.replace("with memory", "of mine"))
    commit(project)
    before = snapshot(project)
    (project / ".git" / "index.lock").touch()
    done = published.update(project, "--yes")
    assert (done.returncode, "index.lock" in done.stderr) == (2, True)
    assert snapshot(project) == before


@pytest.mark.slow
def test_files_that_the_owner_deleted_stay_deleted(published: Published, project: Path) -> None:
    deleted = (".github/workflows/test.yml", "README.md", "evals")
    git(project, "rm", "-r", "--quiet", *deleted)
    commit(project)
    assert published.update(project, "--yes").returncode == 0
    assert answers(project)["_commit"] == CURRENT
    assert [name for name in deleted if (project / name).exists()] == []


def test_the_owners_files_are_the_same_for_copier_and_for_update() -> None:
    template = yaml.safe_load((REPOSITORY / "copier.yml").read_text())
    page = {"/agent_server/logo.svg", "/agent_server/page.toml"}
    assert {*template["_skip_if_exists"]} == page | {f"/{path}" for path in OWNERS}


def write_mono_repo(published: Published, folder: Path) -> tuple[Path, Path]:
    """Return a repository, and the edited project inside it, which is none of its own."""
    outer = folder / "mono repo"
    (outer / "agent_server").mkdir(parents=True)
    (outer / IDENTITY).write_text("theirs = True\n")
    git(outer, "init", "--quiet")
    project = published.generate(outer / "apps" / "my agent", MADE_UP[1], EVERYTHING)
    subprocess.run(["rm", "-rf", str(project / ".git")], check=True)
    edit(project / IDENTITY, lambda text: text + "# Mine.\n")
    commit(outer)
    (outer / "untracked.txt").touch()
    return outer, project


@pytest.mark.slow
def test_updating_a_project_inside_another_repository_leaves_the_rest_unchanged(
    published: Published, tmp_path: Path
) -> None:
    outer, project = write_mono_repo(published, tmp_path)
    done = published.update(project, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert (outer / IDENTITY).read_text() == "theirs = True\n"
    assert "# Mine." in (project / IDENTITY).read_text()
    assert "A remark" not in (project / IDENTITY).read_text()
    assert not (project / "agent_server/obsolete.py").exists()


@pytest.mark.long
@pytest.mark.slow
def test_a_shallow_clone_of_a_project_is_updated(
    published: Published, project: Path, tmp_path: Path
) -> None:
    edit(project / IDENTITY, lambda text: text + "# Mine.\n")
    commit(project)
    clone = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", project.as_uri(), str(clone))
    done = published.update(clone, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "# Mine." in (clone / IDENTITY).read_text()


@pytest.mark.slow
def test_a_new_flavour_says_that_it_must_be_linked(published: Published, current: Path) -> None:
    done = published.update(current, "--data", "lakebase=autoscaling", "--yes")
    assert (done.returncode, "lakebase-agent link" in done.stdout) == (0, True)


@pytest.mark.long
@pytest.mark.slow
def test_a_linked_flavour_need_not_be_linked_again(published: Published, current: Path) -> None:
    values = {"lakebase_branch": "projects/p/branches/b", "lakebase_database": "d"}
    target = yaml.safe_dump({"targets": {"dev": {"variables": values}}})
    (current / "workspace.dev.yml").write_text(target)
    (current / ".env").write_text(LINKED[".env"])
    commit(current)
    done = published.update(current, "--data", "lakebase=autoscaling", "--yes")
    assert (done.returncode, "lakebase-agent link" in done.stdout) == (0, False)
    assert (current / "workspace.dev.yml").read_text() == target
    assert (current / ".env").read_text() == LINKED[".env"]


@pytest.mark.long
@pytest.mark.slow
def test_settings_of_the_previous_lakebase_are_listed(published: Published, tmp_path: Path) -> None:
    start = Combination("openai", ("long_term",), "autoscaling")
    project = published.generate(tmp_path / "p", CURRENT, start)
    values = {"lakebase_branch": "projects/p/branches/b", "experiment_id": "7"}
    target = yaml.safe_dump({"targets": {"prod": {"variables": values}}})
    (project / "workspace.prod.yml").write_text(target)
    (project / ".env").write_text("LAKEBASE_AUTOSCALING_ENDPOINT=projects/p\n")
    commit(project)
    said = published.update(project, "--data", "lakebase=provisioned").stdout
    assert "remove from workspace.prod.yml: lakebase_branch\n" in said
    assert "remove from .env: the lines of LAKEBASE_AUTOSCALING_" in said
    assert (project / "workspace.prod.yml").read_text() == target


@pytest.mark.slow
def test_a_person_is_asked_the_new_questions_and_can_link_at_once(
    published: Published, current: Path
) -> None:
    with open_workspace() as workspace:
        options = ("--data", "lakebase=provisioned", "--data", "profile=")
        person = updating(published, current, *options, **workspace.variables())
        answer(person, "Which Lakebase instance", "agent-memory\r")
        answer(person, "Do it now", "y")
        answer(person, "Which app", "\r")
        person.expect("wrote workspace.dev.yml")
        person.expect(pexpect.EOF)
        person.close()
    assert person.exitstatus == 0
    assert "lakebase_instance: agent-memory" in (current / "workspace.dev.yml").read_text()
