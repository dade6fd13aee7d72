"""`scripts/grant_lakebase_permissions.py`: what an app may do before and after it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.conftest import Renders
from tests.standins.workspace import (
    APP,
    APP_PRINCIPAL,
    BRANCH_PATH,
    DATABASE_PATH,
    ME,
    Workspace,
    open_workspace,
)
from tests.support.rendering import Combination

pytestmark = pytest.mark.generated
DEPLOY = "databricks apps deploy --target dev"
SCRIPT = "scripts/grant_lakebase_permissions.py"
TABLES = """
    CREATE SCHEMA my_agent_dev;
    CREATE TABLE my_agent_dev.store (key text);
    CREATE TABLE my_agent_dev.agent_messages (id serial, message_data text);
    INSERT INTO my_agent_dev.store VALUES ('teal');
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Yield a workspace with a database."""
    with open_workspace(tmp_path_factory.mktemp("database")) as workspace:
        yield workspace


@pytest.fixture
def project(renders: Renders, workspace: Workspace, tmp_path: Path) -> Path:
    """Return a project on that workspace, whose database is empty."""
    workspace.database.reset()
    combination = Combination("langgraph", ("short_term", "long_term"), "autoscaling")
    shutil.copytree(renders[combination], tmp_path / "p")
    values = f"targets:\n  dev:\n    variables:\n      lakebase_branch: {BRANCH_PATH}\n"
    (tmp_path / "p" / "workspace.dev.yml").write_text(values)
    return tmp_path / "p"


@pytest.fixture
def made(project: Path, workspace: Workspace) -> Path:
    """Return the project once a developer has made the tables of its app."""
    act(workspace, ME, TABLES)
    return project


def act(workspace: Workspace, user: str, statement: str) -> None:
    """Run a statement as `user`."""
    with workspace.database.admin() as admin:
        admin.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(user)))
        admin.execute(statement.encode())


def grant(workspace: Workspace, project: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run the script as the user ME."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("DATABRICKS_", "LAKEBASE_"))}
    return subprocess.run(
        [sys.executable, SCRIPT, *options],
        cwd=project, env={**clean, **workspace.variables(PYTHONPATH=str(project))},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_without_a_grant_an_app_cannot_read_a_developers_tables(
    workspace: Workspace, made: Path
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        act(workspace, APP_PRINCIPAL, "SELECT * FROM my_agent_dev.store")


def test_after_a_grant_the_app_can_read_write_and_use_sequences(
    workspace: Workspace, made: Path
) -> None:
    done = grant(workspace, made, APP_PRINCIPAL)
    assert done.returncode == 0, done.stderr
    assert "Done, and verified" in done.stdout
    act(workspace, APP_PRINCIPAL, "DELETE FROM my_agent_dev.store WHERE key = 'teal'")
    act(workspace, APP_PRINCIPAL, "INSERT INTO my_agent_dev.agent_messages DEFAULT VALUES")
    act(workspace, APP_PRINCIPAL, "CREATE TABLE my_agent_dev.mine ()")


def test_an_app_that_is_not_deployed_is_an_error_that_names_the_deploy_command(
    workspace: Workspace, made: Path
) -> None:
    done = grant(workspace, made, "--app", "elsewhere")
    assert done.returncode == 1
    assert done.stderr == f"grant: there is no app elsewhere yet. Run: {DEPLOY}\n"


def test_a_second_run_has_nothing_to_do(workspace: Workspace, made: Path) -> None:
    grant(workspace, made, APP_PRINCIPAL)
    done = grant(workspace, made, APP_PRINCIPAL)
    assert (done.returncode, "GRANT" in done.stdout) == (0, False)
    assert "Nothing to do" in done.stdout


def test_future_tables_are_granted_too(workspace: Workspace, made: Path) -> None:
    grant(workspace, made, APP_PRINCIPAL)
    act(workspace, ME, "CREATE TABLE my_agent_dev.later (id serial)")
    act(workspace, APP_PRINCIPAL, "INSERT INTO my_agent_dev.later DEFAULT VALUES")


@pytest.mark.parametrize(
    "privilege",
    [
        "USAGE ON SCHEMA my_agent_dev",
        "CREATE ON SCHEMA my_agent_dev",
        "SELECT ON TABLE my_agent_dev.store",
        *(
            pytest.param(f"{privilege} ON TABLE my_agent_dev.store", marks=pytest.mark.long)
            for privilege in ("INSERT", "UPDATE", "DELETE")
        ),
        "USAGE ON SEQUENCE my_agent_dev.agent_messages_id_seq",
    ],
)
def test_a_single_missing_privilege_is_named(
    workspace: Workspace, made: Path, privilege: str
) -> None:
    grant(workspace, made, APP_PRINCIPAL)
    act(workspace, ME, f'REVOKE {privilege} FROM "{APP_PRINCIPAL}"')
    done = grant(workspace, made, APP_PRINCIPAL, "--dry-run")
    assert done.returncode == 1
    assert done.stderr == f'still missing: GRANT {privilege} TO "{APP_PRINCIPAL}"\n'


def test_a_dry_run_prints_the_sql_and_changes_nothing(workspace: Workspace, made: Path) -> None:
    done = grant(workspace, made, APP_PRINCIPAL, "--dry-run")
    assert f'GRANT SELECT ON TABLE my_agent_dev.store TO "{APP_PRINCIPAL}";' in done.stdout
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        act(workspace, APP_PRINCIPAL, "SELECT * FROM my_agent_dev.store")


def test_on_a_fresh_branch_there_is_nothing_to_grant_yet(
    workspace: Workspace, project: Path
) -> None:
    done = grant(workspace, project, APP_PRINCIPAL)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Nothing to grant yet" in done.stdout


def test_a_grant_that_only_the_owner_can_make_is_named(workspace: Workspace, made: Path) -> None:
    with workspace.database.admin() as admin:
        admin.execute("CREATE TABLE my_agent_dev.foreign_one ()")
    done = grant(workspace, made, APP_PRINCIPAL)
    assert done.returncode == 1
    assert "still missing: GRANT SELECT ON TABLE my_agent_dev.foreign_one" in done.stderr
    assert "my_agent_dev.foreign_one belongs to postgres" in done.stdout


def test_tables_that_the_app_owns_need_no_grant(workspace: Workspace, project: Path) -> None:
    act(workspace, APP_PRINCIPAL, TABLES)
    done = grant(workspace, project, APP_PRINCIPAL, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Nothing to do" in done.stdout


def test_a_dry_run_creates_no_role(workspace: Workspace, made: Path) -> None:
    with workspace.database.admin() as admin:
        before = admin.execute("SELECT rolname FROM pg_roles ORDER BY 1").fetchall()
        done = grant(workspace, made, "somebody-new", "--dry-run")
        assert "databricks_create_role('somebody-new', 'SERVICE_PRINCIPAL');" in done.stdout
        assert done.returncode == 1
        assert admin.execute("SELECT rolname FROM pg_roles ORDER BY 1").fetchall() == before


def test_an_unknown_target_is_refused(workspace: Workspace, made: Path) -> None:
    done = grant(workspace, made, APP_PRINCIPAL, "--target", "prd")
    assert (done.returncode, "dev, prod" in done.stderr) == (2, True)


def test_without_an_id_the_workspace_provides_the_apps(workspace: Workspace, made: Path) -> None:
    done = grant(workspace, made, "--app", APP)
    assert f'TO "{APP_PRINCIPAL}";' in done.stdout


REFERENCE = "${resources.postgres_branches.memory.id}"


@pytest.fixture
def as_code(made: Path) -> Path:
    """Return the project once its bundle is what creates its branch."""
    values = (made / "workspace.dev.yml").read_text()
    (made / "workspace.dev.yml").write_text(values.replace(BRANCH_PATH, REFERENCE))
    return made


@pytest.fixture
def deployed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the app have that branch."""
    branch = {"name": "postgres", "postgres": {"branch": BRANCH_PATH, "database": DATABASE_PATH}}
    monkeypatch.setattr(workspace.content.apps[APP], "resources", [branch])


