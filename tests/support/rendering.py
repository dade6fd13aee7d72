"""Every combination of answers, rendered once, and which files each should have."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any

import yaml
from copier import run_copy
from jinja2 import Template
from plumbum import local

REPOSITORY = Path(__file__).resolve().parents[2]
ANSWERS = "{{ _copier_conf.answers_file }}.jinja"
CONF = {"answers_file": ".copier-answers.yml"}
LEFT_BEHIND = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".local", ".venv"}
IGNORED = shutil.ignore_patterns("__pycache__", ".*_cache")
OWNED = ("agent_server/agent.py", "agent_server/prompts.py", "agent_server/tools.py")
FRAMEWORKS = ("langgraph", "openai")
MEMORIES = ("short_term", "long_term", "background", "chat")
SUBSETS = list(chain.from_iterable(combinations(MEMORIES, n) for n in range(len(MEMORIES) + 1)))


@dataclass(frozen=True)
class Combination:
    """One choice of answers."""

    framework: str
    memory: tuple[str, ...]
    lakebase: str

    def __str__(self) -> str:
        return f"{self.framework}-{'+'.join(self.memory) or 'stateless'}-{self.lakebase}"


COMBINATIONS = [
    Combination(*choice)
    for choice in product(FRAMEWORKS, SUBSETS, ("local", "autoscaling", "provisioned"))
]


def _pairs(c: Combination) -> set[tuple[object, ...]]:
    """Return every two answers that `c` gives."""
    given = [c.framework, c.lakebase, *((name, name in c.memory) for name in MEMORIES)]
    return set(combinations(given, 2))


def _pairwise() -> list[Combination]:
    """Return some combinations in which every two answers meet, chosen greedily."""
    missing = set(chain.from_iterable(map(_pairs, COMBINATIONS)))
    chosen = []
    while missing:
        chosen.append(max(COMBINATIONS, key=lambda c: len(_pairs(c) & missing)))
        missing -= _pairs(chosen[-1])
    return chosen


PAIRWISE = _pairwise()


def excluded(combination: Combination) -> list[str]:
    """Return what the table in copier.yml leaves out of a project: files, and whole folders."""
    table = yaml.safe_load((REPOSITORY / "copier.yml").read_text())["_exclude"]
    given = {"memory": list(combination.memory), "lakebase": combination.lakebase}
    rendered = (Template(row).render(given) for row in table)
    return [path.removeprefix("/") for path in rendered if path.startswith("/")]


def expected_files(combination: Combination) -> set[str]:
    """Return the paths a project of `combination` has, and no others."""
    gone = excluded(combination)
    return {
        path
        for path in template_files(combination.framework)
        if not any(path == place or path.startswith(f"{place}/") for place in gone)
    }


def template_files(framework: str) -> set[str]:
    """Return the paths that a project of a framework has when nothing is left out."""
    found = set()
    for path in (REPOSITORY / "template").rglob("*"):
        parts = path.relative_to(REPOSITORY / "template").parts
        folder = Template(parts[0]).render(framework=framework, _copier_conf=CONF)
        if path.is_file() and folder and not set(parts) & LEFT_BEHIND:
            found.add(Path(folder, *parts[1:]).as_posix().removesuffix(".jinja"))
    return found


def copy_template(destination: Path) -> Path:
    """Copy what Copier reads, without git, so that the working tree is what is rendered."""
    shutil.copytree(REPOSITORY / "template", destination / "template", ignore=IGNORED)
    return _copy_questions_and_hooks(destination)


def copy_questions(destination: Path) -> Path:
    """Copy the questions and the hooks, with a template that renders the answers alone."""
    (destination / "template").mkdir(parents=True)
    shutil.copy(REPOSITORY / "template" / ANSWERS, destination / "template")
    return _copy_questions_and_hooks(destination)


def _copy_questions_and_hooks(destination: Path) -> Path:
    shutil.copytree(REPOSITORY / "hooks", destination / "hooks", ignore=IGNORED)
    shutil.copy(REPOSITORY / "copier.yml", destination)
    return destination


@contextmanager
def without_git() -> Iterator[None]:
    """Let Copier render in a third of its time, where neither template nor project is in git.

    It would start git for every file.
    """
    with local.env(PATH=""):
        yield


def render(template: Path, combination: Combination, destination: Path, **answers: Any) -> Path:
    """Render `combination` into `destination`, without its tasks."""
    data = {
        "app_name": "my-agent",
        "framework": combination.framework,
        "memory": list(combination.memory),
        "lakebase": combination.lakebase,
        **answers,
    }
    run_copy(
        str(template), destination, data=data, defaults=True, quiet=True, unsafe=True,
        skip_tasks=True, overwrite=True,
    )  # fmt: skip
    return destination
