"""A module that a release split in two, and merging an owner's edits of it."""

from textwrap import dedent

from lakebase_agent.merging.merged import Merged
from lakebase_agent.merging.moves import Moves, read_moves
from lakebase_agent.merging.trees import merge_trees

OLD = '''\
"""Postgres."""

import os

LIMIT = 10


class Pool:
    """A pool."""

    def size(self) -> int:
        """Return its size."""
        found = LIMIT
        return found


def schema() -> str:
    return os.environ["SCHEMA"]
'''
NEW = {
    "app/database/lakebase.py": (
        'import os\n\n\ndef schema_name() -> str:\n    return os.environ["SCHEMA"]\n'
    ),
    "app/database/pool.py": dedent('''\
        """The pool."""

        LIMIT = 10


        class ConnectionPool:
            """A pool."""

            def size(self) -> int:
                """Return its size."""
                found = LIMIT
                assert found
                return found
        '''),
}
MOVES = """\
[modules]
"app/lakebase.py" = ["app/database/lakebase.py", "app/database/pool.py"]
[names]
"app.lakebase.schema" = "app.database.lakebase.schema_name"
"app.lakebase.Pool" = "app.database.pool.ConnectionPool"
"""
LAKEBASE, POOL = NEW


def merge(*edits: tuple[str, str], **own: str) -> Merged:
    """Merge the old module with edits, each an old and a new text, and own files by their stems."""
    text = OLD
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    ours = {"app/lakebase.py": text, **{f"{name}.py": content for name, content in own.items()}}
    return merge_trees({"app/lakebase.py": OLD}, ours, NEW, read_moves([MOVES]))


def merge_one(base: str, ours: str, theirs: str) -> Merged:
    """Merge one module that keeps its place."""
    return merge_trees({"m.py": base}, {"m.py": ours}, {"m.py": theirs}, Moves())
