"""Real projects of earlier releases, edited in every function, move without losing a line."""

import ast
from collections import Counter
from itertools import cycle, product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakebase_agent.merging.merged import Merged
from lakebase_agent.merging.moves import TABLES, Moves, moves_between, read_moves
from lakebase_agent.merging.trees import merge_trees
from tests.support.owner_edits import PLACES, edit_functions, scatter_in_functions
from tests.support.releases import releases_of
from tests.support.rendered_releases import Files, Releases, rehouse
from tests.support.rendering import FRAMEWORKS, MEMORIES, REPOSITORY, Combination

FLAT = "v0.2.6"  # the last release without rooms, for which `rehouse` makes some up
DEFAULT, EVERYTHING = ("short_term", "long_term", "chat"), MEMORIES
RELEASES = list(releases_of(REPOSITORY))
COMMENT, STATEMENT = "# {}", '_ = "{}"'


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Releases:
    """Return the files of each release."""
    return Releases(tmp_path_factory.mktemp("releases"), template)


def after(ours: Files, base: Files, theirs: Files, merged: Merged) -> Files:
    """Return the project as it is after the merge."""
    own = {path: text for path, text in ours.items() if path not in base}
    files = {**own, **theirs, **merged.files}
    return {path: text for path, text in files.items() if path not in merged.deleted}


def unparsable(files: Files) -> list[str]:
    """Return the files that are no Python."""
    found = []
    for path, text in files.items():
        try:
            ast.parse(text if path.endswith(".py") else "")
        except SyntaxError:
            found.append(path)
    return found


def lost(added: list[str], files: Files) -> list[str]:
    """Return the lines that are not there exactly once."""
    counts = Counter(line.strip() for text in files.values() for line in text.split("\n"))
    return [line for line in added if counts[line] != 1]


def edited(base: Files, places: tuple[str, ...], line: str) -> tuple[Files, list[str]]:
    """Return a project with an edit in every function, and the lines that were added."""
    ours, added = dict(base), []
    for path in base:
        if path.endswith(".py"):
            ours[path], more = edit_functions(path, base[path], places, line)
            added += more
    return ours, added


def check(base: Files, theirs: Files, moves: Moves, places: tuple[str, ...], line: str) -> None:
    """Edit every function, and merge: nothing is lost, in conflict or broken."""
    ours, added = edited(base, places, line)
    importing = [path for path in base if path.startswith("agent_server/") and path[-3:] == ".py"]
    modules = [path[:-3].replace("/", ".") for path in importing if "__init__" not in path]
    ours["own/everything.py"] = "".join(f"import {module}\n" for module in modules)
    merged = merge_trees(base, ours, theirs, moves)
    files = after(ours, base, theirs, merged)
    assert lost(added, files) == []
    assert (merged.conflicts, merged.not_applied, unparsable(files)) == ([], [], [])
    for line in files["own/everything.py"].splitlines():
        stem = line.removeprefix("import ").replace(".", "/")
        assert f"{stem}.py" in files or f"{stem}/__init__.py" in files


# The last release in each way, and the others in one of them each. Long runs have most of them; all
# have the last release and the last one without rooms, each with another framework.
WAYS = list(product(FRAMEWORKS, (DEFAULT, EVERYTHING)))
ROUND = [
    *((RELEASES[-1], *way) for way in WAYS),
    *((release, *way) for release, way in zip(RELEASES[:-1], cycle(WAYS), strict=False)),
]
SOON = [ROUND[0], *(case for case in ROUND if case[0] == FLAT)]
EACH = [pytest.param(*case, marks=[] if case in SOON else pytest.mark.long) for case in ROUND]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("line", [COMMENT, STATEMENT])
@pytest.mark.parametrize(
    "release", [pytest.param(RELEASES[0], marks=pytest.mark.slow), RELEASES[-1]]
)
def test_a_release_that_only_moves_keeps_every_edit(
    releases: Releases, release: str, line: str, framework: str
) -> None:
    base = releases.files(release, Combination(framework, EVERYTHING, "local"))
    theirs, table = rehouse(base)
    places = PLACES if line == COMMENT else ("first", "before", "nested")
    check(base, theirs, read_moves([table]), places, line)


@pytest.mark.slow
@pytest.mark.skipif(not list(TABLES.glob("*.toml")), reason="no release has moved anything yet")
@pytest.mark.parametrize(("release", "framework", "memory"), EACH, ids=str)
def test_every_edit_of_every_release_is_in_this_one(
    releases: Releases, release: str, framework: str, memory: tuple[str, ...]
) -> None:
    combination = Combination(framework, memory, "local")
    base, theirs = (releases.files(version, combination) for version in (release, ""))
    moves = moves_between(release.removeprefix("v"), "900")
    check(base, theirs, moves, PLACES, COMMENT)
    for places in PLACES[:2], PLACES[3:]:
        check(base, theirs, moves, places, STATEMENT)


@pytest.mark.slow
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    release=st.sampled_from([RELEASES[0], FLAT]),
    framework=st.sampled_from(FRAMEWORKS),
    seed=st.integers(0, 10**6),
)
def test_no_inserted_line_is_ever_lost(
    releases: Releases, release: str, framework: str, seed: int
) -> None:
    combination = Combination(framework, EVERYTHING, "local")
    base, last = (releases.files(version, combination) for version in (release, FLAT))
    theirs, table = rehouse(last)
    ours, added = dict(base), []
    for path in (path for path in base if path.endswith(".py")):
        ours[path], more = scatter_in_functions(path, base[path], seed, 1 + seed % 3)
        added += more
    merged = merge_trees(base, ours, theirs, read_moves([table]))
    files = after(ours, base, theirs, merged)
    assert lost(added, files) == []
    assert set(unparsable(files)) <= set(merged.conflicts)
