"""`lakebase-agent link --create`: what it declares, and what `link` keeps, refuses and warns of."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakebase_agent.link.team import personal_app
from tests.standins.bundle import Deployment
from tests.standins.workspace import (
    APP,
    BRANCH_PATH,
    DATABASE_PATH,
    INSTANCE,
    ME,
    Workspace,
)
from tests.standins.workspace.content import MODELS
from tests.support.bundles import SCHEMA, bundle_problems
from tests.support.commands import run_here

PLACE = ("--project", "agents", "--branch", "production")
REFERENCE = re.compile(r"\$\{resources\.(\w+)\.(\w+)\.(id|name)\}")
PARENT = ("--project", "agents")
EVERY = pytest.mark.parametrize(
    ("project", "target", "options"),
    [
        ("autoscaling", "dev", PARENT),
        ("autoscaling", "prod", ()),
        ("autoscaling", "pr", PARENT),
        ("provisioned", "dev", ()),
        ("provisioned", "prod", ()),
        ("no memory", "dev", ()),
        ("no memory", "prod", ()),
        ("no memory", "pr", ()),
    ],
    indirect=["project"],
)


def create(project: Path, target: str, *options: str) -> str:
    """Let the bundle create what a target needs."""
    done = run_here(project, "link", "--create", "--target", target, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(project: Path, target: str) -> Any:
    """Return the target's file."""
    return yaml.safe_load((project / f"workspace.{target}.yml").read_text())


def contents(project: Path) -> dict[Path, bytes]:
    """Return every file of the project."""
    return {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}


@pytest.mark.skipif(not SCHEMA.exists(), reason=f"{SCHEMA}, the schema of bundles, is not here")
@EVERY
def test_what_it_declares_is_a_bundle_that_the_cli_accepts(
    project: Path, target: str, options: tuple[str, ...]
) -> None:
    create(project, target, *options, "--users", "analysts")
    # An included file need not name the bundle.
    assert list(bundle_problems({**read(project, target), "bundle": {"name": "x"}})) == []


@EVERY
def test_every_name_in_it_resolves(
    workspace: Workspace, project: Path, target: str, options: tuple[str, ...]
) -> None:
    create(project, target, *options)
    config = Deployment(workspace.content, project, target, ME, {}).config
    used = {(kind, key) for kind, key, _ in REFERENCE.findall(json.dumps(config))}
    declared = {(kind, key) for kind, items in config["resources"].items() for key in items}
    assert used == declared - {("apps", "my_agent")}


@EVERY
def test_it_changes_no_rendered_file_and_a_second_run_nothing(
    project: Path, target: str, options: tuple[str, ...]
) -> None:
    rendered = contents(project)
    create(project, target, *options)
    first = contents(project)
    assert rendered.items() <= first.items()
    for again in (("--create",), ()):
        assert "nothing changed" in run_here(project, "link", "--target", target, *again).stdout
    assert contents(project) == first


def test_a_branch_of_an_older_project_keeps_the_id_of_its_database(project: Path) -> None:
    create(project, "dev", *PARENT)
    database = read(project, "dev")["targets"]["dev"]["variables"]["lakebase_database"]
    assert database.endswith(f"/databases/{DATABASE_PATH.rpartition('/')[2]}")


def test_a_number_fits_into_the_longest_name_of_an_app(project: Path) -> None:
    answers = project / ".copier-answers.yml"
    answers.write_text(answers.read_text().replace("app_name: my-agent", f"app_name: {'a' * 30}"))
    create(project, "pr", *PARENT)
    name = read(project, "pr")["targets"]["pr"]["variables"]["app_name"]
    assert len(name.replace("${var.pr}", "99999")) == 30


@pytest.mark.parametrize("user", ["ada@x.org", "a.very.long.name@x.org", "Ω@x.org", "1@x.org"])
def test_a_persons_app_has_a_name_that_databricks_accepts(user: str) -> None:
    for app in ("ab", "a" * 30):
        assert re.fullmatch("[a-z][a-z0-9-]{1,28}[a-z0-9]", personal_app(app, user))


def test_two_people_have_two_apps() -> None:
    users = [f"somebody.with.a.long.name.{number}@x.org" for number in "ab"]
    assert len({personal_app("my-agent", user) for user in users}) == 2


