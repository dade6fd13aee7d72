"""A project of every earlier release, edited everywhere by its owner, takes this one."""

import ast
import json
import random
import re
import tomllib
from collections.abc import Callable
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakebase_agent.merging.moves import moves_between
from tests.support.owner import LINKED, edit_everything
from tests.support.places import IDENTITY, ITS_TESTS
from tests.support.project import install
from tests.support.releases import MADE_UP, Published, commit, git, releases_of
from tests.support.rendering import (
    OWNED,
    PAIRWISE,
    REPOSITORY,
    Combination,
    expected_files,
)

RELEASES = [*MADE_UP, *releases_of(REPOSITORY)]
# Each release with some combination, and each combination with some release; `long` has each
# combination with the release that differs most, and with the last. That each release's files
# become this one's is tested in test_merging_releases.py.
SOME = [(PAIRWISE[place % len(PAIRWISE)], tag) for place, tag in enumerate(RELEASES)]
# The first two, made up and real, and the last.
ENDS = (MADE_UP[0], RELEASES[len(MADE_UP)], RELEASES[-1])
SLOW, LONG = (pytest.mark.slow,), (pytest.mark.slow, pytest.mark.long)
EACH = [pytest.param(*case, marks=LONG) for case in zip(PAIRWISE, cycle(RELEASES), strict=False)]
ALL = list(product(PAIRWISE, (RELEASES[0], RELEASES[-1])))
PARSERS: dict[str, Callable[[str], Any]] = {
    ".py": ast.parse,
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".yml": yaml.safe_load,
}
GONE = "agent_server/obsolete.py"
MOVES = moves_between("0.0.0", "900.0.0")


