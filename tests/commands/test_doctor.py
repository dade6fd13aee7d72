"""`lakebase-agent doctor`: what it finds, and that it changes nothing."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.conftest import Renders
from tests.standins.workspace import (
    APP,
    APP_PRINCIPAL,
    DATABASE_PATH,
    ENDPOINT_PATH,
    INSTANCE,
    ME,
    Workspace,
    open_workspace,
)
from tests.standins.workspace.apps import App
from tests.standins.workspace.state import Endpoint
from tests.support.commands import Done, run_here
from tests.support.existing_agents import WITH_APP_YAML, adopted, app_template, write_agent
from tests.support.rendering import Combination

pytestmark = pytest.mark.generated
PLACE = {
    "autoscaling": ("--project", "agents", "--branch", "production"),
    "provisioned": ("--instance", "agent-memory"),
}
TABLES = """
    CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;
    CREATE SCHEMA my_agent;
    CREATE TABLE my_agent.store_vectors (embedding public.vector({dims}));
"""

GRANTED = f"""
    CREATE SEQUENCE my_agent.numbers;
    GRANT USAGE, CREATE ON SCHEMA my_agent TO "{APP_PRINCIPAL}";
    GRANT ALL ON ALL TABLES IN SCHEMA my_agent TO "{APP_PRINCIPAL}";
    GRANT ALL ON ALL SEQUENCES IN SCHEMA my_agent TO "{APP_PRINCIPAL}";
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Yield a workspace with a database."""
    with open_workspace(tmp_path_factory.mktemp("database")) as workspace:
        yield workspace


@pytest.fixture
def cli(tmp_path: Path) -> Path:
    """Return a stand-in for the Databricks CLI, which says its version."""
    return make_cli(tmp_path)


def make_cli(folder: Path) -> Path:
    """Write a stand-in for the Databricks CLI where `run` finds it for projects in `folder`."""
    program = folder / "bin" / "databricks"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho Databricks CLI v0.300.1\n")
    program.chmod(0o755)
    return program


@pytest.fixture(scope="module")
def linked(
    renders: Renders, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return what makes a project of a flavour whose target prod is linked to that workspace."""

    @cache
    def link(flavour: str) -> Path:
        folder = tmp_path_factory.mktemp(flavour) / "p"
        make_cli(folder.parent)
        combination = Combination("openai", ("short_term", "long_term"), flavour)
        shutil.copytree(renders[combination], folder)
        done = run(workspace, folder, "link", "--target", "prod", "--app", APP, *PLACE[flavour])
        assert done.returncode == 0, done.stderr
        return folder

    return link


@pytest.fixture
def project(
    request: pytest.FixtureRequest,
    linked: Callable[[str], Path],
    workspace: Workspace,
    cli: Path,
    tmp_path: Path,
) -> Path:
    """Return a project whose target prod is linked to that workspace, which is as it was."""
    workspace.database.reset()
    workspace.faults.clear()
    return Path(shutil.copytree(linked(getattr(request, "param", "autoscaling")), tmp_path / "p"))


