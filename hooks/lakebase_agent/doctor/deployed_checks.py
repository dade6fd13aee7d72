"""What `doctor --deployed` asks the running app, as the person who is signed in."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import requests

from lakebase_agent.doctor.findings import Finding, ok, problem, skipped, warning
from lakebase_agent.doctor.linked_project import LinkedProject
from lakebase_agent.workspace.refusals import errors_explained, in_one_line

SECONDS = 30  # for an app whose database must wake up
SIGN_IN = (HTTPStatus.FOUND, HTTPStatus.SEE_OTHER, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def check_deployed(project: LinkedProject) -> Iterator[Finding]:
    """Yield whether the app answers, and is the one of this folder; raises WorkspaceError."""
    app = project.deployed
    if not app or not app.url:
        yield skipped("ready", "the app is not deployed yet")
        return
    with errors_explained(project.workspace.host):
        headers = project.workspace.client.config.authenticate()
    try:
        answer = requests.get(
            f"{app.url}/ready", headers=headers, timeout=SECONDS, allow_redirects=False
        )
    except requests.RequestException as error:
        text = f"{app.url} can't be reached: {in_one_line(error)}"
        yield problem("ready", text, f"databricks apps logs {project.app}")
        return
    yield from _judge(project, str(app.url), answer)


def _judge(project: LinkedProject, url: str, answer: requests.Response) -> Iterator[Finding]:
    """Yield what an answer means: a proxy in front of the app asks whoever may not use it."""
    told = _body(answer)
    if answer.status_code in SIGN_IN:
        text = f"{url} does not let you in ({answer.status_code})"
        yield problem("ready", text, "databricks auth login, or ask for CAN USE on the app")
    elif told.get("status") != "ready":
        reason = (told.get("error") or {}).get("message") or f"it answers {answer.status_code}"
        yield problem("ready", f"{url}: {reason}", f"databricks apps logs {project.app}")
    else:
        yield ok("ready", f"{url} answers")
        yield from _compare(project, told)


def _body(answer: requests.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _compare(project: LinkedProject, told: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield whether what runs is what this folder would deploy."""
    deploy = f"databricks apps deploy --target {project.target}"
    wanted = {"version": project.version, "schema": project.variables.get("memory_schema")}
    for name, here in wanted.items():
        running = told.get(name)
        if running and here and running != here:
            yield warning(name, f"the app has {running}, this folder {here}", deploy)
        elif running:
            yield ok(name, str(running))
    if away := told.get("degraded"):
        yield warning("tools", f"not available: {', '.join(away)}", "start them, or grant access")
