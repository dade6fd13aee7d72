"""The rules of the house hold in every project, and each finds what breaks it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Renders
from tests.support import house, imports

Rule = Callable[[Path], list[str]]
LONG = "def long():\n" + "    print()\n" * 36
SHORT = "def short():\n    print()\n"
BRANCH = "    if x == 0:\n        return 0\n"
TWISTED = "def twisted(x):\n"


def circles(project: Path) -> list[str]:
    """Return the circles of imports in a project."""
    return imports.circles(imports.graph_of(project))


def upward_imports(project: Path) -> list[str]:
    """Return the imports of a higher layer in a project."""
    return imports.upward_imports(imports.graph_of(project))


def offline_imports(project: Path) -> list[str]:
    """Return the imports of the offline stand-ins in a project's server."""
    return imports.offline_imports(imports.graph_of(project))


def imports_against_the_map(project: Path) -> list[str]:
    """Return the imports of what the map of a project lists above."""
    return imports.against_the_map(imports.graph_of(project), (project / house.MAP).read_text())


RULES: list[Rule] = [
    circles, upward_imports, offline_imports, imports_against_the_map, house.crowded_folders,
    house.long_files, house.long_functions, house.modules_missing_on_the_map,
    house.files_only_on_the_map, house.mutable_globals,
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_project_has(renders: Renders, rule: Rule) -> None:
    assert [f"{c}: {offender}" for c in renders.chosen for offender in rule(renders[c])] == []


def test_no_project_has_complex_functions(renders: Renders) -> None:
    root = {renders[combination].parent for combination in renders.chosen}.pop()
    assert house.complex_functions(root) == []


def write(project: Path, files: dict[str, str]) -> Path:
    """Write modules of a server, and return their project."""
    for name, text in files.items():
        path = project / "agent_server" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return project


@pytest.mark.parametrize(
    "taken",
    [
        "from agent_server.one import x",
        "from agent_server import one",
        "from .one import x",
        "from . import one",
        "import agent_server.one",
        "if TYPE_CHECKING:\n    from agent_server.one import x",
        "def f():\n    from agent_server import one",
    ],
)
def test_a_circle_of_imports_is_found(tmp_path: Path, taken: str) -> None:
    write(tmp_path, {"one.py": "from agent_server.two import y", "two.py": "import json"})
    assert circles(tmp_path) == []
    write(tmp_path, {"two.py": taken})
    assert circles(tmp_path) == ["agent_server.one -> agent_server.two -> agent_server.one"]


def test_a_circle_through_a_third_module_is_found(tmp_path: Path) -> None:
    ways = {"one": "two", "two": "three", "three": "one", "four": "one"}
    write(tmp_path, {f"{at}.py": f"from agent_server import {to}" for at, to in ways.items()})
    [circle] = circles(tmp_path)
    assert [name.rpartition(".")[2] for name in circle.split(" -> ")][1:] != ["one"]
    assert "four" not in circle


@pytest.mark.parametrize(
    ("taken", "found"), [("from agent_server.room import x", 1), ("import agent_server.room.b", 0)]
)
def test_a_package_is_imported_only_where_a_name_is_taken_from_it(
    tmp_path: Path, taken: str, found: int
) -> None:
    package = {"room/__init__.py": "from agent_server.room.a import x", "room/b.py": ""}
    write(tmp_path, {**package, "room/a.py": taken})
    assert len(circles(tmp_path)) == found


@pytest.mark.parametrize("low", ["settings.py", "identity.py", "database/pool.py"])
def test_a_low_module_that_imports_a_room_is_found(tmp_path: Path, low: str) -> None:
    write(tmp_path, {low: "from agent_server.threads import store", "threads/store.py": ""})
    assert len(upward_imports(tmp_path)) == 1


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("chat/store", "server.runtime"),
        ("chat/store", "chat.routes"),
        ("server/runtime", "chat.routes"),
        ("server/runtime", "server.startup"),
        ("chat/routes", "server.app"),
    ],
)
def test_an_import_of_a_higher_layer_is_found(tmp_path: Path, module: str, imported: str) -> None:
    write(tmp_path, {f"{module}.py": f"import agent_server.{imported}"})
    write(tmp_path, {f"{imported.replace('.', '/')}.py": "import agent_server.errors"})
    name = module.replace("/", ".")
    assert upward_imports(tmp_path) == [f"agent_server.{name} imports agent_server.{imported}"]


def test_what_answers_requests_may_import_the_start_and_the_runtime(tmp_path: Path) -> None:
    write(tmp_path, {"chat/routes.py": "from agent_server.server import runtime, startup"})
    write(tmp_path, {"server/runtime.py": "", "server/startup.py": ""})
    assert upward_imports(tmp_path) == []


