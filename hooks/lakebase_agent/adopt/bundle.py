"""What an app needs of its bundle, or its app.yaml, to have its memory in Lakebase."""

import fnmatch
from typing import Any

from lakebase_agent.adopt.adoption import Adoption
from lakebase_agent.adopt.existing_agent import ExistingAgent
from lakebase_agent.adopt.files import env_entries, missing_resources
from lakebase_agent.adopt.memory_modules import Rendered

WHICH = ("LAKEBASE_AUTOSCALING", "LAKEBASE_INSTANCE")
WORKSPACE_FILES = "workspace.*.yml"


def bundle_additions(
    found: ExistingAgent, adoption: Adoption, new: Rendered
) -> dict[str, dict[str, Any]]:
    """Return what the bundle and app.yaml need, by file."""
    app, schema = adoption.app, str(new.answers["memory_schema"])
    in_bundle = bool(app and app.settings.get("config"))
    env = _env(adoption, "${var.memory_schema}" if in_bundle else schema)
    there = found.env(app)
    if any(str(entry.get("name")).startswith(WHICH) for entry in there):
        env = {name: value for name, value in env.items() if not name.startswith(WHICH)}
    if not app:
        env.pop("EMBEDDING_ENDPOINT", None)  # a resource that only a person can give it
    resources, called = missing_resources(app.settings if app else {}, _resources(adoption, new))
    styled = not in_bundle or any("valueFrom" in entry for entry in there)
    entries = env_entries(there, env, called, "valueFrom" if styled else "value_from")
    additions: dict[str, dict[str, Any]] = {}
    if not in_bundle:
        additions[found.app_yaml] = {"env": entries}
    if app:
        variables = _variables(found, resources, schema if in_bundle else "")
        additions["databricks.yml"] = variables
        settings: dict[str, Any] = {"resources": resources} if resources else {}
        if in_bundle and entries:
            settings["config"] = {"env": entries}
        if settings:
            own = additions.setdefault(app.file, {})
            own["resources"] = {"apps": {app.key: settings}}
    return {name: {k: v for k, v in a.items() if v} for name, a in additions.items() if a}


def _env(adoption: Adoption, schema: str) -> dict[str, str]:
    if adoption.answers["lakebase"] == "autoscaling":
        env = {"LAKEBASE_AUTOSCALING_ENDPOINT": "<-postgres"}
    else:
        env = {"LAKEBASE_INSTANCE_NAME": "<-database"}
    env["LAKEBASE_AGENT_MEMORY_SCHEMA"] = schema
    if "long_term" in adoption.answers["memory"]:
        env["EMBEDDING_ENDPOINT"] = "<-embeddings"
    return env


def _resources(adoption: Adoption, new: Rendered) -> dict[str, dict[str, Any]]:
    may: dict[str, Any] = {"permission": "CAN_CONNECT_AND_CREATE"}
    if adoption.answers["lakebase"] == "autoscaling":
        branch = {"branch": "${var.lakebase_branch}", "database": "${var.lakebase_database}"}
        found: dict[str, dict[str, Any]] = {"postgres": {"postgres": {**branch, **may}}}
    else:
        name = {"instance_name": "${var.lakebase_instance}"}
        database = {**name, "database_name": "databricks_postgres", **may}
        found = {"database": {"database": database}}
    if "long_term" in adoption.answers["memory"]:
        endpoint = {"name": str(new.answers["embedding_endpoint"]), "permission": "CAN_QUERY"}
        found["embeddings"] = {"serving_endpoint": endpoint}
    return found


def _variables(
    found: ExistingAgent, resources: list[dict[str, Any]], schema: str
) -> dict[str, Any]:
    """Return the variables that the additions to the bundle need, and where `link` sets them."""
    added = {kind for item in resources for kind in item}
    names = {
        "postgres": {
            "lakebase_branch": "Full path of the branch, projects/P/branches/B.",
            "lakebase_database": "Full path of the database, with its ID (not its name).",
        },
        "database": {"lakebase_instance": "Name of the Lakebase instance."},
    }
    texts = {k: v for kind in added for k, v in names.get(kind, {}).items()}
    variables: dict[str, Any] = {k: {"description": v} for k, v in texts.items()}
    about = "Postgres schema that holds every table of the memory."
    if schema:
        variables["memory_schema"] = {"description": about, "default": schema}
    includes = [str(pattern) for pattern in found.bundle.get("include") or []]
    covered = any(fnmatch.fnmatch("workspace.dev.yml", pattern) for pattern in includes)
    targets = {
        name: {"variables": {"memory_schema": f"{schema}_dev"}}
        for name, target in (found.bundle.get("targets") or {}).items()
        if schema and isinstance(target, dict) and target.get("mode") == "development"
    }
    include = [] if covered or not texts else [WORKSPACE_FILES]
    return {"include": include, "variables": variables, "targets": targets}
