"""`lakebase-agent new`: what it generates, and how it fails."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pexpect
import pytest
import yaml

from lakebase_agent.new.new import removed_on_ctrl_c
from lakebase_agent.template import TEMPLATE
from tests.support.commands import PROGRAM, at_terminal
from tests.support.releases import leave_out_rooms
from tests.support.rendering import copy_template

TAG = f"v{version('lakebase-agent')}"


def run(folder: Path, *command: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run `command` in `folder` with nobody there to answer."""
    return subprocess.run(
        list(map(str, command)),
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def new(folder: Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return run(folder, PROGRAM, "new", "--no-install", *arguments)


def git(folder: Path, *arguments: str) -> None:
    done = run(folder, "git", *arguments)
    assert done.returncode == 0, done.stderr


def answers(project: Path) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((project / ".copier-answers.yml").read_text())
    return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home with a git identity, and GitHub nowhere to be found."""
    settings = "[user]\nname = Ada\nemail = ada@example.com\n"
    redirect = f'[url "file://{tmp_path}/github/"]\ninsteadOf = https://github.com/\n'
    (tmp_path / ".gitconfig").write_text(settings + redirect)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COPIER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    # In place of uv: locking for real takes seconds, in a home without a cache.
    (tmp_path / "uv").write_text("#!/bin/sh\ntouch uv.lock\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("UV", str(tmp_path / "uv"))
    return tmp_path


@pytest.fixture
def published(home: Path) -> Path:
    """Return a clone of what stands for the published template, tagged with our version."""
    origin, clone = home / "github" / "org" / "lakebase-agent.git", copy_template(home / "clone")
    leave_out_rooms(clone / "template")
    git(home, "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    git(clone, "init", "--quiet", "--initial-branch=main")
    git(clone, "remote", "add", "origin", str(origin))
    release(clone, TAG)
    return clone


def release(clone: Path, tag: str) -> None:
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", tag)
    git(clone, "tag", tag)
    git(clone, "push", "--quiet", "--tags", "origin", "main")


def release_of_the_future(clone: Path) -> None:
    prompts = clone / "template" / "agent_server" / "prompts.py"
    for path in (prompts, prompts.with_name("identity.py")):
        path.write_text(path.read_text() + "\n# from the future\n")
    release(clone, "v999.0.0")


def test_a_folder_can_be_the_source(questions: Path, home: Path) -> None:
    done = new(home, "my agent", "--source", questions, "--defaults", "--data", "framework=openai")
    assert done.returncode == 0, done.stderr
    assert answers(home / "my agent")["framework"] == "openai"
    assert (home / "my agent" / ".git").is_dir()


def test_several_answers_can_be_given_at_once(questions: Path, home: Path) -> None:
    data = ["--data", "memory=[short_term]", "--data", "app_name=other", "--data", "memory=[]"]
    assert new(home, "p", "--source", questions, "--defaults", *data).returncode == 0
    assert answers(home / "p")["memory"] == []
    assert answers(home / "p")["app_name"] == "other"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("short_term", ["short_term"]),
        ("short_term, long_term", ["short_term", "long_term"]),
        ("[long_term, chat]", ["long_term", "chat"]),
        ("", []),
    ],
)
def test_a_list_can_be_given_with_commas(
    questions: Path, home: Path, given: str, taken: list[str]
) -> None:
    done = new(home, "p", "--source", questions, "--defaults", "--data", f"memory={given}")
    assert (done.returncode, answers(home / "p")["memory"]) == (0, taken)


def test_the_published_template_is_used_at_our_version(published: Path, home: Path) -> None:
    release_of_the_future(published)
    done = new(home, "p", "--defaults")
    assert done.returncode == 0, done.stderr
    assert answers(home / "p")["_commit"] == TAG
    assert answers(home / "p")["_src_path"] == TEMPLATE


@pytest.mark.slow
def test_what_new_generates_copier_updates(published: Path, home: Path) -> None:
    new(home, "p", "--defaults")
    (home / "p" / "agent_server" / "prompts.py").write_text("# mine\n")
    git(home / "p", "commit", "--quiet", "--all", "--message", "mine")
    release_of_the_future(published)
    done = run(home / "p", sys.executable, "-m", "copier", "update", "--trust", "--defaults")
    assert done.returncode == 0, done.stderr
    assert "# from the future" in (home / "p" / "agent_server" / "identity.py").read_text()
    assert (home / "p" / "agent_server" / "prompts.py").read_text() == "# mine\n"
    assert answers(home / "p")["_commit"] == "v999.0.0"


def test_an_update_that_changes_the_framework_is_refused(published: Path, home: Path) -> None:
    new(home, "p", "--defaults")
    update = ["update", "--trust", "--defaults", "--data", "framework=openai"]
    done = run(home / "p", sys.executable, "-m", "copier", *update)
    assert done.returncode != 0
    assert "a project keeps its framework" in done.stderr
    assert run(home / "p", "git", "status", "--porcelain").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["p", "--defaults", "--data", "framework"], 2, "question=answer"),
        (["p", "--defaults", "--data", "framework=crewai"], 2, "framework"),
        (["p", "--defaults", "--data", "framwork=openai"], 2, "did you mean framework?"),
        (["p", "--defaults", "--data", "adopted=true"], 2, "no question 'adopted'"),
        (["p", "--defaults", "--data", "memory=short-term"], 2, "memory"),
        (["p", "--defaults", "--data", "app_name=Not This"], 2, "app_name"),
        (["p"], 2, "--defaults"),
        (["full", "--defaults"], 2, "not empty"),
        (["full/file", "--defaults"], 2, "not empty"),
        (["p", "--defaults", "--source", "full"], 3, "copier.yml"),
        (["p", "--defaults", "--source", "nowhere"], 3, "copier.yml"),
        (["p", "--defaults", "--source", "https://github.com/org/gone.git"], 3, "gone"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_failure_is_one_line_and_leaves_nothing(
    questions: Path, home: Path, arguments: list[str], code: int, reason: str
) -> None:
    (home / "full").mkdir()
    (home / "full" / "file").touch()
    source = [] if "--source" in arguments else ["--source", str(questions)]
    done = new(home, *arguments, *source)
    assert done.returncode == code
    assert reason in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (home / "p").exists()
    assert list((home / "full").iterdir()) == [home / "full" / "file"]


@pytest.mark.parametrize("given", ["", " <&-", " <answers.yml"], ids=["none", "closed", "file"])
def test_where_nobody_can_answer_it_asks_nothing_and_leaves_nothing(
    questions: Path, home: Path, given: str
) -> None:
    (home / "answers.yml").write_text("my-agent\nopenai\n" * 9)
    done = run(home, "sh", "-c", f"{PROGRAM} new p --source '{questions}'{given}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "nobody is here to ask; add --defaults" in done.stderr
    assert not (home / "p").exists()


def test_without_its_tag_the_default_branch_is_used_and_said(published: Path, home: Path) -> None:
    git(published, "push", "--quiet", "--delete", "origin", TAG)
    done = new(home, "p", "--defaults", "--data", "framework=openai")
    assert (done.returncode, answers(home / "p")["framework"]) == (0, "openai")
    assert f"has no version {TAG}: its default branch is used" in done.stderr
    assert answers(home / "p")["_commit"] != TAG


def test_with_its_tag_nothing_is_said_of_branches(published: Path, home: Path) -> None:
    assert "default branch" not in new(home, "p", "--defaults").stderr


def test_without_git_a_url_cannot_be_reached(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    done = new(home, "p", "--defaults")
    assert (done.returncode, "git is not installed" in done.stderr) == (3, True)


def test_ctrl_c_at_a_question_stops_with_130_and_leaves_nothing(
    questions: Path, home: Path
) -> None:
    terminal = at_terminal(home, "new", "p", "--source", str(questions), **os.environ)
    terminal.expect("called")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert not (home / "p").exists()


def test_data_takes_precedence_over_a_file_of_answers(questions: Path, home: Path) -> None:
    text = "_commit: v1\nframework: openai\nmemory: [short_term]\napp_name: from-file\n"
    (home / "answers.yml").write_text(text)
    given = ("--answers", "answers.yml", "--data", "app_name=from-data", "--defaults")
    assert new(home, "p", "--source", questions, *given).returncode == 0
    found = answers(home / "p")
    assert (found["framework"], found["memory"]) == ("openai", ["short_term"])
    assert found["app_name"] == "from-data"


def test_private_answers_of_another_project_are_not_reused(questions: Path, home: Path) -> None:
    new(home, "first", "--source", questions, "--defaults")
    given = ("--answers", "first/.copier-answers.yml", "--defaults")
    changed = ("--data", "app_name=second", "--data", "framework=openai")
    assert new(home, "second", "--source", questions, *given, *changed).returncode == 0
    found = answers(home / "second")
    assert (found["memory_schema"], found["project_framework"]) == ("second", "openai")


def test_an_unknown_answer_in_a_file_is_an_error(questions: Path, home: Path) -> None:
    (home / "answers.yml").write_text("framwork: openai\n")
    done = new(home, "p", "--source", questions, "--answers", "answers.yml", "--defaults")
    assert (done.returncode, "did you mean framework?" in done.stderr) == (2, True)
    assert not (home / "p").exists()


def test_an_unknown_answer_of_an_earlier_project_is_left_out(questions: Path, home: Path) -> None:
    (home / "answers.yml").write_text("_commit: v0.1.0\nframework: openai\nfolder: old\n")
    done = new(home, "p", "--source", questions, "--answers", "answers.yml", "--defaults")
    assert done.returncode == 0, done.stderr
    assert answers(home / "p").keys().isdisjoint({"folder"})


@pytest.mark.parametrize("text", ["- a list", "{not: [yaml", None])
def test_a_file_without_answers_is_refused(questions: Path, home: Path, text: str | None) -> None:
    if text:
        (home / "answers.yml").write_text(text)
    done = new(home, "p", "--source", questions, "--answers", "answers.yml", "--defaults")
    assert (done.returncode, "answers.yml" in done.stderr) == (2, True)
    assert not (home / "p").exists()


def test_json_output_is_nothing_but_json(small_template: Path, home: Path) -> None:
    done = new(home, "p", "--source", small_template, "--json", "--data", "lakebase=local")
    found = json.loads(done.stdout)
    assert (found["folder"], found["installed"]) == (str(home / "p"), False)
    assert found["answers"] == {k: v for k, v in answers(home / "p").items() if k[0] != "_"}
    assert set(found["files"]) >= {"agent_server/agent.py", "pyproject.toml"}
    assert len(found["next"]) == 3


def test_the_next_three_commands_come_last(questions: Path, home: Path) -> None:
    said = new(home, "my agent", "--source", questions, "--defaults").stdout.splitlines()
    assert [line.strip() for line in said[-3:]] == [
        'cd "my agent"', "uv run start-app", "uv run pytest",
    ]  # fmt: skip


def test_an_interruption_halfway_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "new", tmp_path / "empty"):
        with pytest.raises(KeyboardInterrupt), removed_on_ctrl_c(folder):
            (folder / "agent_server").mkdir(parents=True)
            (folder / "agent_server" / "app.py").touch()
            (folder / "README.md").touch()
            raise KeyboardInterrupt
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_an_interruption_before_the_folder_exists_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), removed_on_ctrl_c(tmp_path / "new"):
        raise KeyboardInterrupt


@pytest.mark.generated
def test_packages_are_installed(template: Path, home: Path) -> None:
    uv = run(home, "uv", "cache", "dir").stdout.strip()
    environment = {**os.environ, "UV": "", "UV_CACHE_DIR": uv}
    command = [str(PROGRAM), "new", "p", "--source", str(template), "--json"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, env=environment)
    assert json.loads(done.stdout)["installed"]
    assert (home / "p" / ".venv" / "bin" / "start-app").exists()


def test_the_project_stays_when_its_packages_cannot_be_installed(
    small_template: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV", str(home / "gone"))
    done = run(home, PROGRAM, "new", "p", "--source", small_template, "--defaults")
    assert (done.returncode, "not installed yet" in done.stdout) == (0, True)
    assert "uv sync" in done.stdout.splitlines()[-2]
    assert (home / "p" / "agent_server" / "agent.py").is_file()
