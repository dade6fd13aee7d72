"""A team deploys: two people and CI, each with their own identity, in turn.

What deployments do is modelled in tests/standins/bundle.py.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lakebase_agent.project.env_file import read_env
from tests.conftest import Renders
from tests.standins.bundle import BundleError, Deployment
from tests.standins.workspace import ME, Workspace, open_workspace
from tests.standins.workspace.apps import App
from tests.support.commands import run_here
from tests.support.rendering import REPOSITORY, Combination

BOB, CI = "bob@example.com", "6f1c2d3e-0000-4000-8000-00000000abcd"
OWN_SCHEMA = "my_agent_dev_bob"
PROD = ("link", "--create", "--target", "prod", "--deployer", CI, "--users", "data science")

pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Yield a workspace that nothing is deployed to."""
    with open_workspace() as workspace:
        workspace.content.apps.clear()
        workspace.content.files.clear()
        for name, value in workspace.variables(DATABRICKS_CONFIG_PROFILE="").items():
            monkeypatch.setenv(name, value)
        yield workspace


class Team:
    """The people who deploy a project, each in a checkout of their own."""

    def __init__(
        self, workspace: Workspace, project: Path, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.workspace, self.project, self._home = workspace, project, home
        self._monkeypatch = monkeypatch

    def checkout(self, user: str) -> Path:
        """Return a person's checkout, with the files of the bundle as they are in git."""
        folder = self._home / user
        if not folder.exists():
            shutil.copytree(self.project, folder)
        for path in [*self.project.glob("databricks.yml"), *self.project.glob("workspace.*.yml")]:
            shutil.copy(path, folder)
        return folder

    def link(self, user: str, *command: str) -> str:
        """Let a person link the project, and commit what git tracks."""
        folder = self.checkout(user)
        self._monkeypatch.setenv("DATABRICKS_TOKEN", self.workspace.identities.add_user(user))
        done = run_here(folder, *command)
        assert done.returncode == 0, done.stderr
        for path in folder.glob("workspace.*.yml"):
            shutil.copy(path, self.project)
        return done.stdout

    def deployment(self, user: str, target: str, **environment: str) -> Deployment:
        """Return a deployment from a person's checkout."""
        folder = self.checkout(user)
        return Deployment(self.workspace.content, folder, target, user, environment)


@pytest.fixture
def team(
    workspace: Workspace, renders: Renders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Team:
    """Return a team whose first person has generated a project."""
    combination = Combination("langgraph", ("short_term", "long_term"), "autoscaling")
    project = shutil.copytree(renders[combination], tmp_path / "git")
    return Team(workspace, project, tmp_path, monkeypatch)


@pytest.fixture
def in_production(team: Team) -> Team:
    """Return the team once CI has deployed production."""
    team.link(ME, *PROD)
    team.deployment(CI, "prod").deploy()
    return team


def test_production_is_deployed_by_ci_and_again_without_a_change(team: Team) -> None:
    team.link(ME, *PROD)
    created = team.deployment(CI, "prod").deploy()
    assert created == dict.fromkeys(
        ["apps.my_agent", "experiments.traces", "postgres_projects.memory"], "create"
    )
    assert team.deployment(CI, "prod").plan() == {}


def test_a_second_person_who_deploys_production_finds_the_same_app(in_production: Team) -> None:
    in_production.workspace.content.writers.add(ME)
    assert in_production.deployment(ME, "prod").plan() == {"apps.my_agent": "update"}
    in_production.link(ME, *PROD[:-4], "--deployer", f"{CI}, {ME}")
    in_production.deployment(CI, "prod").deploy()
    assert in_production.deployment(ME, "prod").plan() == {}


def test_nobody_deploys_production_from_a_folder_of_their_own(in_production: Team) -> None:
    with pytest.raises(BundleError, match="permission to write"):
        in_production.deployment(BOB, "prod").deploy()
    assert [*in_production.workspace.content.apps] == ["my-agent"]


def test_without_one_folder_a_second_person_would_meet_the_apps_name(team: Team) -> None:
    # What happened before `link` wrote a root path: each home has a state of its own.
    team.link(ME, *PROD)
    path = team.project / "workspace.prod.yml"
    bundle = yaml.safe_load(path.read_text())
    del bundle["targets"]["prod"]["workspace"]["root_path"]
    path.write_text(yaml.safe_dump(bundle))
    team.deployment(CI, "prod").deploy()
    with pytest.raises(BundleError, match="already exists"):
        team.deployment(ME, "prod").deploy()


def test_each_developer_has_an_app_a_schema_and_a_branch(in_production: Team) -> None:
    for user in (ME, BOB):
        in_production.link(user, "link", "--create")
        in_production.deployment(user, "dev").deploy()
        assert in_production.deployment(user, "dev").plan() == {}
    apps = [*in_production.workspace.content.apps]
    assert apps == ["my-agent", "my-agent-dev-ada", "my-agent-dev-bob"]
    branches = in_production.workspace.content.below("projects/my-agent", "branches")
    names = [branch.name.rpartition("/")[2] for branch in branches]
    assert names == ["production", "dev-ada", "dev-bob"]


def test_a_developers_app_has_another_schema_than_their_own_machine(in_production: Team) -> None:
    in_production.link(BOB, "link", "--create")
    deployment = in_production.deployment(BOB, "dev")
    app = deployment.config["resources"]["apps"]["my_agent"]
    schemas = [e["value"] for e in app["config"]["env"] if e["name"].endswith("_SCHEMA")]
    assert schemas == ["my_agent_devapp_bob"]
    assert read_env(deployment.project)["LAKEBASE_AGENT_MEMORY_SCHEMA"] == OWN_SCHEMA


def test_what_a_developer_deploys_first_keeps_its_name(in_production: Team) -> None:
    content = in_production.workspace.content
    content.apps["my-agent-dev"] = App("my-agent-dev", "id", creator=BOB)
    in_production.link(BOB, "link", "--create")
    assert not (in_production.checkout(BOB) / ".databricks").exists()
    in_production.link(ME, "link")
    assert "my-agent-dev-ada" in in_production.link(ME, "link")


def test_after_the_deployment_a_developers_machine_uses_their_branch(in_production: Team) -> None:
    assert "first deployment" in in_production.link(BOB, "link", "--create")
    folder = in_production.checkout(BOB)
    assert "LAKEBASE_AUTOSCALING_ENDPOINT" not in read_env(folder)
    in_production.deployment(BOB, "dev").deploy()
    assert run_here(folder, "link").returncode == 0
    endpoint = read_env(folder)["LAKEBASE_AUTOSCALING_ENDPOINT"]
    assert endpoint == "projects/my-agent/branches/dev-bob/endpoints/primary"
    assert "nothing changed" in run_here(folder, "link").stdout


def test_a_pull_request_has_an_app_and_a_branch_until_it_is_closed(in_production: Team) -> None:
    in_production.link(ME, "link", "--create", "--target", "pr")
    for number in ("7", "12"):
        in_production.deployment(CI, "pr", BUNDLE_VAR_pr=number).deploy()
    content = in_production.workspace.content
    assert [*content.apps] == ["my-agent", "my-agent-pr-7", "my-agent-pr-12"]
    in_production.deployment(CI, "pr", BUNDLE_VAR_pr="7").destroy()
    names = [branch.name for branch in content.below("projects/my-agent", "branches")]
    assert names == [f"projects/my-agent/branches/{name}" for name in ("production", "pr-12")]
    assert in_production.deployment(CI, "prod").plan() == {}


def test_dev_and_prod_share_neither_branch_nor_schema_nor_experiment(in_production: Team) -> None:
    in_production.link(BOB, "link", "--create")
    in_production.deployment(BOB, "dev").deploy()
    apps = in_production.workspace.content.apps
    ours, theirs = apps["my-agent"].resources, apps["my-agent-dev-bob"].resources
    for kind in ("postgres", "experiment"):
        [one], [other] = ([r[kind] for r in bound if kind in r] for bound in (ours, theirs))
        assert one != other and "${" not in str((one, other))


def test_the_named_group_may_use_the_app_and_ci_manages_it(in_production: Team) -> None:
    assert in_production.workspace.content.apps["my-agent"].permissions == [
        {"level": "CAN_USE", "group_name": "data science"},
        {"level": "CAN_MANAGE", "service_principal_name": CI},
    ]


def test_another_name_does_not_delete_the_app_in_production(in_production: Team) -> None:
    path = in_production.project / "databricks.yml"
    path.write_text(path.read_text().replace('app_name: "my-agent"', 'app_name: "other"'))
    with pytest.raises(BundleError, match="prevent_destroy"):
        in_production.deployment(CI, "prod").deploy()
    assert "my-agent" in in_production.workspace.content.apps


@pytest.mark.parametrize("target", ["dev", "prod"])
def test_before_it_is_linked_a_deployment_says_what_to_run(team: Team, target: str) -> None:
    with pytest.raises(BundleError, match="run-lakebase-agent-link"):
        team.deployment(ME, target).plan()


ELSEWHERE = (
    "copier copy",
    "cd my-agent",
    "git add",
    "gh repo",
    "databricks auth",
    "uv run start-app",
)


def steps() -> Iterator[tuple[str, str]]:
    """Yield each command of the walk-through, with the user whose part it is in."""
    for part in (REPOSITORY / "docs" / "team.md").read_text("utf-8").split("\n## ")[1:]:
        user = {"Bob": BOB, "CI": CI}.get(part.split()[1], ME)
        for block in re.findall(r"```\n(.*?)```", part, re.DOTALL):
            for line in block.splitlines():
                if not line.startswith(ELSEWHERE):
                    yield user, line.replace("6f1c…", CI)


def test_the_walk_through_is_what_happens(team: Team) -> None:
    for user, line in steps():
        program, *words = shlex.split(line)
        target = words[words.index("--target") + 1] if "--target" in words else "dev"
        if program == "lakebase-agent":
            team.link(user, *words)
        elif words[:2] == ["apps", "deploy"]:
            assert set(team.deployment(user, target).deploy().values()) == {"create"}
        else:
            assert line == "gh workflow run deploy.yml -f target=prod"
            assert len(team.deployment(CI, "prod").deploy()) == 3
    apps = {"my-agent": CI, "my-agent-dev-ada": ME, "my-agent-dev-bob": BOB}
    assert {name: app.creator for name, app in team.workspace.content.apps.items()} == apps
    assert team.deployment(CI, "prod").plan() == {}
