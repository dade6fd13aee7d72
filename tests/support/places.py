"""Where what the tests name of the template's code stands: in a project, and in the template."""

from itertools import chain
from pathlib import Path

# Files of a project.
IDENTITY, ITS_TESTS = "agent_server/identity.py", "tests/test_identity.py"
MIGRATIONS = "agent_server/database/migrations.py"
CHATS = "agent_server/chat/store.py"
LAKEBASE = "agent_server/database/lakebase.py"
PAGE = "agent_server/chat/page"
# What each framework has in a version of its own, and what each memory has.
OF_THE_FRAMEWORK = "agent_server/responses/run_turn.py"
OF_THE_MEMORY = "agent_server/server/runtime.py"
# What `lakebase-agent adopt` takes from a project of either framework.
ADOPTED = {
    "answers/__init__.py", "answers/completions.py", "answers/lengths.py", "answers/parts.py",
    "answers/call_pieces.py", "answers/shaped.py",
    "__init__.py", "caller.py", "errors.py", "identity.py", "memory.py", "model.py",
    "opening.py", "settings.py", "turn.py",
    "database/__init__.py", "database/connections.py", "database/embeddings.py",
    "database/lakebase.py", "database/memory.py", "database/memory_save.py",
    "database/memory_search.py", "database/migrations.py", "database/pool.py",
    "database/retention.py", "database/tables.py", "database/text.py", "memories/__init__.py",
    "memories/group_tools.py", "memories/shared.py", "server/__init__.py", "server/workspace.py",
    "threads/__init__.py", "threads/deduplicate.py", "threads/lease.py",
    "threads/messages.py", "threads/recent.py", "threads/retention.py", "threads/store.py",
    "threads/window.py", "transport/__init__.py",
    "transport/json_bounds.py", "transport/model_client.py", "transport/refused_files.py",
}  # fmt: skip


def module(place: str) -> str:
    """Return the name of the module at a place of a project."""
    return place.removesuffix(".py").replace("/", ".")


def in_template(place: str, repository: Path) -> Path:
    """Return the one file or folder of the template in `repository` that is rendered to a place."""
    found = [(repository / "template").rglob(place + suffix) for suffix in ("", ".jinja")]
    [path] = chain.from_iterable(found)
    return path
