"""Imports of what moved: rewritten in the owner's files, and nothing else in them."""

import pytest

from lakebase_agent.merging.imports.block import Import, add_imports
from lakebase_agent.merging.moves import read_moves
from lakebase_agent.merging.python.source import split_lines
from lakebase_agent.merging.trees import merge_trees

OLD = {
    "app/lake.py": "X = 1\n\n\nclass Pool: ...\n\n\ndef name():\n    return 1\n",
    "app/leases.py": "def lease():\n    return 2\n",
    "app/watch.py": "class Watch:\n    def run(self):\n        return 3\n",
    "app/stays.py": "Y = 1\n",
}
NEW = {
    "app/db/lake.py": "X = 1\n\n\ndef name():\n    return 1\n",
    "app/db/pool.py": "class Pool: ...\n",
    "app/threads/lease.py": "def lease():\n    return 2\n",
    "app/worker.py": "class Recovery:\n    def run(self):\n        return 3\n",
    "app/stays.py": "Y = 1\n",
}
MOVES = read_moves(
    [
        """\
[modules]
"app/lake.py" = ["app/db/lake.py", "app/db/pool.py"]
"app/leases.py" = "app/threads/lease.py"
"app/watch.py" = "app/worker.py"
[names]
"app.watch.Watch" = "app.worker.Recovery"
"""
    ]
)


def rewritten(text: str, path: str = "own.py") -> str:
    """Return what becomes of an owner's own file."""
    return merge_trees(OLD, {**OLD, path: text}, NEW, MOVES).files.get(path, text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("from app.lake import X", "from app.db.lake import X"),
        (
            "from app.lake import Pool, name  # both",
            "from app.db.lake import name\nfrom app.db.pool import Pool  # both",
        ),
        ("from app.lake import Pool as P", "from app.db.pool import Pool as P"),
        ("from app.watch import Watch", "from app.worker import Recovery as Watch"),
        ("from app import leases", "from app.threads import lease as leases"),
        ("from app import leases as x", "from app.threads import lease as x"),
        ("import app.lake\napp.lake.X", "import app.db.lake\napp.db.lake.X"),
        ("import app.leases as x\nx.lease", "import app.threads.lease as x\nx.lease"),
        ("from app import lake\nlake.Pool", "from app.db import lake, pool\npool.Pool"),
        ("from app.lake import *", "from app.db.lake import *"),
        ("def f():\n    from app.lake import X", "def f():\n    from app.db.lake import X"),
        ("mock.patch('app.lake.Pool.x')", "mock.patch('app.db.pool.Pool.x')"),
        ("from app.lake import (  # why\n    X,\n)", "from app.db.lake import (  # why\n    X,\n)"),
    ],
)
def test_an_import_names_the_new_place(old: str, new: str) -> None:
    assert rewritten(f"{old}\n") == f"{new}\n"


@pytest.mark.parametrize(
    "text",
    [
        "from app.stays import Y\n",
        "from  app . stays  import(Y)\n",
        "from other.lake import X\nname = 'app.lake'\n",
        "import app.stays as lake ; lake.Pool\r\n",
        "# app.lake\nx = '''from app.lake import X'''\n",
    ],
)
def test_what_did_not_move_is_not_touched(text: str) -> None:
    assert rewritten(text) == text


def test_relative_imports_stay_relative() -> None:
    assert rewritten("from .lake import X\n", "app/own.py") == "from .db.lake import X\n"
    assert rewritten("from . import leases\n", "app/own.py") == (
        "from .threads import lease as leases\n"
    )


def test_bytes_around_an_import_stay() -> None:
    text = '"""Ünïcode."""\r\nfrom app.lake import Pool, X\r\nx = ( "odd"  )\r\n'
    new = '"""Ünïcode."""\r\nfrom app.db.lake import X\r\nfrom app.db.pool import Pool\r\n'
    assert rewritten(text) == new + 'x = ( "odd"  )\r\n'


def test_imports_that_were_in_order_stay_in_order() -> None:
    text = "from app.lake import X\nfrom app.leases import lease\nfrom app.stays import Y\n"
    new = (
        "from app.db.lake import X\nfrom app.stays import Y\nfrom app.threads.lease import lease\n"
    )
    assert rewritten(text) == new


def test_a_name_that_is_gone_is_said() -> None:
    old = {"app/lake.py": OLD["app/lake.py"] + "\n\ndef gone(what):\n    print(what)\n"}
    ours = {**old, "own.py": "from app.lake import gone\n"}
    [said] = merge_trees(old, ours, NEW, MOVES).not_applied
    assert said.path == "own.py"
    assert "gone" in said.reason and "app.lake" in said.reason


def test_a_file_that_is_no_python_is_said() -> None:
    merged = merge_trees(OLD, {**OLD, "own.py": "from app.lake import (\n"}, NEW, MOVES)
    assert [said.path for said in merged.not_applied] == ["own.py"]


BLOCK = "import asyncio\nimport os\n\nimport httpx\n\nfrom app.db import pool\n"


@pytest.mark.parametrize(
    ("new", "line", "after"),
    [
        (Import("json"), "import json", "import asyncio"),
        (Import("pathlib", "Path"), "from pathlib import Path", "import os"),
        (Import("attrs"), "import attrs", ""),
        (Import("rich"), "import rich", "import httpx"),
        (Import("app.a", "b"), "from app.a import b", ""),
        (Import("app.db", "LOCK"), "from app.db import LOCK, pool", ""),
    ],
    ids=str,
)
def test_an_import_is_added_in_order(new: Import, line: str, after: str) -> None:
    lines = "".join(add_imports(split_lines(BLOCK), [new], {"app"})).splitlines()
    assert lines[lines.index(line) - 1] == after


def test_a_section_of_its_own_is_set_apart() -> None:
    block = add_imports(["import os\n"], [Import("httpx"), Import("app", "x")], {"app"})
    assert "".join(block) == "import os\n\nimport httpx\n\nfrom app import x\n"