def test_only_the_start_may_import_what_works_offline(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "services.py").touch()
    taken = "from local.services import open_services"
    write(tmp_path, {"server/start.py": taken, "model.py": taken})
    assert offline_imports(tmp_path) == ["agent_server.model imports local.services"]


def test_a_folder_with_a_thirteenth_file_is_found(tmp_path: Path) -> None:
    write(tmp_path, {f"room/{number}.py": "" for number in range(12)})
    assert house.crowded_folders(tmp_path) == []
    write(tmp_path, {"room/__init__.py": ""})
    assert house.crowded_folders(tmp_path) == ["agent_server/room: 13 Python files"]


def test_a_file_with_a_201st_line_is_found(tmp_path: Path) -> None:
    write(tmp_path, {"short.py": "\n" * 200, "long.py": "\n" * 201})
    assert house.long_files(tmp_path) == ["agent_server/long.py: 201 lines"]


def test_a_function_with_a_36th_line_is_found(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": LONG + SHORT * 3})
    assert house.long_functions(tmp_path) == ["agent_server/a.py: long has 36 lines"]


def test_a_median_function_with_an_11th_line_is_found(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "def f():\n" + "    print()\n" * 11})
    assert house.long_functions(tmp_path) == ["the median function has 11 lines"]


def test_a_function_with_an_11th_branch_is_found(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": TWISTED + 10 * BRANCH, "b.py": TWISTED + 9 * BRANCH})
    [found] = house.complex_functions(tmp_path)
    assert found == "agent_server/a.py: `twisted` is too complex (11 > 10)"


def test_a_module_that_is_not_on_the_map_is_found(tmp_path: Path) -> None:
    write(tmp_path, {"__init__.py": "", "room/store.py": "", "room/routes.py": "", "store.py": ""})
    (tmp_path / "AGENTS.md").write_text("`room/store.py` and `agent_server/store.py`")
    assert house.modules_missing_on_the_map(tmp_path) == ["agent_server/room/routes.py"]


def test_what_only_the_map_has_is_found(tmp_path: Path) -> None:
    write(tmp_path, {"room/store.py": ""})
    (tmp_path / "AGENTS.md").write_text("`room/store.py`, `room/`, `room/gone.py`, `gone/`")
    assert house.files_only_on_the_map(tmp_path) == ["room/gone.py", "gone/"]


def test_an_import_of_what_the_map_lists_above_is_found() -> None:
    graph = {"agent_server.room.a": {"agent_server.b"}, "agent_server.b": {"agent_server.room.a"}}
    table = "| `room/a.py` | first |\n| `b.py` | second |"
    found = imports.against_the_map(graph, table)
    assert found == ["agent_server.b imports agent_server.room.a"]


@pytest.mark.parametrize(
    "code",
    [
        "runs = []",
        "runs: list[str] = []",
        "runs = {}",
        "runs = set()",
        "runs = collections.defaultdict(list)",
        "lock = asyncio.Lock()",
        "def f():\n    global runs\n    runs = 1",
        "runs = [1]\n\ndef f():\n    runs.append(2)",
        "runs = [1]\n\nasync def f():\n    runs[0] = 2",
        "runs = {1: 2}\n\ndef f():\n    del runs[1]",
        "runs = [1]\n\ndef f():\n    runs[0] += 2",
        "@functools.lru_cache(maxsize=1)\ndef f(): ...",
    ],
)
def test_a_global_that_can_change_is_found(tmp_path: Path, code: str) -> None:
    write(tmp_path, {"a.py": code})
    assert len(house.mutable_globals(tmp_path)) == 1


@pytest.mark.parametrize(
    "code",
    [
        "NAMES = ['a']\n\ndef f():\n    return NAMES[0]",
        "NAMES = ['a']\n\ndef f(NAMES):\n    NAMES.append('b')",
        "NAMES = ()",
        "user = ContextVar('user')",
        "class A:\n    def f(self):\n        self.runs = []",
    ],
)
def test_a_global_that_never_changes_is_none_of_them(tmp_path: Path, code: str) -> None:
    write(tmp_path, {"a.py": code})
    assert house.mutable_globals(tmp_path) == []


def test_the_client_of_the_workspace_may_be_cached(tmp_path: Path) -> None:
    cached = "@cache\ndef client(): ..."
    write(tmp_path, {"server/workspace.py": cached, "model.py": cached})
    assert house.mutable_globals(tmp_path) == ["agent_server/model.py: client is cached"]


def test_a_list_in_the_owners_file_is_the_owners(tmp_path: Path) -> None:
    write(tmp_path, {"tools.py": "MCP_SERVERS = []", "model.py": "MODELS = []"})
    assert house.mutable_globals(tmp_path) == ["agent_server/model.py: MODELS can change"]