def test_without_any_project_a_developer_is_told_to_begin_with_production(
    workspace: Workspace, project: Path
) -> None:
    workspace.content.lakebase.clear()
    done = run_here(project, "link", "--create")
    assert done.returncode == 2
    assert "lakebase-agent link --create --target prod" in done.stderr


@pytest.mark.parametrize("project", ["provisioned"], indirect=True)
def test_an_instance_has_no_branch_for_a_pull_request(project: Path) -> None:
    done = run_here(project, "link", "--create", "--target", "pr")
    assert (done.returncode, "branch" in done.stderr) == (2, True)
    assert not (project / "workspace.pr.yml").exists()


def test_what_the_bundle_creates_is_not_replaced_by_what_is_there(project: Path) -> None:
    create(project, "prod")
    before = contents(project)
    done = run_here(project, "link", "--target", "prod", *PLACE)
    assert done.returncode == 2 and "would delete it" in done.stderr
    assert contents(project) == before


def test_leaving_a_lakebase_says_that_what_is_stored_stays_there(project: Path) -> None:
    assert run_here(project, "link", *PLACE).returncode == 0
    assert f"leaving {BRANCH_PATH}: what is stored there stays there" in create(project, "dev")


def test_another_targets_branch_is_not_taken_by_default(project: Path) -> None:
    assert run_here(project, "link", *PLACE).returncode == 0
    done = run_here(project, "link", "--target", "prod", *PARENT)
    assert done.returncode == 2 and f"target dev has {BRANCH_PATH}" in done.stderr
    assert "lakebase-agent link --create --target dev" in done.stderr
    assert not (project / "workspace.prod.yml").exists()


def test_another_targets_branch_may_be_chosen(project: Path) -> None:
    assert run_here(project, "link", *PLACE).returncode == 0
    done = run_here(project, "link", "--target", "prod", *PLACE)
    assert (done.returncode, "target dev has this branch, too" in done.stdout) == (0, True)
    experiments = [read(project, t)["targets"][t]["variables"] for t in ("dev", "prod")]
    assert experiments[0]["experiment_id"] != experiments[1]["experiment_id"]


@pytest.mark.parametrize("options", [(), ("--create",)])
def test_a_target_that_the_bundle_does_not_have_is_refused(
    project: Path, options: tuple[str, ...]
) -> None:
    before = contents(project)
    done = run_here(project, "link", "--target", "staging", *options, *PARENT)
    assert done.returncode == 2
    assert "databricks.yml has no target staging, only dev, prod" in done.stderr
    assert contents(project) == before


def test_what_an_existing_app_loses_is_listed(workspace: Workspace, project: Path) -> None:
    app = workspace.content.apps[APP]
    warehouse = {"name": "sql", "sql_warehouse": {"id": "a1b2", "permission": "CAN_USE"}}
    model = {"name": "llm", "serving_endpoint": {"name": MODELS[0], "permission": "CAN_QUERY"}}
    app.resources, app.user_api_scopes = [warehouse, model], ["genie"]
    said = run_here(project, "link", "--target", "prod", "--app", APP, *PLACE).stdout
    lost = re.findall(rf"takes this from {APP}: (.*)", said)
    assert lost == ["the resource sql (sql_warehouse a1b2)", "the scope genie of its users"]


def test_who_deploys_is_kept_until_somebody_else_is_named(project: Path) -> None:
    create(project, "prod", "--deployer", "ada@example.com bob@example.com", "--users", "analysts")
    first = read(project, "prod")
    run_here(project, "link", "--target", "prod")
    assert read(project, "prod") == first
    run_here(project, "link", "--target", "prod", "--deployer", "carol@example.com")
    section = read(project, "prod")["targets"]["prod"]
    assert section["workspace"]["root_path"].startswith("/Workspace/Users/carol@example.com/")
    assert section["resources"]["apps"]["my_agent"]["permissions"] == [
        {"level": "CAN_USE", "group_name": "analysts"},
        {"level": "CAN_MANAGE", "user_name": "carol@example.com"},
    ]


@pytest.mark.parametrize("project", ["provisioned"], indirect=True)
def test_an_instance_that_is_there_may_serve_two_targets(project: Path) -> None:
    for target in ("dev", "prod"):
        done = run_here(project, "link", "--target", target, "--instance", INSTANCE)
        assert done.returncode == 0, done.stderr
