"""How the dependencies of a project and of the template's next release become one list."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebase_agent.update.dependencies import merge_dependencies
from tests.support.releases import MADE_UP, Published, commit, git
from tests.support.rendering import REPOSITORY, Combination

SCRIPT = REPOSITORY / "hooks" / "merge_dependencies.py"
PROJECT = """\
[project]
name = "my-agent"
dependencies = [
    "fastapi[standard]>=0.128,<1",  # the server
    "mcp>=1.25,<2",
    "uvicorn>=0.38,<1",
]

[dependency-groups]
dev = [
    "httpx>=0.28,<1",
    "pytest>=9,<10",
]
"""
names = st.sampled_from(["aaa", "b-b", "fastapi", "mcp", "uvicorn", "zzz"])
bounds = st.sampled_from(["", ">=1", ">=2,<3", "==2.5", "; python_version < '3'"])
dependencies = st.dictionaries(names, bounds)


def merged(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """Merge what the owner and the template each replaced in PROJECT; there is no conflict."""
    texts = []
    for replacements in (ours, theirs):
        text = PROJECT
        for old, new in replacements.items():
            assert old in text
            text = text.replace(old, new)
        texts.append(text)
    result, conflicts = merge_dependencies(PROJECT, *texts)
    assert not conflicts
    return str(result)


def test_a_package_added_beside_a_raised_bound_is_kept() -> None:
    text = merged({'"uvicorn>=0.38,<1",': '"uvicorn>=0.38,<1",\n    "rich",'}, {"0.38": "0.40"})
    assert '    "uvicorn>=0.40,<1",\n    "rich",\n]' in text


def test_packages_that_both_add_at_the_same_place_are_kept() -> None:
    last = '"pytest>=9,<10",'
    text = merged({last: f'{last}\n    "ours",'}, {last: f'{last}\n    "theirs",'})
    assert '    "pytest>=9,<10",\n    "theirs",\n    "ours",\n]' in text


def test_a_package_that_both_constrain_keeps_both_bounds_and_its_comment() -> None:
    text = merged({">=0.128,<1": ">=0.130,<1"}, {">=0.128": ">=0.129", "standard": "all"})
    assert '"fastapi[all]>=0.129,<1,>=0.130",  # the server\n' in text


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({'    "mcp>=1.25,<2",\n': ""}, {"1.25": "1.26"}),
        ({'"uvicorn': '"rich",\n    "uvicorn'}, {'    "mcp>=1.25,<2",\n': ""}),
    ],
    ids=["the owner, while the template bound it anew", "the template, beside the owner's edit"],
)
def test_a_package_that_one_removed_stays_removed(
    ours: dict[str, str], theirs: dict[str, str]
) -> None:
    assert "mcp" not in merged(ours, theirs)


def test_the_template_does_not_remove_a_package_that_the_owner_changed() -> None:
    text = merged({"mcp>=1.25,<2": "mcp>=1.26,<2"}, {'    "mcp>=1.25,<2",\n': ""})
    assert '"mcp>=1.26,<2"' in text


def test_groups_addresses_and_comments_of_the_owner_are_kept() -> None:
    own = '    {include-group = "docs"},\n    "x @ https://example.com/x.whl",\n    # Why.\n'
    text = merged({'    "pytest': f'{own}    "pytest'}, {"httpx>=0.28": "httpx>=0.29"})
    assert own in text and "httpx>=0.29" in text


def test_a_list_on_one_line_is_merged_too() -> None:
    inline = 'dev = ["httpx>=0.28,<1", "rich"]'
    old = PROJECT[PROJECT.index("dev = [") :].rstrip()
    text = merged({old: inline}, {"httpx>=0.28": "httpx>=0.29"})
    assert tomllib.loads(text)["dependency-groups"]["dev"] == ["httpx>=0.29,<1", "rich"]


def test_a_conflict_elsewhere_stays_a_conflict() -> None:
    ours, theirs = (PROJECT.replace("my-agent", name) for name in ("ours", "theirs"))
    text, conflicts = merge_dependencies(PROJECT, ours, theirs)
    assert conflicts
    assert '<<<<<<< before updating\nname = "ours"' in text


@pytest.mark.parametrize("pin", ["mcp==1.25", "mcp<1.26", "mcp[cli]~=1.25.0"])
def test_bounds_that_no_version_satisfies_stay_a_conflict(pin: str) -> None:
    ours, theirs = (PROJECT.replace("mcp>=1.25,<2", wanted) for wanted in (pin, "mcp>=1.26,<2"))
    text, conflicts = merge_dependencies(PROJECT, ours, theirs)
    assert conflicts
    assert f'"{pin}"' in text and '"mcp>=1.26,<2"' in text


@given(dependencies, dependencies, dependencies)
def test_no_package_is_lost_and_the_result_parses(
    base: dict[str, str], ours: dict[str, str], theirs: dict[str, str]
) -> None:
    texts = ["".join(f"{name}{bound}\0" for name, bound in d.items()) for d in (base, ours, theirs)]
    text, conflicts = merge_dependencies(*(project_with(text.split("\0")[:-1]) for text in texts))
    found = {key for key in names_in(text)}
    assert not conflicts
    assert (ours.keys() - base.keys()) | (theirs.keys() - base.keys()) <= found
    assert found <= ours.keys() | theirs.keys()


def project_with(items: list[str]) -> str:
    lines = "".join(f'    "{item}",\n' for item in items)
    return f'[project]\nname = "x"\ndependencies = [\n{lines}]\n'


def names_in(text: str) -> list[str]:
    items = tomllib.loads(text)["project"]["dependencies"]
    return [item.split(";")[0].split("=")[0].rstrip(">") for item in items]


@pytest.fixture
def project(small: Published, tmp_path: Path) -> Path:
    """Return a project of an earlier release, to which uv added packages."""
    everything = Combination("langgraph", ("short_term", "long_term"), "local")
    project = small.generate(tmp_path / "p", MADE_UP[1], everything)
    for added in (["rich>=14"], ["--dev", "hypothesis"], ["fastapi>=0.120"], ["--group", "x", "y"]):
        command = ["uv", "add", "--quiet", "--frozen", *added]
        subprocess.run(command, cwd=project, check=True, capture_output=True)
    commit(project)
    return project


UVX = ("uvx", "--quiet", "--from", "copier>=9.19,<10")


@pytest.mark.slow
@pytest.mark.parametrize("without_tomlkit", [(), UVX], ids=["with tomlkit", "uvx copier"])
def test_uv_add_and_a_raised_bound_never_conflict(
    small: Published, project: Path, without_tomlkit: tuple[str, ...]
) -> None:
    cache = subprocess.run(["uv", "cache", "dir"], capture_output=True, text=True, check=True)
    update = (*without_tomlkit, "copier", "update", "--trust", "--defaults")
    done = small.run(project, *update, UV_CACHE_DIR=cache.stdout.strip())
    assert (done.returncode, git(project, "ls-files", "--unmerged")) == (0, ""), done.stderr
    document = tomllib.loads((project / "pyproject.toml").read_text())
    found, groups = document["project"]["dependencies"], document["dependency-groups"]
    assert "rich>=14" in found and "hypothesis" in groups["dev"] and groups["x"] == ["y"]
    assert "fastapi>=0.128,>=0.120" in found and "uvicorn>=0.38,<1" in found


@pytest.fixture
def conflict(tmp_path: Path) -> Path:
    """Return a repository in the middle of a merge that git could not finish."""
    path = tmp_path / "pyproject.toml"
    git(tmp_path, "init", "--quiet", "--initial-branch=ours")
    for branch, text in (("base", "0.38"), ("theirs", "0.39"), ("ours", "0.40")):
        git(tmp_path, "checkout", "--quiet", "-B", branch, *(["base"] if branch != "base" else []))
        path.write_text(PROJECT.replace("0.38", text))
        commit(tmp_path)
    ada = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    merge = ["git", *ada, "merge", "theirs"]
    subprocess.run(merge, cwd=tmp_path, capture_output=True, check=False)
    assert git(tmp_path, "ls-files", "--unmerged")
    return tmp_path


def test_without_tomlkit_and_uv_the_conflict_stays_and_is_reported(
    conflict: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV", str(conflict / "gone"))
    before = (conflict / "pyproject.toml").read_text()
    command = [sys.executable, "-I", "-S", str(SCRIPT)]
    done = subprocess.run(command, cwd=conflict, capture_output=True, text=True, check=False)
    assert (done.returncode, "git's conflicts are still in it" in done.stdout) == (0, True)
    assert (conflict / "pyproject.toml").read_text() == before
