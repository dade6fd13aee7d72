"""What may be answered."""

import re
from pathlib import Path

import pytest
import yaml
from copier import run_copy

from tests.support.places import OF_THE_FRAMEWORK
from tests.support.rendering import COMBINATIONS, REPOSITORY, Combination, render


def answers(project: Path) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((project / ".copier-answers.yml").read_text())
    return found


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("my-agent", "my-agent"),
        ("My Agent", "my-agent"),
        ("9 lives", "agent-9-lives"),
        ("Étoile", "toile"),
        ("x", "agent-x"),
        ("a" * 40, "a" * 30),
        ("a" * 29 + "-b", "a" * 29),
        ("日本", "agent"),
        ("langgraph", "agent-langgraph"),
        ("Type.ing Extensions", "type-ing-extensions"),
    ],
)
def test_an_app_is_named_after_its_folder(
    questions: Path, tmp_path: Path, folder: str, name: str
) -> None:
    run_copy(str(questions), tmp_path / folder, defaults=True, quiet=True, skip_tasks=True)
    assert answers(tmp_path / folder)["app_name"] == name


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("app_name", "9lives"),
        ("app_name", "a"),
        ("app_name", "with space"),
        ("app_name", 'x"; drop'),
        ("app_name", "a" * 31),
        ("app_name", "agent\n"),
        ("app_name", "langgraph"),
        ("app_name", "mcp"),
        ("app_name", "mlflow"),
        ("app_name", "agent-"),
        ("framework", "langgarph"),
        ("memory", ["chat_history"]),
        ("lakebase", "serverless"),
        ("lakebase_project", "projects/p"),
        ("lakebase_branch", "projects/p/branches/b"),
        ("model_endpoint", "a b"),
        ("model_endpoint", ""),
        ("embedding_endpoint", "a:b"),
        ("embedding_dims", 0),
        ("embedding_dims", 2001),
        ("profile", "my profile"),
        ("memory_schema", "pg_agent"),
    ],
)
def test_an_answer_that_cannot_work_is_refused_in_one_line(
    questions: Path, tmp_path: Path, question: str, answer: object
) -> None:
    given = {"lakebase": "autoscaling", "embedding_endpoint": "mine", question: answer}
    with pytest.raises(ValueError, match=question) as refusal:
        render(questions, COMBINATIONS[0], tmp_path / "p", **{"memory": ["long_term"], **given})
    assert "\n" not in str(refusal.value).strip()
    assert not (tmp_path / "p").exists()


def test_no_app_is_called_like_a_package_that_projects_install() -> None:
    rows = (REPOSITORY / "docs" / "licences.md").read_text().splitlines()
    packages = {row.split("|")[1].strip() for row in rows if row.startswith("| ")}
    names = {re.sub("[-_.]+", "-", package).lower() for package in packages}
    short = {name for name in names if re.fullmatch("[a-z][a-z0-9-]{1,29}", name)}
    questions = yaml.safe_load((REPOSITORY / "copier.yml").read_text())
    assert short - {"package"} <= set(questions["installed_packages"]["default"].split())


def test_no_app_is_called_like_a_package_that_projects_override() -> None:
    text = (REPOSITORY / "template" / "pyproject.toml.jinja").read_text()
    overridden = re.findall(r'"([a-z-]+); sys_platform == \'never\'"', text)
    questions = yaml.safe_load((REPOSITORY / "copier.yml").read_text())
    assert "mlflow" in overridden
    assert set(overridden) <= set(questions["installed_packages"]["default"].split())


def test_an_adopted_app_keeps_its_name(questions: Path, tmp_path: Path) -> None:
    project = render(questions, COMBINATIONS[0], tmp_path, app_name="langgraph", adopted=True)
    assert answers(project)["app_name"] == "langgraph"


def test_the_current_folder_names_the_app(
    questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Here We Are").mkdir()
    monkeypatch.chdir(tmp_path / "Here We Are")
    run_copy(str(questions), ".", defaults=True, quiet=True, skip_tasks=True)
    assert answers(Path())["app_name"] == "here-we-are"


@pytest.mark.parametrize(
    ("name", "schema"),
    [("my-agent", "my_agent"), ("pg-tips", "app_pg_tips"), ("public", "app_public")],
)
def test_the_schema_is_named_after_the_app_where_postgres_allows_it(
    questions: Path, tmp_path: Path, name: str, schema: str
) -> None:
    project = render(questions, COMBINATIONS[0], tmp_path / "p", app_name=name)
    assert answers(project)["memory_schema"] == schema


def test_another_app_name_keeps_the_schema_and_so_the_memory(
    questions: Path, tmp_path: Path
) -> None:
    render(questions, COMBINATIONS[0], tmp_path, app_name="first")
    project = render(questions, COMBINATIONS[0], tmp_path, app_name="second")
    assert answers(project)["app_name"] == "second"
    assert answers(project)["memory_schema"] == "first"


def test_a_project_keeps_its_framework(template: Path, tmp_path: Path) -> None:
    render(template, Combination("langgraph", (), "local"), tmp_path)
    before = (tmp_path / OF_THE_FRAMEWORK).read_bytes()
    with pytest.raises(ValueError, match="a project keeps its framework"):
        render(template, Combination("openai", (), "local"), tmp_path)
    assert (tmp_path / OF_THE_FRAMEWORK).read_bytes() == before


def test_the_length_of_vectors_is_remembered_only_for_an_unknown_endpoint(
    questions: Path, tmp_path: Path
) -> None:
    combination = Combination("langgraph", ("long_term",), "local")
    known = render(questions, combination, tmp_path / "known", embedding_dims=7)
    custom = {"embedding_endpoint": "mine", "embedding_dims": 7}
    unknown = render(questions, combination, tmp_path / "unknown", **custom)
    assert "embedding_dims" not in answers(known)
    assert answers(unknown)["embedding_dims"] == 7


@pytest.mark.parametrize("lakebase", ["local", "autoscaling", "provisioned"])
def test_answers_about_another_lakebase_are_not_remembered(
    questions: Path, tmp_path: Path, lakebase: str
) -> None:
    project = render(questions, Combination("langgraph", (), lakebase), tmp_path)
    remembered = {key for key in answers(project) if key.startswith("lakebase_")}
    wanted = {"autoscaling": {"project", "branch"}, "provisioned": {"instance"}, "local": set()}
    assert remembered == {f"lakebase_{name}" for name in wanted[lakebase]}
