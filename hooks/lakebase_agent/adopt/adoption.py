"""What `lakebase-agent adopt` must know: noted by an earlier run, detected, given or asked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lakebase_agent.adopt.existing_agent import KINDS, App, ExistingAgent, flavours
from lakebase_agent.adopt.memory_modules import FOLDER, SCRIPT, Place
from lakebase_agent.asking import Asker
from lakebase_agent.errors import UsageError
from lakebase_agent.new.new import TEMPLATE
from lakebase_agent.project.files import ADOPTED

MEMORIES = ("short_term", "long_term")
OTHER_SCRIPT = "scripts/grant_lakebase_memory.py"
ANSWERS = (
    "app_name", "framework", "memory", "lakebase", "lakebase_project", "lakebase_branch",
    "lakebase_instance", "embedding_endpoint", "embedding_dims", "memory_schema",
)  # fmt: skip


@dataclass(frozen=True)
class AdoptOptions:
    """What was given on the command line; empty where it was not."""

    framework: str = ""
    lakebase: str = ""
    memory: str = ""
    project: str = ""
    branch: str = ""
    instance: str = ""
    embedding_endpoint: str = ""
    embedding_dims: str = ""
    schema: str = ""
    app: str = ""
    package: str = ""
    source: str = ""
    dry_run: bool = False
    yes: bool = False


@dataclass(frozen=True)
class Adoption:
    """What is asked once, and noted: the answers to the template, and where things go."""

    answers: dict[str, Any]
    app: App | None
    place: Place
    source: str
    version: str = ""  # that was adopted before


def noted_adoption(
    noted: Mapping[str, Any], found: ExistingAgent, options: AdoptOptions
) -> Adoption:
    """Return what an earlier run noted; raises UsageError for flags that would change it."""
    given = {
        name: value
        for name, value in vars(options).items()
        if value and name not in ("source", "dry_run", "yes")
    }
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{ADOPTED} has the answers already: edit that, and leave out {flags}")
    try:
        place = Place(**noted["place"])
        app = next((app for app in found.apps if app.key == noted["app"]), None)
        answers = {name: noted[name] for name in ANSWERS if name in noted}
        source = options.source or str(noted["source"])
    except (KeyError, TypeError) as error:
        raise UsageError(f"{ADOPTED} lacks {error}; was it edited by hand?") from error
    return Adoption(answers, app, place, source, str(noted.get("version") or ""))


def ask_adoption(found: ExistingAgent, options: AdoptOptions, asker: Asker) -> Adoption:
    """Return what is detected, given, or answered; raises UsageError and KeyboardInterrupt."""
    names = found.frameworks() or ["langgraph", "openai"]
    framework = asker.choose(
        "framework", "--framework", options.framework,
        ["langgraph", "openai"] if options.framework else names,
    )  # fmt: skip
    app = _app(found, options, asker)
    lakebase = _lakebase(found, app, options, asker)
    memory = [name.strip() for name in (options.memory or ",".join(MEMORIES)).split(",")]
    if not set(memory) <= set(MEMORIES):
        raise UsageError(f"--memory {options.memory!r} does not work: {', '.join(MEMORIES)}")
    answers: dict[str, Any] = {"framework": framework, "lakebase": lakebase, "memory": memory}
    answers["app_name"] = _app_name(found, app)
    more = {
        "lakebase_project": options.project,
        "lakebase_branch": options.branch,
        "lakebase_instance": options.instance,
        "embedding_endpoint": options.embedding_endpoint,
        "embedding_dims": options.embedding_dims,
        "memory_schema": options.schema,
    }
    answers |= {name: value for name, value in more.items() if value}
    place = _place(found, framework, options, asker)
    local = (Path(options.source) / "copier.yml").is_file()
    source = str(Path(options.source).resolve()) if options.source and local else options.source
    return Adoption(answers, app, place, source or TEMPLATE)


def _app(found: ExistingAgent, options: AdoptOptions, asker: Asker) -> App | None:
    if not found.apps:
        return None
    keys = [app.key for app in found.apps]
    key = asker.choose("app of the bundle", "--app", options.app, keys)
    app = found.apps[keys.index(key)]
    if not app.settings.get("config") and not found.app_yaml:
        raise UsageError(
            f"nothing says how the app {key} starts: give it a `config` with a `command` in "
            f"{app.file}, or write an app.yaml; commit, and run this command again"
        )
    return app


def _lakebase(found: ExistingAgent, app: App | None, options: AdoptOptions, asker: Asker) -> str:
    settings = app.settings if app else {}
    texts = [found.text(name) for name in (".env", ".env.example")]
    env = {str(entry.get("name")): entry for entry in found.env(app)}
    spoken = flavours(settings, env, "\n".join(texts))
    by_flag = ["provisioned"] if options.instance else []
    by_flag += ["autoscaling"] if options.project or options.branch else []
    given = options.lakebase or (by_flag[0] if len(by_flag) == 1 else "")
    if given and given not in KINDS:
        raise UsageError(f"--lakebase {given!r} does not work: autoscaling or provisioned")
    if len(by_flag) > 1 or (by_flag and given != by_flag[0]):
        raise UsageError("--instance is for provisioned, --project and --branch for autoscaling")
    if given and spoken and given not in spoken:
        raise UsageError(f"the project's resources or variables are for {spoken[0]}, not {given}")
    return asker.choose("flavour of Lakebase", "--lakebase", given, spoken or list(KINDS))


def _app_name(found: ExistingAgent, app: App | None) -> str:
    """Return a name that the template takes: of the app, of its key, or of the package."""
    name = str((app.settings.get("name") or app.key) if app else "")
    if not name or "${" in name:
        name = app.key if app else str(found.pyproject["project"].get("name", "agent"))
    slug = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    return (slug if re.match("[a-z].", slug) else f"agent-{slug}")[:30].rstrip("-")


def _place(found: ExistingAgent, framework: str, options: AdoptOptions, asker: Asker) -> Place:
    given = options.package.rstrip("/")
    if given and not (found.folder / given).is_dir():
        raise UsageError(f"--package {given!r} is no folder of {found.folder}")
    choices = [given] if given else found.packages(framework)
    package = asker.choose("folder for the memory", "--package", given, choices)
    parts = [part for part in PurePosixPath(package).parts if part != "."]
    folder = "/".join([*parts, FOLDER])
    if (found.folder / folder).exists():
        raise UsageError(f"{folder} exists already: move it away, or choose another --package")
    named = bool(parts) and parts[-1] != "src" and found.is_package(package)
    roots = ["src"] if parts[:1] == ["src"] and len(parts) > 1 else []
    module = ".".join([*(parts[len(roots) :] if named else []), FOLDER])
    script = OTHER_SCRIPT if (found.folder / SCRIPT).exists() else SCRIPT
    if (found.folder / script).exists():
        raise UsageError(f"{script} exists already: move it away, and run this command again")
    root = "/".join(roots if named else parts)
    return Place(folder, module, script, _run_script(found, script, named, root))


def _run_script(found: ExistingAgent, script: str, named: bool, root: str) -> str:
    if named and found.installed():
        return f"uv run python {script}"
    if not root:
        return f"uv run python -m {script.removesuffix('.py').replace('/', '.')}"
    return f"PYTHONPATH={root} uv run python {script}"
