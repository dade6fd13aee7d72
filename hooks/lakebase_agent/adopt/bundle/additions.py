"""What an app lacks in its bundle, or its app.yaml, to have its memory in Lakebase."""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakebase_agent.adopt.adoption import Adoption
from lakebase_agent.adopt.bundle.placeholders import placeholders
from lakebase_agent.adopt.bundle.resources import Resources, find_resources, needed_resources
from lakebase_agent.adopt.existing_agent import ExistingAgent
from lakebase_agent.adopt.modules.rendered import Rendered
from lakebase_agent.errors import UsageError
from lakebase_agent.lakebase_variables import FIELDS, of_its_owner
from lakebase_agent.project.bundle import TARGET_FILES

LAKEBASE_PREFIXES = ("LAKEBASE_AUTOSCALING", "LAKEBASE_INSTANCE")
TAKEN = """\
databricks.yml has variables called {names} that mean something else than what
`lakebase-agent link` sets by these names: what a resource takes. Rename yours, commit, and run this
command again"""
DESCRIPTIONS = {
    "postgres": {
        "lakebase_branch": "Full path of the branch, projects/P/branches/B.",
        "lakebase_database": "Full path of the database, with its ID (not its name).",
    },
    "database": {"lakebase_instance": "Name of the Lakebase instance."},
}


@dataclass(frozen=True)
class Variable:
    """A variable of the app's environment: a value, or the name of a resource that gives it."""

    name: str
    value: str = ""
    resource: str = ""


def bundle_additions(
    agent: ExistingAgent, adoption: Adoption, new: Rendered
) -> dict[str, dict[str, Any]]:
    """Return what the bundle and app.yaml lack, by file."""
    app, schema = adoption.app, str(new.answers["memory_schema"])
    settings = app.settings if app else {}
    resources = find_resources(settings.get("resources") or [], needed_resources(adoption, new))
    if not app:
        variables = [v for v in _environment(adoption, schema) if v.resource != "embeddings"]
        return {agent.app_yaml: {"env": _entries(agent.env(None), variables, resources, True)}}
    additions: dict[str, dict[str, Any]] = {}
    app_additions: dict[str, Any] = {"resources": resources.missing}
    if app.has_config:
        there = agent.env(app)
        variables = _environment(adoption, "${var.memory_schema}")
        camel_case = any("valueFrom" in entry for entry in there)
        entries = _entries(there, variables, resources, camel_case)
        app_additions["config"] = {"env": entries}
    else:
        entries = _entries(agent.env(app), _environment(adoption, schema), resources, True)
        additions[agent.app_yaml] = {"env": entries}
    declared_schema = schema if app.has_config and not agent.schema(app) else ""
    asked = [*resources.missing, *_kinds_of(placeholders(settings.get("resources") or []))]
    declarations = _declarations(agent, asked, declared_schema)
    additions["databricks.yml"] = declarations
    placed = app.place(app_additions)
    additions[app.file] = _merged(additions.get(app.file, {}), placed)
    return {name: _pruned(addition) for name, addition in additions.items()}


def _kinds_of(variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the kinds of resources that take variables, as resources without content."""
    return [{kind: {}} for kind in {FIELDS[name][0] for name in variables}]


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return both of two additions."""
    both = {**one, **other}
    for name in one.keys() & other.keys():
        both[name] = _merged(one[name], other[name])
    return both


def _pruned(addition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping without the lists and mappings in it that are empty."""
    values = {name: _pruned(v) if isinstance(v, dict) else v for name, v in addition.items()}
    return {name: value for name, value in values.items() if value not in ([], {})}


def _environment(adoption: Adoption, schema: str) -> list[Variable]:
    if adoption.answers["lakebase"] == "autoscaling":
        variables = [Variable("LAKEBASE_AUTOSCALING_ENDPOINT", resource="postgres")]
    else:
        variables = [Variable("LAKEBASE_INSTANCE_NAME", resource="database")]
    variables.append(Variable("LAKEBASE_AGENT_MEMORY_SCHEMA", schema))
    if "long_term" in adoption.answers["memory"]:
        variables.append(Variable("EMBEDDING_ENDPOINT", resource="embeddings"))
    return variables


def _entries(
    there: Sequence[Mapping[str, Any]],
    variables: list[Variable],
    resources: Resources,
    camel_case: bool,
) -> list[dict[str, Any]]:
    """Return the entries of `variables` that an environment lacks.

    An environment that names a Lakebase in any way needs no other variable that does.
    """
    names = {str(entry.get("name")) for entry in there}
    has_lakebase = any(name.startswith(LAKEBASE_PREFIXES) for name in names)
    entries = []
    for variable in variables:
        is_lakebase = variable.name.startswith(LAKEBASE_PREFIXES)
        if variable.name in names or (has_lakebase and is_lakebase):
            continue
        if variable.resource:
            key, value = "valueFrom" if camel_case else "value_from", variable.resource
            entries.append({"name": variable.name, key: resources.names[value]})
        else:
            entries.append({"name": variable.name, "value": variable.value})
    return entries


def _declarations(
    agent: ExistingAgent, missing: list[dict[str, Any]], schema: str
) -> dict[str, Any]:
    """Return the variables that additions to the bundle need, and the files where `link` sets them.

    The schema is a variable unless it is empty.
    """
    variables = _lakebase_variables(missing)
    if taken := sorted(variables.keys() & set(of_its_owner(agent.bundle))):
        raise UsageError(TAKEN.format(names=", ".join(taken)))
    include = [] if not variables or _includes_targets(agent) else [TARGET_FILES]
    if schema:
        about = "Postgres schema that holds every table of the memory."
        variables["memory_schema"] = {"description": about, "default": schema}
    targets = _development_targets(agent, schema) if schema else {}
    return {"include": include, "variables": variables, "targets": targets}


def _lakebase_variables(missing: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    kinds = {kind for item in missing for kind in item}
    return {
        name: {"description": text}
        for kind in kinds & DESCRIPTIONS.keys()
        for name, text in DESCRIPTIONS[kind].items()
    }


def _includes_targets(agent: ExistingAgent) -> bool:
    patterns = [str(pattern) for pattern in agent.bundle.get("include") or []]
    return any(fnmatch.fnmatch("workspace.dev.yml", pattern) for pattern in patterns)


def _development_targets(agent: ExistingAgent, schema: str) -> dict[str, Any]:
    return {
        name: {"variables": {"memory_schema": f"{schema}_dev"}}
        for name, target in (agent.bundle.get("targets") or {}).items()
        if isinstance(target, dict) and target.get("mode") == "development"
    }