@pytest.mark.usefixtures("deployed")
def test_a_branch_that_the_bundle_creates_is_the_deployed_apps(
    workspace: Workspace, as_code: Path
) -> None:
    done = grant(workspace, as_code, "--app", APP)
    assert (done.returncode, done.stderr) == (0, "")
    assert f'TO "{APP_PRINCIPAL}";' in done.stdout


def test_a_branch_that_the_bundle_has_not_created_yet_needs_a_deployment(
    workspace: Workspace, as_code: Path
) -> None:
    done = grant(workspace, as_code, APP_PRINCIPAL, "--app", "elsewhere")
    assert done.returncode == 1
    assert done.stderr == f"grant: there is no app elsewhere yet. Run: {DEPLOY}\n"


@pytest.mark.usefixtures("deployed")
def test_variables_are_read_as_the_cli_reads_them(
    workspace: Workspace, as_code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = as_code / ".databricks" / "bundle" / "dev" / "variable-overrides.json"
    own.parent.mkdir(parents=True)
    own.write_text('{"app_name": "my-${var.what}", "memory_schema": "nobodys"}')
    with (as_code / "workspace.dev.yml").open("a") as lines:
        lines.write("      what: something\nvariables:\n  what:\n    default: nothing\n")
    monkeypatch.setenv("BUNDLE_VAR_what", "agent")
    assert "nobodys is not there" in grant(workspace, as_code).stdout
    monkeypatch.setenv("BUNDLE_VAR_memory_schema", "my_agent_dev")
    assert f'TO "{APP_PRINCIPAL}";' in grant(workspace, as_code).stdout


OF_OWNERS = """
run_as: {service_principal_name: 6f1c2d3e-0000-4000-8000-00000000abcd}
variables:
  cluster: {lookup: {cluster: shared}}
  team: {default: agent}
targets: {dev: {variables: {app_name: {default: "my-${var.team}"}}}}
"""


@pytest.mark.usefixtures("deployed")
def test_a_file_of_the_owners_that_the_bundle_includes_counts(
    workspace: Workspace, as_code: Path
) -> None:
    bundle = as_code / "databricks.yml"
    bundle.write_text(bundle.read_text().replace("include:", "include:\n  - more/*.yml"))
    (as_code / "more").mkdir()
    (as_code / "more" / "ours.yml").write_text(OF_OWNERS)
    done = grant(workspace, as_code)
    assert (done.returncode, done.stderr) == (0, "")
    assert f'TO "{APP_PRINCIPAL}";' in done.stdout


@pytest.mark.parametrize("name", ["app_name", "memory_schema", "lakebase_branch"])
def test_what_only_the_cli_can_read_is_named(workspace: Workspace, made: Path, name: str) -> None:
    with (made / "workspace.dev.yml").open("a") as lines:
        lines.write(f"      {name}: it-${{workspace.current_user.short_name}}\n")
    done = grant(workspace, made, APP_PRINCIPAL)
    assert done.returncode == 1
    assert done.stderr == f"grant: only the Databricks CLI can read {name}. Set BUNDLE_VAR_{name}\n"


def test_a_branch_that_is_no_path_is_named(
    workspace: Workspace, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUNDLE_VAR_lakebase_branch", "production")
    done = grant(workspace, made, APP_PRINCIPAL)
    assert (done.returncode, "'production', and not projects/P/branches/B" in done.stderr) == (
        1,
        True,
    )


def test_one_memory_type_leaves_other_tables_alone(workspace: Workspace, made: Path) -> None:
    done = grant(workspace, made, APP_PRINCIPAL, "--memory-type", "langgraph-long-term")
    assert done.returncode == 0, done.stderr
    assert "my_agent_dev.store" in done.stdout
    assert "agent_messages" not in done.stdout


def test_the_chatbot_schemas_are_covered_on_request(workspace: Workspace, made: Path) -> None:
    act(workspace, ME, "CREATE SCHEMA ai_chatbot; CREATE TABLE ai_chatbot.chat ()")
    assert "ai_chatbot" not in grant(workspace, made, APP_PRINCIPAL).stdout
    one_type = ("--memory-type", "langgraph-long-term", "--with-chatbot-ui")
    for options in (("--with-chatbot-ui", "--dry-run"), one_type):
        done = grant(workspace, made, APP_PRINCIPAL, *options)
        assert "ON TABLE ai_chatbot.chat" in done.stdout


def test_an_unknown_lakebase_is_named(workspace: Workspace, made: Path) -> None:
    done = grant(workspace, made, APP_PRINCIPAL, "--instance-name", "no-such-instance")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, True)
    assert "no-such-instance" in done.stderr
