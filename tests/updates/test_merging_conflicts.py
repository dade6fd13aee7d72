"""What can't be merged is kept, in a conflict of one definition, and said."""

from lakebase_agent.merging.moves import Moves, read_moves
from lakebase_agent.merging.trees import merge_trees
from tests.support.split_module import LAKEBASE, MOVES, NEW, OLD, POOL, merge, merge_one


def test_a_line_that_both_changed_is_a_conflict_in_that_definition_alone() -> None:
    theirs = OLD.replace("LIMIT\n", "LIMIT + 1\n")
    ours = OLD.replace("LIMIT\n", "LIMIT + 2\n").replace("import os", "import json\nimport os")
    merged = merge_one(OLD, ours, theirs)
    assert merged.conflicts == ["m.py"]
    head, rest = merged.files["m.py"].split("<<<<<<< before updating\n")
    assert "import json\n" in head and rest.startswith("        found = LIMIT + 2\n=======\n")
    assert "        found = LIMIT + 1\n>>>>>>> after updating\n" in rest


def test_a_definition_that_the_owner_deleted_stays_deleted() -> None:
    merged = merge(('\n\ndef schema() -> str:\n    return os.environ["SCHEMA"]\n', ""))
    assert "schema_name" not in merged.files[LAKEBASE]


def test_a_deleted_definition_that_changed_is_a_conflict() -> None:
    merged = merge_one(OLD, OLD[: OLD.index("def schema")], OLD.replace('["SCHEMA"]', '["S"]'))
    assert merged.conflicts == ["m.py"]
    assert "<<<<<<< before updating\n=======\ndef schema()" in merged.files["m.py"]


def test_an_edit_of_a_definition_that_is_gone_is_kept_and_said() -> None:
    theirs = OLD[: OLD.index("def schema")]
    merged = merge_one(OLD, OLD.replace("    return os", "    # Mine.\n    return os"), theirs)
    assert merged.conflicts == ["m.py"]
    assert "    # Mine.\n" in merged.files["m.py"].split("<<<<<<< before updating")[1]
    assert "schema, which is gone" in merged.not_applied[0].reason
    assert "+ # Mine." in merged.not_applied[0].reason


def test_a_constant_is_never_taken_for_another() -> None:
    merged = merge_one("MOST = 10\n", "MOST = 20\n", "LEAST = 10\n")
    assert merged.conflicts == ["m.py"]
    assert merged.files["m.py"].startswith("LEAST = 10\n")


def test_what_the_owner_deleted_is_not_brought_back() -> None:
    merged = merge_trees({"app/lakebase.py": OLD}, {}, NEW, read_moves([MOVES]))
    assert merged.deleted == [LAKEBASE, POOL]
    [said] = merged.not_applied
    assert (said.path, said.reason) == ("app/lakebase.py", "which changed")


def test_what_the_owner_moved_is_named_with_its_new_place() -> None:
    ours = {"mine/pg.py": OLD + "# Mine.\n"}
    merged = merge_trees({"app/lakebase.py": OLD}, ours, NEW, read_moves([MOVES]))
    assert merged.not_applied[0].reason == "which changed; yours is mine/pg.py"
    assert "mine/pg.py" not in merged.files


def test_an_own_file_where_the_template_has_a_new_one_is_kept() -> None:
    ours = {"app/lakebase.py": OLD, POOL: "mine = 1\n"}
    merged = merge_trees({"app/lakebase.py": OLD}, ours, NEW, read_moves([MOVES]))
    assert merged.conflicts == [POOL]
    assert merged.files[POOL].startswith("<<<<<<< before updating\nmine = 1\n=======\n")


def test_edits_go_when_an_answer_takes_the_whole_module_away() -> None:
    ours = {"app/lakebase.py": OLD + "# Mine.\n"}
    merged = merge_trees({"app/lakebase.py": OLD}, ours, {}, read_moves([MOVES]))
    assert (merged.files, merged.dropped) == ({}, ["app/lakebase.py"])


def test_a_module_that_is_no_python_is_merged_line_by_line() -> None:
    broken = OLD + "mine = (\n"
    merged = merge_one(OLD, broken, OLD.replace("LIMIT = 10", "LIMIT = 20"))
    assert merged.files["m.py"] == broken.replace("LIMIT = 10", "LIMIT = 20")


def test_an_edit_of_a_deleted_constant_does_not_go_to_another_of_its_name() -> None:
    rest = "def f():\n    return 1\n"
    base = {"a.py": f"SECONDS = 3\n\n\n{rest}"}
    ours = {"a.py": base["a.py"].replace("3", "5")}
    merged = merge_trees(base, ours, {"a.py": rest, "b.py": "SECONDS = 3  # for b\n"}, Moves())
    assert "SECONDS = 5" in merged.files["a.py"]
    assert [item.path for item in merged.not_applied] == ["a.py"]
    assert "b.py" not in merged.files
