"""Let a deployed app use tables that somebody else created; it owns a schema that it created.

    uv run python scripts/grant_lakebase_permissions.py [<client id of the service principal>]

Exit codes: 0 the app has what it needs, 1 something is still missing, 2 bad usage.
"""

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any

import psycopg
import yaml
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.apps import App
from databricks_ai_bridge import lakebase

from agent_server.database.lakebase import lakebase_target
from agent_server.settings import DEFAULTS, lakebase_configured, load_env_file

ROOT = Path(__file__).resolve().parent.parent
STORE = ["store", "store_migrations", "store_vectors", "vector_migrations"]
LEASES = ["schema_versions", "turn_leases", "thread_summaries", "approvals"]
SESSIONS = ["agent_sessions", "agent_messages", "agent_messages_id_seq", "session_agents"]
CHECKPOINTS = ["checkpoints", "checkpoint_blobs", "checkpoint_writes", "checkpoint_migrations"]
MEMORY_TYPES = {
    "langgraph-short-term": [*CHECKPOINTS, *LEASES],
    "openai-short-term": [*SESSIONS, *LEASES],
    **dict.fromkeys(["langgraph-long-term", "openai-long-term"], STORE),
    "long-running-agent": ["responses", "response_events", "schema_versions"],
    "chat": ["chats", "messages", "earlier_messages", "feedback", "schema_versions"],
}
TABLE = ("SELECT", "INSERT", "UPDATE", "DELETE")
PRIVILEGES: dict[str, Any] = {
    "on_schema": [lakebase.SchemaPrivilege[p].value for p in ("USAGE", "CREATE")],
    "on_table": [lakebase.TablePrivilege[p].value for p in TABLE],
    "on_sequence": [lakebase.SequencePrivilege[p].value for p in ("USAGE", "SELECT")],
}
OBJECTS = """
    WITH objects AS (
        SELECT c.oid, relkind, relowner, format('%%I.%%I', nspname, relname) AS name,
            CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname = ANY(%(schemas)s) AND relkind IN ('r', 'p', 'S') AND (%(names)s::text[]
            IS NULL OR relname = ANY(%(names)s) OR nspname IN ('ai_chatbot', 'drizzle')))"""
# The statements that grant the privileges the role lacks, on existing and future tables.
MISSING = f"""{OBJECTS}, wanted AS (
        SELECT format('GRANT %%s ON SCHEMA %%I TO %%I', p, nspname, %(role)s::text) AS statement,
            1 AS place, has_schema_privilege(%(role)s::text, oid, p) AS held
        FROM pg_namespace, unnest(%(on_schema)s::text[]) AS p WHERE nspname = ANY(%(schemas)s)
        UNION ALL
        SELECT format('GRANT %%s ON %%s %%s TO %%I', p, kind, name, %(role)s::text), 2,
            CASE kind WHEN 'TABLE' THEN has_table_privilege(%(role)s::text, oid, p)
                ELSE has_sequence_privilege(%(role)s::text, oid, p) END
        FROM objects, unnest(CASE kind WHEN 'TABLE' THEN %(on_table)s::text[]
            ELSE %(on_sequence)s END) AS p
        UNION ALL
        SELECT format('ALTER DEFAULT PRIVILEGES IN SCHEMA %%I GRANT %%s ON %%s TO %%I',
                nspname, array_to_string(privileges, ', '), kind, %(role)s::text), 3,
            privileges <@ ARRAY(SELECT privilege_type FROM pg_default_acl, aclexplode(defaclacl)
                WHERE defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
                AND grantee = (SELECT oid FROM pg_roles WHERE rolname = %(role)s)
                AND defaclnamespace = n.oid AND defaclobjtype::text = letter)
        FROM pg_namespace n, (VALUES ('TABLES', 'r', %(on_table)s::text[]),
            ('SEQUENCES', 'S', %(on_sequence)s)) AS kinds (kind, letter, privileges)
        WHERE nspname = ANY(%(schemas)s) AND NOT pg_has_role(%(role)s::text, nspowner, 'USAGE'))
    SELECT statement FROM wanted WHERE NOT held ORDER BY place, statement"""
FOREIGN = f"""{OBJECTS} SELECT name, relowner::regrole::text AS owner FROM objects
    WHERE kind = 'TABLE' AND NOT pg_has_role(%(role)s::text, relowner, 'USAGE') ORDER BY 1"""


