"""A tiny template that moves its modules from one release to the next, and a project of it."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.releases import Published, commit, git
from tests.support.rendering import REPOSITORY

QUESTIONS = """\
_subdirectory: template
_skip_if_exists: [/agent_server/agent.py]
_migrations:
  - command:
      - "{{ _copier_python }}"
      - "{{ _copier_conf.src_path / 'hooks' / 'move_edits.py' }}"
      - "{{ _copier_conf.answers_file }}"
      - "{{ _version_pep440_from }}"
      - "{{ _version_pep440_to }}"
app_name: my-agent
memory: {type: yaml, default: []}
"""
ANSWERS = "{{ _copier_answers | to_nice_yaml }}"
AGENT = "from agent_server.lakebase import Pool, schema\n\nprint(Pool(), schema())\n"
LAKEBASE = '''\
"""Postgres."""

import os


class Pool:
    """A pool."""

    def size(self) -> int:
        """Return its size."""
        return 10


def schema() -> str:
    """Return the schema."""
    return os.environ["SCHEMA"]
'''
USER = "from agent_server.lakebase import schema\n\nNAME = schema()\n"
OLD = {
    "agent_server/__init__.py": "",
    "agent_server/agent.py": AGENT,
    "agent_server/lakebase.py": LAKEBASE,
    "agent_server/user.py": USER,
    "agent_server/static/page.css": "a {}\n\n\nb {}\n",
}
POOL, SCHEMA = LAKEBASE.split("\n\n\ndef ")
NEW = {
    "agent_server/__init__.py": "",
    "agent_server/agent.py": AGENT.replace("lakebase", "database.lakebase"),
    "agent_server/database/__init__.py": "",
    "agent_server/database/pool.py": POOL.replace("import os\n\n\n", "").replace("10", "20") + "\n",
    "agent_server/database/lakebase.py": f'"""Which schema."""\n\nimport os\n\n\ndef {SCHEMA}',
    "agent_server/user.py": USER.replace("lakebase", "database.lakebase"),
    "agent_server/page/page.css": "a {}\n\n\nb {}\n\n\nc {}\n",
}
MOVES = """\
[modules]
"agent_server/lakebase.py" = ["agent_server/database/lakebase.py", "agent_server/database/pool.py"]
"agent_server/static/" = "agent_server/page/"
"""
Files = Mapping[str, str]


@dataclass(frozen=True)
class Tiny:
    """A home in which the template has the releases v0.2.0 and v0.3.0."""

    published: Published
    repository: Path

    def generate(self, project: Path, tag: str = "v0.2.0") -> Path:
        """Generate a project of a release, the old one, and commit it."""
        self.published.run(
            self.repository, "copier", "copy", "--trust", "--defaults", "--quiet",
            "--vcs-ref", tag, str(self.repository), str(project),
        )  # fmt: skip
        git(project, "init", "--quiet")
        commit(project)
        return project


def release(tiny: Tiny, tag: str, files: Files, moves: str = MOVES) -> None:
    """Publish another release of the template."""
    _write(tiny.repository, files, moves)
    commit(tiny.repository, f"chore(release): {tag}")
    git(tiny.repository, "tag", tag)


def open_tiny(home: Path, moves: str = MOVES) -> Tiny:
    """Publish the template in `home`."""
    home.mkdir(exist_ok=True)
    (home / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.com\n")
    repository = home / "template"
    repository.mkdir(parents=True)
    git(repository, "init", "--quiet")
    tiny = Tiny(Published(home), repository)
    for tag, files in (("v0.2.0", OLD), ("v0.3.0", NEW)):
        release(tiny, tag, files, moves)
    return tiny


def _write(repository: Path, files: Files, moves: str) -> None:
    shutil.rmtree(repository / "template", ignore_errors=True)
    shutil.rmtree(repository / "hooks", ignore_errors=True)
    shutil.copytree(
        REPOSITORY / "hooks", repository / "hooks", ignore=shutil.ignore_patterns("__pycache__")
    )
    (repository / "hooks/lakebase_agent/merging/moves/0.3.0.toml").write_text(moves)
    (repository / "copier.yml").write_text(QUESTIONS)
    answers = {"{{ _copier_conf.answers_file }}.jinja": ANSWERS}
    for name, text in {**files, **answers}.items():
        path = repository / "template" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
