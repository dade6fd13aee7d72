"""A published template with its releases: the real ones, made-up earlier ones, and this tree."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.places import (
    CHATS,
    IDENTITY,
    ITS_TESTS,
    MIGRATIONS,
    OF_THE_MEMORY,
    in_template,
    module,
)
from tests.support.project import clean_environment
from tests.support.rendering import REPOSITORY, Combination, copy_template

CURRENT = "v900.0.0"
# Earlier than every real release. In each, what is in the template now was a little different.
MADE_UP = ("v0.0.1", "v0.0.2")
RELEASE = re.compile(r"chore\(release\): (v\d\S*)")
GITHUB = "https://github.com/"
PROGRAMS = Path(sys.executable).parent
PATH = os.pathsep.join((str(PROGRAMS), os.environ["PATH"]))
Edit = Callable[[str], str]
# Of `agent_server`, what a small template has: what the made-up releases change, and some of what a
# memory brings. Copier takes a second for 50 files, and renders them several times in an update.
ROOMS = {"threads"}
SMALL = {CHATS, ITS_TESTS, MIGRATIONS, OF_THE_MEMORY}


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder` and return what it prints; fail when it fails."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def releases_of(repository: Path) -> dict[str, str]:
    """Return the commit of each release of a repository, by its tag, oldest first."""
    log = git(repository, "log", "--reverse", "--format=%H %s")
    pairs = (line.split(" ", 1) for line in log.splitlines())
    return {match[1]: sha for sha, text in pairs if (match := RELEASE.fullmatch(text))}


@dataclass(frozen=True)
class Published:
    """A home in which `gh:org/lakebase-agent` is a template with releases."""

    home: Path

    def run(self, folder: Path, *command: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run one of our programs in `folder` with nobody there to answer."""
        foreign = ("GIT_", "XDG_", "COPIER_")
        plain = {k: v for k, v in clean_environment().items() if not k.startswith(foreign)}
        variables = {
            "HOME": str(self.home),
            "COPIER_CACHE_DIR": str(self.home / "cache"),
            "GIT_CONFIG_SYSTEM": os.devnull,
            "LAKEBASE_AGENT_NO_HOOKS": "1",
        }
        program = shutil.which(command[0], path=PATH) or command[0]
        return subprocess.run(
            [program, *command[1:]], env={**plain, **variables, **more},
            cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def update(self, project: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `lakebase-agent update` in a project."""
        return self.run(project, "lakebase-agent", "update", *arguments)

    def generate(
        self, project: Path, tag: str, combination: Combination | None = None, **answers: Any
    ) -> Path:
        """Generate a project at a release, and commit it; the same one is rendered only once."""
        if combination:
            answers = {**vars(combination), "memory": list(combination.memory), **answers}
        data = {"app_name": "my-agent", **answers}
        rendered = self.home / "rendered" / f"{tag} {data}"
        if not rendered.exists():
            words = [word for key, value in data.items() for word in ("-d", f"{key}={value}")]
            done = self.run(
                self.home, "copier", "copy", "--trust", "--defaults", "--quiet", "--vcs-ref", tag,
                *words, "gh:org/lakebase-agent", str(rendered),
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        shutil.copytree(rendered, project)
        git(project, "init", "--quiet")
        commit(project)
        return project


def commit(project: Path, message: str = "mine") -> None:
    """Commit everything in a project."""
    git(project, "add", "--all")
    ada = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    git(project, *ada, "commit", "--quiet", "--message", message)


def in_small(place: str) -> bool:
    """Whether a small template has the file at a place of a project."""
    folder, *inner = place.split("/")
    if place in SMALL or folder not in ("agent_server", "local", "tests"):
        return True
    return folder == "agent_server" and (len(inner) == 1 or inner[0] in ROOMS)


def publish(home: Path, small: bool = False) -> Path:
    """Make `gh:org/lakebase-agent` for whose HOME is `home`, and return a clone to go on in."""
    origin, clone = home / "github" / "org" / "lakebase-agent.git", home / "clone"
    origin.parent.mkdir(parents=True)
    redirect = f'[url "file://{home}/github/"]\ninsteadOf = {GITHUB}\n'
    (home / ".gitconfig").write_text(f"[user]\nname = Ada\nemail = ada@example.com\n{redirect}")
    git(home, "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    git(home, "clone", "--quiet", "--no-tags", str(REPOSITORY), str(clone))
    git(clone, "remote", "set-url", "origin", str(origin))
    git(clone, "config", "user.name", "Ada")
    git(clone, "config", "user.email", "ada@example.com")
    for tag, commit in releases_of(REPOSITORY).items():
        git(clone, "tag", tag, commit)
    (clone / "CHANGELOG.md").write_text("# Changelog\n")
    for tag in (*MADE_UP, CURRENT):
        put_this_tree(clone)
        leave_out_rooms(clone / "template") if small else None
        make_newer(clone) if tag == CURRENT else make_older(clone, MADE_UP.index(tag))
        release(clone, tag)
    return clone


def put_this_tree(clone: Path) -> None:
    """Replace what Copier reads in `clone` by what is in this working tree."""
    for name in ("template", "hooks"):
        shutil.rmtree(clone / name, ignore_errors=True)
    copy_template(clone)


def leave_out_rooms(template: Path) -> None:
    """Delete from a copy of the template what a small one does not have."""
    for path in [path for path in template.rglob("*") if path.is_file()]:
        place = re.sub(r"^\{%[^/]*/", "", path.relative_to(template).as_posix())
        path.unlink() if not in_small(place.removesuffix(".jinja")) else None


def release(clone: Path, tag: str) -> None:
    """Commit, tag and publish what is in `clone`, with a section in its changelog."""
    text = (clone / "CHANGELOG.md").read_text().removeprefix("# Changelog\n")
    entry = f"\n## {tag.removeprefix('v')}\n\n- News of {tag}.\n"
    (clone / "CHANGELOG.md").write_text(f"# Changelog\n{entry}{text}")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", f"chore(release): {tag}")
    git(clone, "tag", tag)
    git(clone, "push", "--quiet", "--tags", "origin", "HEAD:main")


def edit(path: Path, change: Edit) -> None:
    """Rewrite a file; fail when nothing changes."""
    old = path.read_text()
    assert change(old) != old, f"nothing to change in {path}"
    path.write_text(change(old))


def make_older(clone: Path, age: int) -> None:
    """Undo some of what could have changed since: bounds, the order of lines, a file, a name."""
    template = clone / "template"
    edit(template / "pyproject.toml.jinja", _older_bounds)
    edit(template / ".gitignore", _swap_lines(1 + age))
    edit(template / "AGENTS.md.jinja", _swap_lines(6 + age))
    edit(in_template(IDENTITY, clone), _older_code)
    edit(template / "evals" / "run.py", _older_code)
    workflow = template / ".github" / "workflows" / "test.yml"
    edit(workflow, lambda t: t.replace("minutes: 20", "minutes: 15"))
    edit(template / "databricks.yml.jinja", lambda t: t.replace("that remembers", "with memory"))
    edit(in_template(ITS_TESTS, clone), _older_code)
    edit(template / "agent_server" / "prompts.py", lambda t: t + "# As it was once.\n")
    (template / "agent_server" / "obsolete.py").write_text('"""Of no use any more."""\n')
    if age == 0:
        in_template(MIGRATIONS, clone).unlink()
        for path in template.rglob("*.py*"):
            if "await migrate(" in path.read_text():
                edit(path, _without_versions)
        for name in ("copier.yml", "template"):
            for path in [clone / name, *(clone / name).rglob("*.jinja")]:
                if path.is_file() and "model_endpoint" in path.read_text():
                    edit(path, lambda t: t.replace("model_endpoint", "llm_endpoint"))


def make_newer(clone: Path) -> None:
    """Do some of what a release may do: give an answer another name, and a table a column."""
    change_answer_name(clone)
    chats = in_template(CHATS, clone)
    step = '\nPINNED = "ALTER TABLE chats ADD pinned boolean NOT NULL DEFAULT false"\n'
    edit(chats, lambda t: t.replace("\n# Of a question,", f"{step}\n# Of a question,"))
    edit(chats, lambda t: re.sub(r"\[TABLES\b(.*?)\]", r"[TABLES\1, PINNED]", t, flags=re.S))
    edit(chats, lambda t: t.replace("SELECT id, title,", "SELECT id, title, pinned,"))


def change_answer_name(clone: Path) -> None:
    """Let the answer `llm_endpoint` live on in `model_endpoint`, as CONTRIBUTING says."""
    old = "default: databricks-claude"
    new = "default: \"{{ llm_endpoint | default('databricks-claude"
    edit(
        clone / "copier.yml",
        lambda text: re.sub(rf"{old}(\S+)", rf"{new}\1') }}}}\"".replace('\\"', '"'), text),
    )


def _older_bounds(text: str) -> str:
    for package, bounds in (("uvicorn", ">=0.30,<1"), ("fastapi", ">=0.110,<1"), ("mypy", "<3")):
        text = re.sub(rf'"{package}[^"]*"', f'"{package}{bounds}"', text)
    return text


def _without_versions(text: str) -> str:
    text = text.replace(f"from {module(MIGRATIONS)} import migrate\n", "")
    every = r"for step in [\2]: await \1.execute(step)"
    return re.sub(r"await migrate\((\w+), .*\[(.*)\]\)", every, text)


def _older_code(text: str) -> str:
    return text.replace("\n\n\n", "\n\n\n# A remark that was here once.\n", 1)


def _swap_lines(place: int) -> Edit:
    def swap(text: str) -> str:
        lines = text.splitlines(keepends=True)
        lines[place], lines[place + 1] = lines[place + 1], lines[place]
        return "".join(lines)

    return swap
