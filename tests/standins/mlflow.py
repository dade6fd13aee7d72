"""An MLflow tracking server that keeps the traces it is sent, and whose failures a test chooses.

What people think of traces it keeps as mlflow/server/handlers.py and its SQL store do: a trace that
has not arrived, or an assessment that is gone, is a 404 RESOURCE_DOES_NOT_EXIST, but to delete what
is gone is none.

It has no `/version`, so that MLflow sends the spans of a trace at its end and as JSON, as it does
to Databricks. To a server of its own it sends them one by one, as OpenTelemetry's protobuf.
"""

import asyncio
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from starlette.middleware.base import RequestResponseEndpoint

from tests.support.served import served

Json = dict[str, Any]
# The fields of `Assessment` in mlflow/protos/assessments.proto that a client fills in.
SENT_OF_ASSESSMENTS = {
    "assessment_name", "trace_id", "span_id", "source", "create_time", "last_update_time",
    "feedback", "rationale", "metadata", "valid",
}  # fmt: skip


@dataclass(frozen=True)
class Trace:
    """The experiment a trace belongs to, its spans, and what is known of it as a whole."""

    experiment: str
    spans: list[Json]
    info: Json = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        """What the spans are: CHAT_MODEL, TOOL, AGENT..."""
        return [span["attributes"]["mlflow.spanType"].strip('"') for span in self.spans]

    @property
    def text(self) -> str:
        """All that it holds."""
        return f"{self.info}{self.spans}"

    def span(self, kind: str) -> Json:
        """Return its first span of a kind."""
        return self.spans[self.kinds.index(kind)]