def run(workspace: Workspace, folder: Path, *command: str) -> Done:
    """Run a command of the package in the project."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DATABRICKS_")}
    path = f"{folder.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with patch.dict(os.environ, {**clean, **workspace.variables(PATH=path)}, clear=True):
        return run_here(folder, *command)


def examine(workspace: Workspace, project: Path) -> dict[str, dict[str, Any]]:
    """Return the findings by the name of the check."""
    done = run(workspace, project, "doctor", "--target", "prod", "--json")
    assert done.returncode in (0, 1) and done.stdout, done.stderr
    return {finding["check"]: finding for finding in json.loads(done.stdout)}


def make(workspace: Workspace, statements: str, role: str = APP_PRINCIPAL) -> None:
    """Run statements, and let `role` own what they make."""
    with workspace.database.admin() as admin:
        admin.execute(statements.encode())
        admin.execute(f'ALTER SCHEMA my_agent OWNER TO "{role}"'.encode())
        admin.execute(f'ALTER TABLE my_agent.store_vectors OWNER TO "{role}"'.encode())


@pytest.mark.parametrize("project", ["autoscaling", "provisioned"], indirect=True)
def test_a_healthy_project_has_no_problem(workspace: Workspace, project: Path) -> None:
    make(workspace, TABLES.format(dims=1024))
    found = examine(workspace, project)
    assert {finding["state"] for finding in found.values()} == {"ok"}, found
    assert {"cli", "sign-in", "bundle", "experiment", "embeddings", "lakebase", "role", "tables",
            "privileges", "vectors", "app"} <= set(found)  # fmt: skip


def test_it_changes_nothing(workspace: Workspace, project: Path) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    run(workspace, project, "doctor", "--target", "prod")
    assert before == {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    writes = [call for call in workspace.calls() if call.method != "GET"]
    assert all("credential" in call.path or "experiments" in call.path for call in writes)


def test_an_old_cli_is_a_problem(workspace: Workspace, project: Path, cli: Path) -> None:
    cli.write_text("#!/bin/sh\necho Databricks CLI v0.99.0\n")
    found = examine(workspace, project)["cli"]
    assert found["state"] == "problem" and "0.295.0" in found["text"]


@pytest.mark.parametrize("says", ["Databricks, of some version", ""])
def test_a_cli_without_a_version_is_a_warning(
    workspace: Workspace, project: Path, cli: Path, says: str
) -> None:
    cli.write_text(f"#!/bin/sh\necho {says}\n")
    found = examine(workspace, project)["cli"]
    assert found["state"] == "warning" and str(cli) in found["text"]


def test_a_missing_cli_is_a_problem(workspace: Workspace, project: Path, cli: Path) -> None:
    cli.unlink()
    found = examine(workspace, project)["cli"]
    assert found["state"] == "problem" and "install" in found["command"]


def test_a_variable_without_a_value_is_named(workspace: Workspace, project: Path) -> None:
    (project / "workspace.prod.yml").unlink()
    found = examine(workspace, project)["bundle"]
    assert "lakebase_database" in found["text"]
    assert found["command"] == "lakebase-agent link --target prod"


def test_a_database_of_another_branch_is_a_problem(workspace: Workspace, project: Path) -> None:
    path = project / "workspace.prod.yml"
    path.write_text(path.read_text().replace(DATABASE_PATH, f"{DATABASE_PATH}x"))
    done = run(workspace, project, "doctor", "--target", "prod")
    assert done.returncode == 1
    assert "the bundle has another" in done.stdout


@pytest.mark.parametrize(
    ("state", "finding"), [("IDLE", "ok"), ("INIT", "warning"), ("DEGRADED", "warning")]
)
def test_an_endpoint_may_sleep_but_not_be_unwell(
    workspace: Workspace, project: Path, monkeypatch: pytest.MonkeyPatch, state: str, finding: str
) -> None:
    endpoint = workspace.content.lakebase[ENDPOINT_PATH]
    assert isinstance(endpoint, Endpoint)
    monkeypatch.setattr(endpoint, "state", state)
    assert examine(workspace, project)["lakebase"]["state"] == finding


def test_an_endpoint_without_a_host_skips_the_role_check(
    workspace: Workspace, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = workspace.content.lakebase[ENDPOINT_PATH]
    assert isinstance(endpoint, Endpoint)
    monkeypatch.setattr(endpoint, "host", "")
    assert examine(workspace, project)["role"]["state"] == "skipped"


@pytest.mark.parametrize("project", ["provisioned"], indirect=True)
def test_a_stopped_instance_is_a_problem(
    workspace: Workspace, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace.content.instances[INSTANCE], "state", "STOPPED")
    found = examine(workspace, project)
    assert found["lakebase"]["state"] == "problem" and "STOPPED" in found["lakebase"]["text"]
    assert "role" not in found  # nobody can log in there


def test_a_branch_that_is_gone_is_a_problem(
    workspace: Workspace, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(workspace.content.lakebase, ENDPOINT_PATH.rpartition("/endpoints/")[0])
    found = examine(workspace, project)["lakebase"]
    assert found["state"] == "problem" and found["command"] == "lakebase-agent link --target prod"


def test_an_experiment_that_is_gone_is_a_problem(
    workspace: Workspace, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace.content, "experiments", [])
    found = examine(workspace, project)["experiment"]
    assert found["state"] == "problem" and found["command"] == "lakebase-agent link --target prod"


def test_an_embedding_endpoint_that_is_gone_is_a_problem(
    workspace: Workspace, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace.content, "models", [])
    found = examine(workspace, project)["embeddings"]
    assert found["state"] == "problem" and "EMBEDDING_ENDPOINT" in found["command"]


def test_dims_that_differ_from_the_endpoints_are_a_problem(
    workspace: Workspace, project: Path
) -> None:
    settings = project / "pyproject.toml"
    settings.write_text(settings.read_text().replace("1024", "768"))
    found = examine(workspace, project)["embeddings"]
    assert found["state"] == "problem" and "EMBEDDING_DIMS is 768" in found["text"]


def test_an_app_that_is_not_deployed_is_a_warning(
    workspace: Workspace, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(workspace, TABLES.format(dims=1024))
    monkeypatch.delitem(workspace.content.apps, APP)
    found = examine(workspace, project)
    assert found["app"]["command"] == "databricks apps deploy --target prod"
    assert (found["app"]["state"], found["privileges"]["state"]) == ("warning", "skipped")


def test_a_role_that_cannot_log_in_is_a_problem(workspace: Workspace, project: Path) -> None:
    with workspace.database.admin() as admin:
        admin.execute(f'ALTER ROLE "{ME}" NOLOGIN'.encode())
    try:
        assert examine(workspace, project)["role"]["state"] == "problem"
    finally:
        with workspace.database.admin() as admin:
            admin.execute(f'ALTER ROLE "{ME}" LOGIN'.encode())


def test_a_column_of_another_length_is_a_problem(workspace: Workspace, project: Path) -> None:
    make(workspace, TABLES.format(dims=768))
    found = examine(workspace, project)["vectors"]
    assert (found["state"], "768" in found["text"], "1024" in found["text"]) == (
        "problem", True, True,
    )  # fmt: skip


def test_tables_that_the_app_cannot_use_are_named(workspace: Workspace, project: Path) -> None:
    make(workspace, TABLES.format(dims=1024), role=ME)
    found = examine(workspace, project)["privileges"]
    assert "my_agent.store_vectors" in found["text"]
    assert "grant_lakebase_permissions.py --target prod" in found["command"]


@pytest.mark.parametrize(
    "lacking",
    [
        pytest.param("CREATE ON SCHEMA my_agent", marks=pytest.mark.long),
        "USAGE ON SEQUENCE my_agent.numbers",
    ],
)
def test_any_privilege_that_the_app_lacks_is_named(
    workspace: Workspace, project: Path, lacking: str
) -> None:
    make(workspace, TABLES.format(dims=1024) + GRANTED, role=ME)
    assert examine(workspace, project)["privileges"]["state"] == "ok"
    with workspace.database.admin() as admin:
        admin.execute(f'REVOKE {lacking} FROM "{APP_PRINCIPAL}"'.encode())
    found = examine(workspace, project)["privileges"]
    assert found["state"] == "problem" and lacking.split()[0] in found["text"]


def test_a_database_without_the_extension_is_a_problem(workspace: Workspace, project: Path) -> None:
    make(workspace, TABLES.format(dims=1024))
    with workspace.database.admin() as admin:
        admin.execute("DROP EXTENSION vector CASCADE")
    assert examine(workspace, project)["vector"]["command"].startswith("CREATE EXTENSION vector")


def test_a_schema_of_another_app_is_reported(
    workspace: Workspace, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(workspace.content.apps, "other", App("other", ME))
    make(workspace, TABLES.format(dims=1024), role=ME)
    assert "another app, other" in examine(workspace, project)["owners"]["text"]


def test_two_owners_of_one_schema_are_a_warning(workspace: Workspace, project: Path) -> None:
    make(workspace, TABLES.format(dims=1024) + "CREATE TABLE my_agent.other ();")
    assert examine(workspace, project)["owners"]["state"] == "warning"


STORED = """
    CREATE TABLE my_agent.turn_leases AS SELECT 'k' AS thread_key, now() - i AS expires_at
        FROM unnest(ARRAY['1 day', '1 hour', '-1 hour']::interval[]) AS i;
    CREATE TABLE my_agent.agent_sessions AS SELECT timestamp '2026-01-02' AS updated_at;
