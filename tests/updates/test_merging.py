"""Merging by definitions: an owner's edits follow them to other modules, classes and names."""

import ast

import pytest

from lakebase_agent.merging.merged import Moved
from lakebase_agent.merging.moves import read_moves
from lakebase_agent.merging.trees import merge_trees
from tests.support.split_module import LAKEBASE, OLD, POOL, merge, merge_one


def test_without_edits_nothing_but_the_move_is_to_do() -> None:
    merged = merge()
    assert merged.files == {}
    assert merged.deleted == ["app/lakebase.py"]
    assert merged.moved == [Moved("app/lakebase.py", LAKEBASE, edited=False)]


def test_an_edit_follows_a_method_to_another_module_and_class() -> None:
    merged = merge(("        found", "        # Mine.\n        found"))
    assert "        # Mine.\n        found = LIMIT\n        assert found\n" in merged.files[POOL]
    assert merged.conflicts == []


def test_the_last_line_of_a_body_stays_the_last() -> None:
    merged = merge(("return found\n", "return found\n        # Mine.\n"))
    assert merged.files[POOL].endswith("        return found\n        # Mine.\n")


def test_what_the_owner_changed_and_the_template_did_not_is_the_owners() -> None:
    merged = merge(('os.environ["SCHEMA"]', '"mine"'))
    assert 'def schema_name() -> str:\n    return "mine"\n' in merged.files[LAKEBASE]


def test_an_edit_of_a_docstring_among_others_is_kept() -> None:
    merged = merge(('"""A pool."""', '"""My pool."""'))
    assert 'class ConnectionPool:\n    """My pool."""\n' in merged.files[POOL]


def test_a_function_that_the_owner_added_stands_beside_its_neighbour() -> None:
    merged = merge(("def schema", "def own() -> None: ...\n\n\ndef schema"))
    assert "import os\n\n\ndef own() -> None: ...\n\n\ndef schema_name" in merged.files[LAKEBASE]


def test_a_method_that_the_owner_added_stays_in_its_class() -> None:
    added = "    def own(self) -> None: ...\n\n    def size"
    text = merge(("    def size", added)).files[POOL]
    [pool] = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    assert [node.name for node in pool.body[1:] if isinstance(node, ast.FunctionDef)] == [
        "own",
        "size",
    ]


def test_a_constant_that_the_owner_added_is_imported_where_it_is_used() -> None:
    merged = merge(
        ("LIMIT = 10", "LIMIT = 10\nMINE = 1"), ("found = LIMIT", "found = LIMIT + MINE")
    )
    assert "MINE = 1" in merged.files[LAKEBASE]
    assert "from app.database.lakebase import MINE\n" in merged.files[POOL]


def test_an_import_that_the_owner_added_goes_where_it_is_used() -> None:
    merged = merge(
        ("import os", "import json\nimport os"),
        ("        return found", "        json.dumps(found)\n        return found"),
    )
    assert '"""The pool."""\n\nimport json\n\nLIMIT' in merged.files[POOL]
    assert "json" not in merged.files.get(LAKEBASE, "")


def test_an_import_that_nothing_uses_is_kept_all_the_same() -> None:
    merged = merge(("import os", "import os\nimport own"))
    assert merged.files[LAKEBASE].startswith("import os\n\nimport own\n")


def test_a_new_name_is_used_in_what_the_owner_wrote() -> None:
    merged = merge(("def schema", "def own() -> str:\n    return schema()\n\n\ndef schema"))
    assert "    return schema_name()\n" in merged.files[LAKEBASE]


def test_a_function_of_another_name_is_found_by_its_likeness() -> None:
    theirs = OLD.replace("def schema()", "async def name_of_schema()")
    ours = OLD.replace("    return os", "    # Mine.\n    return os")
    merged = merge_one(OLD, ours, theirs)
    assert "async def name_of_schema() -> str:\n    # Mine.\n" in merged.files["m.py"]


def test_an_edit_of_an_absorbed_definition_goes_where_its_work_is_done() -> None:
    base, theirs = (
        "def f():\n    return g()\n\n\ndef g():\n    return 1\n",
        "def f():\n    return 1\n",
    )
    ours = base.replace("    return 1", "    # Mine.\n    return 1")
    moves = read_moves(['[absorbed]\n"m.g" = "m.f"\n'])
    merged = merge_trees({"m.py": base}, {"m.py": ours}, {"m.py": theirs}, moves)
    assert merged.files == {"m.py": "def f():\n    # Mine.\n    return 1\n"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('[names]\n"m.A.f" = "m.B.g"\n', '[names]\n"m.B" = "n.C"\n'),
        ('[names]\n"m.A" = "m.B"\n', '[names]\n"m.B.f" = "n.C.g"\n'),
        ('[names]\n"m.A.f" = "m.B.g"\n', '[absorbed]\n"m.B.g" = "n.C.g"\n'),
        ('[absorbed]\n"m.A.f" = "m.B.g"\n', '[names]\n"m.B" = "n.C"\n'),
        ('[modules]\n"m.py" = "n.py"\n', '[absorbed]\n"n.A.f" = "n.C.g"\n'),
    ],
)
def test_an_edit_follows_a_method_through_two_releases(first: str, second: str) -> None:
    base = "class A:\n    def f(self):\n        return 1\n"
    like_it = base.partition("\n")[2].replace("f(", "like_it(")
    theirs = f"class C:\n    def g(self):\n        yield\n\n{like_it}"
    ours = base.replace("        return", "        # Mine.\n        return")
    moves = read_moves([first, second + '[modules]\n"m.py" = "n.py"\n'])
    merged = merge_trees({"m.py": base}, {"m.py": ours}, {"n.py": theirs}, moves)
    assert (merged.conflicts, merged.not_applied) == ([], [])
    assert "    def g(self):\n        # Mine.\n" in merged.files["n.py"]


def test_two_modules_may_become_one() -> None:
    base = {"a.py": "def a():\n    return 1\n", "b.py": "def b():\n    return 2\n"}
    theirs = {"c.py": f"{base['a.py']}\n\n{base['b.py']}"}
    ours = {path: text.replace("return", "# Mine.\n    return") for path, text in base.items()}
    moves = read_moves(['[modules]\n"a.py" = "c.py"\n"b.py" = "c.py"\n'])
    merged = merge_trees(base, ours, theirs, moves)
    assert merged.files["c.py"] == f"{ours['a.py']}\n\n{ours['b.py']}"


def test_names_of_the_new_release_are_used_in_what_the_owner_inserted() -> None:
    base, theirs = "def f(log):\n    log.tell(1)\n", "def f(log):\n    log.emit(1)\n"
    ours = "def f(log):\n    log.tell(1)\n    log.tell(2)\n"
    moves = read_moves(['[identifiers]\n"m.py" = { tell = "emit" }\n'])
    merged = merge_trees({"m.py": base}, {"m.py": ours}, {"m.py": theirs}, moves)
    assert merged.files["m.py"] == ours.replace("tell", "emit")


def test_line_ends_are_the_owners() -> None:
    ours = OLD.replace("found = LIMIT", "found = LIMIT  # Mine.").replace("\n", "\r\n")
    merged = merge_one(OLD, ours, OLD.replace("LIMIT = 10", "LIMIT = 20"))
    expected = ours.replace("LIMIT = 10", "LIMIT = 20")
    assert merged.files["m.py"] == expected