@dataclass
class StandinMlflow:
    """What the server does with the next requests, and what it was sent."""

    url: str = ""
    status: int = 200
    delay: float = 0.0
    paths: list[str] = field(default_factory=list)
    experiments: dict[str, str] = field(default_factory=dict)
    infos: dict[str, Json] = field(default_factory=dict)
    traces: list[Trace] = field(default_factory=list)
    assessments: dict[str, Json] = field(default_factory=dict)  # by id, as REST has them
    forgetful: bool = False  # whether it answers 500 to what it has kept
    storage: str = "AWS_PRESIGNED_URL"  # of a workspace
    expired: int = 0  # how many of the next addresses have expired
    sizes: list[int] = field(default_factory=list)  # of what was sent as spans, in bytes

    def about(self, word: str) -> list[Trace]:
        """Return the traces that hold `word`."""
        return [trace for trace in self.traces if word in str(trace.spans)]

    def asked(self, words: str) -> list[str]:
        """Return the questions of the traces that hold `words`, the earliest first."""
        found = sorted(self.about(words), key=lambda trace: str(trace.info["request_time"]))
        asked = [trace.span("AGENT")["attributes"]["mlflow.spanInputs"] for trace in found]
        return [json.loads(inputs)["input"][0]["content"] for inputs in asked]

    async def __call__(self, request: Request, answer: RequestResponseEndpoint) -> Response:
        """Answer, late or not at all."""
        self.paths.append(request.url.path)
        await asyncio.sleep(self.delay)
        return Response(status_code=self.status) if self.status != 200 else await answer(request)

    async def start_trace(self, body: Json) -> Json:
        """Keep which experiment a trace belongs to, and say where its spans go."""
        info = body["trace"]["trace_info"]
        place = info["trace_location"]["mlflow_experiment"]
        self.experiments[info["trace_id"]] = place["experiment_id"]
        self.infos[info["trace_id"]] = info
        info["tags"]["mlflow.artifactLocation"] = f"mlflow-artifacts:/{info['trace_id']}"
        return body

    async def put_spans(self, trace_id: str, request: Request) -> None:
        """Keep the spans of a trace."""
        self.keep_spans(trace_id, await request.body())

    def keep_spans(self, trace_id: str, body: bytes) -> None:
        """Keep the spans of a trace, as they were sent."""
        spans = json.loads(body)["spans"]
        self.sizes.append(len(body))
        self.traces.append(Trace(self.experiments[trace_id], spans, self.infos[trace_id]))

    async def get_trace(self, trace_id: str) -> Json:
        """Return what is known of a trace."""
        self._require(trace_id in self.infos, f"Trace with ID {trace_id} not found.")
        own = [one for one in self.assessments.values() if one["trace_id"] == trace_id]
        return {"trace": {"trace_info": {**self.infos[trace_id], "assessments": own}}}

    async def search_traces(self, body: Json) -> Json:
        """Return what is known of an experiment's traces, two to a page, the latest first."""
        wanted = [place["mlflow_experiment"]["experiment_id"] for place in body["locations"]]
        known = [name for name, info in self.experiments.items() if info in wanted]
        start = int(body.get("page_token", 0))
        infos = [
            (await self.get_trace(name))["trace"]["trace_info"]
            for name in [*reversed(known)][start : start + 2]
        ]
        more = {"next_page_token": str(start + 2)} if len(known) > start + 2 else {}
        return {"traces": infos, **more}

    async def get_spans(self, trace_id: str) -> Json:
        """Return the spans of a trace."""
        spans = [trace.spans for trace in self.traces if trace.info["trace_id"] == trace_id]
        return {"spans": spans[0]}

    async def create_assessment(self, trace_id: str, body: Json) -> Json:
        """Keep what somebody thinks of a trace, unless it has not arrived."""
        self._require(trace_id in self.infos, f"Trace with ID {trace_id} not found.")
        assert set(body["assessment"]) <= SENT_OF_ASSESSMENTS
        one = {**body["assessment"], "assessment_id": f"a-{uuid4().hex}", "valid": True}
        self.assessments[one["assessment_id"]] = one
        if self.forgetful:
            raise HTTPException(400, {"error_code": "INTERNAL_ERROR", "message": "It is lost."})
        return {"assessment": one}

    async def update_assessment(self, trace_id: str, assessment_id: str, body: Json) -> Json:
        """Change those parts of an assessment that the mask names."""
        self._require_assessment(trace_id, assessment_id)
        one = self.assessments[assessment_id]
        for path in body["update_mask"].split(","):
            name = re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", path)
            one[name] = body["assessment"].get(name, "")
        return {"assessment": one}

    async def delete_assessment(self, trace_id: str, assessment_id: str) -> Json:
        """Forget an assessment; it is no failure if there is none."""
        self.assessments.pop(assessment_id, None)
        return {}

    def _require_assessment(self, trace_id: str, assessment_id: str) -> None:
        known = self.assessments.get(assessment_id, {}).get("trace_id") == trace_id
        self._require(known, f"Assessment with ID '{assessment_id}' not found.")

    def _require(self, true: bool, message: str) -> None:
        if not true:
            body = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": message}
            raise HTTPException(404, body)


async def _on_failure(_: Request, error: Exception) -> Response:
    return JSONResponse(error.detail, error.status_code)  # type: ignore[attr-defined]


@contextmanager
def open_standin_mlflow() -> Iterator[StandinMlflow]:
    """Yield a running MLflow server."""
    listener = socket.create_server(("127.0.0.1", 0))
    mlflow = StandinMlflow(f"http://127.0.0.1:{listener.getsockname()[1]}")
    app = FastAPI()
    app.middleware("http")(mlflow)
    app.post("/api/3.0/mlflow/traces")(mlflow.start_trace)
    app.put("/api/2.0/mlflow-artifacts/artifacts/{trace_id}/traces.json")(mlflow.put_spans)
    app.get("/api/2.0/mlflow-artifacts/artifacts/{trace_id}/traces.json")(mlflow.get_spans)
    one = "/api/3.0/mlflow/traces/{trace_id}"
    app.post("/api/3.0/mlflow/traces/search")(mlflow.search_traces)
    app.get(one)(mlflow.get_trace)
    app.post(f"{one}/assessments")(mlflow.create_assessment)
    app.patch(f"{one}/assessments/{{assessment_id}}")(mlflow.update_assessment)
    app.delete(f"{one}/assessments/{{assessment_id}}")(mlflow.delete_assessment)
    app.exception_handler(HTTPException)(_on_failure)
    with served(app, listener):
        yield mlflow