def texts(project: Path) -> dict[str, str]:
    """Return every file of a project by its name."""
    names = git(project, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    names += LINKED
    return {name: (project / name).read_text() for name in names if (project / name).is_file()}


def lost(added: dict[str, str], after: dict[str, str], told: str) -> list[str]:
    """Return the files whose added line is neither where they are now, nor told to be gone."""
    missing = []
    for name, line in added.items():
        places = [place for place in (name, *MOVES.targets(name)) if place in after]
        gone = not places and re.search(rf"^  delete +{re.escape(name)}( |$)", told, re.MULTILINE)
        if not gone and not any(line in after[place] for place in places):
            missing.append(name)
    return missing


def check_update(published: Published, project: Path, release: str, wanted: Combination) -> None:
    """Generate, edit, update; nothing of the owner's is lost and nothing is in conflict."""
    published.generate(project, release, wanted)
    added = edit_everything(project)
    commit(project)
    before = texts(project)
    done = published.update(project, "--yes")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    after = texts(project)
    assert GONE not in after and expected_files(wanted) <= {*after}
    assert lost(added, after, done.stdout) == []
    kept = {*OWNED, "README.md", "evals/cases.toml", *LINKED, "agent_server/own.py"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert not [name for name in after if "<<<<<<<" in after[name] or name.endswith(".rej")]
    for name, text in after.items():
        PARSERS.get(Path(name).suffix, str)(text)


@pytest.mark.parametrize(
    ("combination", "release"),
    [pytest.param(*case, marks=SLOW if case[1] in ENDS else LONG) for case in SOME],
    ids=str,
)
def test_an_edited_project_takes_this_release(
    published: Published, tmp_path: Path, combination: Combination, release: str
) -> None:
    check_update(published, tmp_path / "my agent", release, combination)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("combination", "release"), [p for p in ALL if p not in SOME], ids=str)
def test_every_kind_of_project_takes_this_release(
    published: Published, tmp_path: Path, combination: Combination, release: str
) -> None:
    check_update(published, tmp_path / "my agent", release, combination)


@pytest.mark.slow
def test_a_renamed_answer_is_kept(published: Published, tmp_path: Path) -> None:
    project = published.generate(tmp_path / "p", MADE_UP[0], llm_endpoint="mine")
    assert published.update(project, "--yes").returncode == 0
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert (answers["model_endpoint"], "llm_endpoint" in answers) == ("mine", False)
    assert 'MODEL_ENDPOINT = "mine"' in (project / "pyproject.toml").read_text()


def test_releases_are_found_by_their_commits_without_tags(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    for number, subject in enumerate(("chore(release): v0.1.0", "fix: v9", "chore(release): v1")):
        (tmp_path / str(number)).touch()
        commit(tmp_path, subject)
    first = git(tmp_path, "rev-list", "--max-parents=0", "HEAD")
    assert releases_of(tmp_path) == {"v0.1.0": first, "v1": git(tmp_path, "rev-parse", "HEAD")}


@pytest.mark.generated
@pytest.mark.parametrize(("combination", "release"), EACH, ids=str)
def test_after_the_update_the_tests_of_the_project_pass(
    published: Published,
    environments: Path,
    tmp_path: Path,
    combination: Combination,
    release: str,
) -> None:
    folder = tmp_path / "my agent"
    check_update(published, folder, release, combination)
    project = install(folder, environments / combination.framework)
    project.run_tests(briefly=True)


def scatter(text: str, seed: int, lines: int) -> tuple[str, list[str]]:
    """Return `text` with comments strewn into it, and those comments."""
    chance = random.Random(seed)
    rows, added = text.splitlines(keepends=True), []
    for number in range(lines):
        added.append(f"# {seed}-{number}\n")
        rows.insert(chance.randint(0, len(rows)), added[-1])
    return "".join(rows), added


@pytest.fixture(scope="module")
def old_project(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project of the earliest release, to be put back after each example."""
    everything = Combination("openai", ("short_term", "long_term"), "provisioned")
    return published.generate(tmp_path_factory.mktemp("old") / "p", MADE_UP[0], everything)


def check_random_edits(published: Published, project: Path, edits: dict[str, int]) -> None:
    """No line of an owner's file is lost; what does not parse is said by the exit code."""
    git(project, "checkout", "--quiet", "-B", "try", "generated")
    added = {}
    for name, seed in edits.items():
        text, added[name] = scatter((project / name).read_text(), seed, 1 + seed % 5)
        (project / name).write_text(text)
    commit(project)
    broken = set(unparsable(project))
    done = published.update(project, "--yes")
    assert done.returncode in (0, 1), done.stderr
    assert done.returncode == 1 or not set(unparsable(project)) - broken
    for name, lines in added.items():
        text = (project / name).read_text()
        assert all(line in text for line in lines), name
    commit(project)


def unparsable(project: Path) -> list[str]:
    """Return the files that are not valid in their own language, or hold a conflict."""
    found = []
    for name, text in texts(project).items():
        try:
            PARSERS.get(Path(name).suffix, str)(text)
        except (SyntaxError, ValueError, yaml.YAMLError):
            found.append(name)
    return found + [name for name, text in texts(project).items() if "\n<<<<<<< " in text]


EDITED = [
    *OWNED, "README.md", "evals/cases.toml", "pyproject.toml", "databricks.yml", ".gitignore",
    IDENTITY, "AGENTS.md", ITS_TESTS, ".github/workflows/test.yml",
]  # fmt: skip
random_edits = st.dictionaries(
    st.sampled_from(EDITED), st.integers(0, 10**6), min_size=3, max_size=len(EDITED)
)
unhurried = settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.slow
@settings(unhurried, max_examples=2)
@given(random_edits)
def test_an_update_never_loses_a_line_of_the_owner(
    published: Published, old_project: Path, edits: dict[str, int]
) -> None:
    git(old_project, "branch", "--force", "generated", first_commit(old_project))
    check_random_edits(published, old_project, edits)


@pytest.mark.slow
@pytest.mark.long
@settings(unhurried, max_examples=6)
@given(random_edits)
def test_an_update_never_loses_a_line_of_the_owner_in_many_attempts(
    published: Published, old_project: Path, edits: dict[str, int]
) -> None:
    git(old_project, "branch", "--force", "generated", first_commit(old_project))
    check_random_edits(published, old_project, edits)


def first_commit(project: Path) -> str:
    return git(project, "rev-list", "--max-parents=0", "HEAD")
