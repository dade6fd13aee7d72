"""What `lakebase-agent adopt` needs to know about an agent: detected, given, or asked."""

import re
from pathlib import Path
from typing import Any

from lakebase_agent.adopt.adoption import Adoption, AdoptOptions
from lakebase_agent.adopt.bundle.apps import App
from lakebase_agent.adopt.code.reading.calls import find_calls
from lakebase_agent.adopt.code.reading.modules import read_modules
from lakebase_agent.adopt.existing_agent import KINDS, NO_AGENT, ExistingAgent
from lakebase_agent.adopt.place import choose_place
from lakebase_agent.errors import UsageError
from lakebase_agent.template import TEMPLATE
from lakebase_agent.terminal import Asker

FRAMEWORKS = ["langgraph", "openai"]
MEMORIES = ["short_term", "long_term"]


def ask_adoption(agent: ExistingAgent, options: AdoptOptions, asker: Asker) -> Adoption:
    """Return what is detected, given, or answered; raises UsageError and KeyboardInterrupt."""
    framework = _choose_framework(agent, options, asker)
    app = _choose_app(agent, options, asker)
    answers: dict[str, Any] = {
        "framework": framework,
        "lakebase": _choose_lakebase(agent, app, options, asker),
        "memory": _memory(options),
        "app_name": _app_name(agent, app),
        **_given_answers(options),
    }
    if schema := options.schema or agent.schema(app):
        answers["memory_schema"] = schema
    place = choose_place(agent, framework, options.package, asker)
    return Adoption(answers, app, place, _source(options.source))


def _choose_framework(agent: ExistingAgent, options: AdoptOptions, asker: Asker) -> str:
    given = options.framework
    names = FRAMEWORKS if given else [name for name in FRAMEWORKS if _has_agent(agent, name)]
    if not names:
        raise UsageError(f"{agent.folder} can't be adopted: {NO_AGENT}")
    listed = [name for name in names if name in agent.frameworks()]
    return asker.choose("framework", "--framework", given, listed or names)


def _has_agent(agent: ExistingAgent, framework: str) -> bool:
    calls = find_calls(read_modules(agent), framework)
    return bool(calls.builds or calls.runs)


def _choose_app(agent: ExistingAgent, options: AdoptOptions, asker: Asker) -> App | None:
    if not agent.apps:
        return None
    keys = [app.key for app in agent.apps]
    key = asker.choose("app of the bundle", "--app", options.app, keys)
    app = agent.apps[keys.index(key)]
    if not app.has_config and not agent.app_yaml:
        raise UsageError(
            f"nothing says how the app {key} starts: give it a `config` with a `command` in "
            f"{app.file}, or write an app.yaml; commit, and run this command again"
        )
    return app


def _choose_lakebase(
    agent: ExistingAgent, app: App | None, options: AdoptOptions, asker: Asker
) -> str:
    detected = agent.flavours(app)
    given = _given_flavour(options)
    if given and detected and given not in detected:
        raise UsageError(f"the project's resources or variables are for {detected[0]}, not {given}")
    return asker.choose("flavour of Lakebase", "--lakebase", given, detected or list(KINDS))


def _given_flavour(options: AdoptOptions) -> str:
    """Return the flavour that the flags name or imply; empty if they do neither."""
    implied = set()
    if options.instance:
        implied.add("provisioned")
    if options.project or options.branch:
        implied.add("autoscaling")
    if options.lakebase and options.lakebase not in KINDS:
        text = f"--lakebase {options.lakebase!r} does not work: autoscaling or provisioned"
        raise UsageError(text)
    given = options.lakebase or (min(implied) if len(implied) == 1 else "")
    if implied - {given}:
        raise UsageError("--instance is for provisioned, --project and --branch for autoscaling")
    return given


def _memory(options: AdoptOptions) -> list[str]:
    if not options.memory:
        return MEMORIES
    memory = [name.strip() for name in options.memory.split(",")]
    if not set(memory) <= set(MEMORIES):
        raise UsageError(f"--memory {options.memory!r} does not work: {', '.join(MEMORIES)}")
    return memory


def _app_name(agent: ExistingAgent, app: App | None) -> str:
    """Return a name that the template accepts: of the app, of its key, or of the package."""
    name = str((app.settings.get("name") or app.key) if app else "")
    if not name or "${" in name:
        name = app.key if app else str(agent.pyproject["project"].get("name", "agent"))
    slug = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    return (slug if re.match("[a-z].", slug) else f"agent-{slug}")[:30].rstrip("-")


def _given_answers(options: AdoptOptions) -> dict[str, str]:
    if options.embedding_dims and not options.embedding_dims.isdecimal():
        raise UsageError(f"--embedding-dims {options.embedding_dims!r} is not a number")
    answers = {
        "lakebase_project": options.project,
        "lakebase_branch": options.branch,
        "lakebase_instance": options.instance,
        "embedding_endpoint": options.embedding_endpoint,
        "embedding_dims": options.embedding_dims,
    }
    return {name: value for name, value in answers.items() if value}


def _source(given: str) -> str:
    """Return where the template is; a folder by its full path, so that the next run finds it."""
    if given and (Path(given) / "copier.yml").is_file():
        return str(Path(given).resolve())
    return given or TEMPLATE
