"""Every combination of answers, rendered once, and which files each should have."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any

import pytest
from copier import run_copy
from jinja2 import Environment
from plumbum import local

REPOSITORY = Path(__file__).resolve().parents[2]
ANSWERS = "{{ _copier_conf.answers_file }}.jinja"
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

Rule = Callable[[Combination], bool]


def always(_: Combination) -> bool:
    """Every project has it."""
    return True


def remembers(c: Combination) -> bool:
    """Only a project with some memory has it."""
    return bool(c.memory)


def short_term(c: Combination) -> bool:
    """Only a project with short-term memory has it."""
    return "short_term" in c.memory


def long_term(c: Combination) -> bool:
    """Only a project with long-term memory has it."""
    return "long_term" in c.memory


def chat(c: Combination) -> bool:
    """Only a project with the chat page has it."""
    return "chat" in c.memory


def background(c: Combination) -> bool:
    """Only a project with background responses has it."""
    return "background" in c.memory


def has_own_tables(c: Combination) -> bool:
    """Only a project with tables that are no framework's has it."""
    return short_term(c) or chat(c) or background(c)


def openai(c: Combination) -> bool:
    """Only a project for the OpenAI Agents SDK has it."""
    return c.framework == "openai"


def remembers_and_chats(c: Combination) -> bool:
    """Only a project with long-term memory and the chat page has it."""
    return long_term(c) and chat(c)


FILES: dict[Rule, str] = {
    always: """
        .copier-answers.yml .env.example .gitignore AGENTS.md README.md databricks.yml
        .github/workflows/deploy.yml .github/workflows/test.yml
        pyproject.toml
        agent_server/__init__.py agent_server/agent.py agent_server/app.py agent_server/errors.py
        agent_server/events.py agent_server/history.py agent_server/identity.py agent_server/logs.py
        agent_server/memory.py agent_server/model.py agent_server/prompts.py
        agent_server/requests.py agent_server/responses.py agent_server/runtime.py
        agent_server/runs.py agent_server/security.py agent_server/settings.py
        agent_server/start.py agent_server/startup.py
        agent_server/thread_messages.py agent_server/thread_store.py agent_server/threads.py
        agent_server/texts.py agent_server/tools.py
        agent_server/tracing.py agent_server/turns.py agent_server/workspace.py
        evals/__init__.py evals/cases.toml evals/handlers.py evals/run.py
        local/__init__.py local/embeddings.py local/model.py local/offline.py local/script.py
        local/services.py local/supervisor.py
        tests/__init__.py tests/agent.py tests/conftest.py tests/test_background.py
        tests/test_identity.py tests/test_responses.py tests/test_security.py
    """,
    remembers: """
        agent_server/lakebase.py local/postgres.py scripts/grant_lakebase_permissions.py
    """,
    has_own_tables: "agent_server/migrations.py",
    short_term: "agent_server/leases.py tests/test_history.py tests/test_threads.py",
    long_term: "agent_server/memory_store.py tests/test_memory.py",
    remembers_and_chats: "tests/test_memories.py",
    background: """
        agent_server/background.py agent_server/background_attempt.py
        agent_server/background_cancel.py
        agent_server/background_news.py agent_server/background_readers.py
        agent_server/background_response.py agent_server/background_runs.py
        agent_server/background_startup.py agent_server/background_store.py
        agent_server/background_watch.py agent_server/background_writer.py
    """,
    openai: "agent_server/context.py agent_server/tool_failures.py",
    chat: """
        agent_server/belongings.py agent_server/chat.py agent_server/chat_requests.py
        agent_server/chat_answers.py agent_server/chats.py agent_server/me.py
        agent_server/static/api.js agent_server/static/app.js agent_server/static/chat.css
        agent_server/static/chats.js agent_server/static/conversation.js
        agent_server/static/dom.js agent_server/static/icon.svg agent_server/static/index.html
        agent_server/static/markdown.js agent_server/static/memory.js
        agent_server/static/messages.js agent_server/static/stream.js agent_server/static/theme.js
        agent_server/static/turn.js agent_server/static/vendor/VENDORED.txt
        agent_server/static/vendor/dompurify.js agent_server/static/vendor/marked.js
        tests/test_chat.py tests/test_chat_answers.py tests/test_me.py
    """,
}


def expected_files(combination: Combination) -> set[str]:
    """Return the paths a project of `combination` has, and no others."""
    return {path for rule, paths in FILES.items() if rule(combination) for path in paths.split()}


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


COMPILE, COMPILED = Environment.compile, dict[object, Any]()


@contextmanager
def quick_copier() -> Iterator[None]:
    """Let Copier render in a quarter of its time, where neither template nor project is in git.

    It would start git for every file, and compile every file and every name anew for each project.
    """

    def compile_once(environment: Environment, *source: Any, **options: Any) -> Any:
        key = (source, *options.items())
        if key not in COMPILED:
            COMPILED[key] = COMPILE(environment, *source, **options)
        return COMPILED[key]

    with local.env(PATH=""), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "compile", compile_once)
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