"""
READABLE = f"""
    GRANT USAGE ON SCHEMA my_agent TO "{ME}";
    GRANT SELECT ON ALL TABLES IN SCHEMA my_agent TO "{ME}";
"""


def test_the_size_of_each_table_is_told(workspace: Workspace, project: Path) -> None:
    make(workspace, TABLES.format(dims=1024) + STORED + READABLE)
    found = examine(workspace, project)["sizes"]
    assert found["state"] == "ok" and "3 tables in my_agent" in found["text"]
    assert re.search(r"turn_leases +3 +\d+ kB", found["text"])


def test_it_tells_how_long_what_is_kept_and_what_has_expired(
    workspace: Workspace, project: Path
) -> None:
    make(workspace, TABLES.format(dims=1024) + STORED + READABLE)
    text = examine(workspace, project)["kept"]["text"]
    assert (
        text == "threads for ever; 2 expired leases; the oldest thread was last used on 2026-01-02"
    )
    settings = project / "pyproject.toml"
    settings.write_text(
        settings.read_text().replace("THREADS_KEPT_DAYS = 0", "THREADS_KEPT_DAYS = 9")
    )
    assert examine(workspace, project)["kept"]["text"].startswith("threads for 9 days; ")


def test_what_may_not_be_read_is_no_problem(workspace: Workspace, project: Path) -> None:
    make(workspace, TABLES.format(dims=1024) + STORED + GRANTED)
    found = examine(workspace, project)
    assert re.search(r"turn_leases +about 3 ", found["sizes"]["text"])
    assert (found["kept"]["state"], found["kept"]["text"]) == ("ok", "threads for ever")


@pytest.fixture
def local_project(renders: Renders, workspace: Workspace, cli: Path, tmp_path: Path) -> Path:
    """Return a project that is linked to no workspace, whose database has tables."""
    workspace.database.reset()
    workspace.faults.clear()
    make(workspace, TABLES.format(dims=1024) + STORED, role=ME)
    folder = tmp_path / "p"
    shutil.copytree(renders[Combination("openai", ("short_term",), "local")], folder)
    return folder


@pytest.mark.parametrize("name", [".env", "environment"])
def test_the_sizes_of_a_database_of_ones_own_are_told(
    workspace: Workspace, local_project: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = workspace.database.postgres.url()
    if name == ".env":
        (local_project / ".env").write_text(f"DATABASE_URL={url}\n")
    else:
        monkeypatch.setenv("DATABASE_URL", url)
    assert "3 tables in my_agent" in examine(workspace, local_project)["sizes"]["text"]


def test_a_database_of_ones_own_that_is_away_is_no_problem(
    workspace: Workspace, local_project: Path
) -> None:
    (local_project / ".env").write_text("DATABASE_URL=postgresql://ada:secret@127.0.0.1:9/x\n")
    found = examine(workspace, local_project)["sizes"]
    assert found["state"] == "skipped" and "secret" not in found["text"]


def test_a_healthy_adopted_project_has_no_problem(
    workspace: Workspace, template: Path, cli: Path, tmp_path: Path
) -> None:
    workspace.database.reset()
    folder = write_agent(tmp_path / "p", app_template("openai"))
    adopted(folder, template, "--lakebase", "autoscaling")
    assert run(workspace, folder, "link", "--target", "prod", *PLACE["autoscaling"]).returncode == 0
    found = examine(workspace, folder)
    assert "problem" not in {finding["state"] for finding in found.values()}, found
    assert {"bundle", "lakebase", "embeddings"} <= found.keys()


def test_an_adopted_project_without_a_bundle_is_linked_and_examined(
    workspace: Workspace, template: Path, cli: Path, tmp_path: Path
) -> None:
    workspace.database.reset()
    folder = write_agent(tmp_path / "p", WITH_APP_YAML)
    adopted(folder, template, "--lakebase", "autoscaling")
    done = run(workspace, folder, "link", *PLACE["autoscaling"])
    assert done.returncode == 0, done.stderr
    done = run(workspace, folder, "doctor", "--json")
    found = {finding["check"]: finding["state"] for finding in json.loads(done.stdout)}
    assert (found["lakebase"], found["bundle"]) == ("ok", "skipped"), done.stdout
    assert "problem" not in found.values(), done.stdout


def test_a_user_who_is_not_signed_in_is_told_how(workspace: Workspace, project: Path) -> None:
    workspace.faults.unauthenticated()
    found = examine(workspace, project)
    assert found["sign-in"]["command"] == "databricks auth login"
    assert found["workspace"]["state"] == "skipped"


def test_a_folder_without_a_project_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    assert run(workspace, tmp_path, "doctor").returncode == 2