def main() -> None:
    """Grant what is missing, and verify it in the catalog."""
    options = _options()
    try:
        load_env_file()
        target = _target(options.target)
        options.app = options.app or target.get("app_name", "")
        role = options.client_id or _app(options).service_principal_client_id or ""
        schemas = [options.schema or target["memory_schema"]]
        schemas += ["ai_chatbot", "drizzle"] if options.with_chatbot_ui else []
        with lakebase.LakebaseClient(**_lakebase(options, target)) as client:
            sys.exit(_grant(client, role, schemas, options))
    except (ValueError, PermissionError, RuntimeError, DatabricksError, psycopg.Error) as error:
        print(f"grant: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)


def _grant(
    client: lakebase.LakebaseClient, role: str, schemas: list[str], options: argparse.Namespace
) -> int:
    if not client.execute("SELECT 1 FROM pg_namespace WHERE nspname = ANY(%s)", (schemas,)):
        print(f"Nothing to grant yet: {', '.join(schemas)} is not there. The app will create it.")
        return 0
    if not client.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)):
        print(f"SELECT databricks_create_role('{role}', 'SERVICE_PRINCIPAL');", flush=True)
        if options.dry_run:
            print("-- and its privileges, which are known once it has a role")
            return 1
        client.create_role(role, "SERVICE_PRINCIPAL")
    names = MEMORY_TYPES.get(options.memory_type)
    wanted = {"role": role, "schemas": schemas, "names": names, **PRIVILEGES}
    missing = client.execute(MISSING, wanted) or []
    for statement in (row["statement"] for row in missing):
        print(f"{statement};", flush=True)
        if options.dry_run:
            continue
        try:
            client.execute(statement)
        except psycopg.errors.InsufficientPrivilege as error:
            print(f"-- refused: {error.diag.message_primary}. Its owner must run it.")
    for row in client.execute(FOREIGN, wanted) or []:
        owned = f"-- {row['name']} belongs to {row['owner']}: the app can use it, but not alter it."
        print(f"{owned} Let that role be the first to start a new release.")
    return _verdict(missing, client.execute(MISSING, wanted) or [])


def _verdict(before: list[Any], after: list[Any]) -> int:
    for row in after:
        print(f"still missing: {row['statement']}", file=sys.stderr)
    if not after:
        done = "Done, and verified" if before else "Nothing to do"
        print(f"{done}: the app has every privilege it needs.")
    return 1 if after else 0


def _app(options: argparse.Namespace) -> App:
    try:
        return WorkspaceClient().apps.get(options.app)
    except NotFound as error:
        command = f"databricks apps deploy --target {options.target}"
        raise ValueError(f"there is no app {options.app} yet. Run: {command}") from error


def _target(name: str) -> dict[str, str]:
    """Return the variables of a bundle target, as the Databricks CLI reads them."""
    main = _read("databricks.yml")
    included = [str(path) for glob in main.get("include") or [] for path in sorted(ROOT.glob(glob))]
    documents = [main, *map(_read, [*included, f"workspace.{name}.yml"])]
    targets = {target: name for document in documents for target in document.get("targets") or {}}
    if targets and name not in targets:
        print(f"grant: the targets are {', '.join(targets)}, not {name!r}", file=sys.stderr)
        sys.exit(2)
    values: dict[str, Any] = {"memory_schema": DEFAULTS["LAKEBASE_AGENT_MEMORY_SCHEMA"]}
    for part in (*documents, *((d.get("targets") or {}).get(name) or {} for d in documents)):
        for variable, value in (part.get("variables") or {}).items():
            given = value.get("default") if isinstance(value, dict) else value
            values[variable] = values.get(variable) if given is None else given
    values |= _read(f".databricks/bundle/{name}/variable-overrides.json") | {"bundle.target": name}
    values = {n: os.environ.get(f"BUNDLE_VAR_{n}", v) for n, v in values.items()}
    text = {n: str(v) for n, v in values.items() if v and "not-linked" not in str(v)}
    for n in text:
        text[n] = re.sub(r"\$\{(?:var\.)?([\w.]+)\}", lambda m: text.get(m[1], m[0]), text[n])
        if re.match(r"(app_name|memory_schema|lakebase_\w+)=.*\$\{(?!resources)", f"{n}={text[n]}"):
            raise ValueError(f"only the Databricks CLI can read {n}. Set BUNDLE_VAR_{n}")
    return text


def _read(path: str) -> dict[str, Any]:
    return next(yaml.safe_load_all(f.read_text("utf-8"))) if (f := ROOT / path).is_file() else {}


def _lakebase(options: argparse.Namespace, target: dict[str, str]) -> dict[str, str]:
    names = ("instance_name", "autoscaling_endpoint", "project", "branch")
    if given := {name: value for name in names if (value := getattr(options, name))}:
        return given
    branch, instance = target.get("lakebase_branch", ""), target.get("lakebase_instance", "")
    if "${resources." in branch + instance:  # the bundle creates it, and the app knows its name
        bound = _app(options).resources or []
        branch = next((r.postgres.branch or "" for r in bound if r.postgres), "")
        instance = next((r.database.instance_name for r in bound if r.database), "")
    if branch:
        if not (path := re.fullmatch("projects/([^/]+)/branches/([^/]+)", branch)):
            raise ValueError(f"lakebase_branch is {branch!r}, and not projects/P/branches/B")
        return {"project": path[1], "branch": path[2]}
    if not instance and not lakebase_configured():
        raise ValueError("which Lakebase? Run `lakebase-agent link`, or see --help for its flags")
    return {"instance_name": instance} if instance else lakebase_target()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Let a deployed app use this project's tables.")
    parser.add_argument("client_id", nargs="?", help="default: the app's")
    parser.add_argument("--memory-type", choices=MEMORY_TYPES, help="default: all of them")
    for name in ("instance-name", "autoscaling-endpoint", "project", "branch", "app", "schema"):
        parser.add_argument(f"--{name}", default="", metavar="NAME")
    parser.add_argument("--target", default="dev", help="target of databricks.yml (%(default)s)")
    parser.add_argument("--with-chatbot-ui", action="store_true", help="and its two schemas")
    parser.add_argument("--dry-run", action="store_true", help="print the SQL, change nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
