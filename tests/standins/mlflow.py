"""An MLflow tracking server that keeps the traces it is sent, and whose failures a test chooses.

It has no `/version`, so that MLflow sends the spans of a trace at its end and as JSON, as it does
to Databricks. To a server of its own it sends them one by one, as OpenTelemetry's protobuf.
"""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.middleware.base import RequestResponseEndpoint

from tests.support.served import served

Json = dict[str, Any]


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
        spans = (await request.json())["spans"]
        self.sizes.append(len(await request.body()))
        self.traces.append(Trace(self.experiments[trace_id], spans, self.infos[trace_id]))


@contextmanager
def open_standin_mlflow() -> Iterator[StandinMlflow]:
    """Yield a running MLflow server."""
    listener = socket.create_server(("127.0.0.1", 0))
    mlflow = StandinMlflow(f"http://127.0.0.1:{listener.getsockname()[1]}")
    app = FastAPI()
    app.middleware("http")(mlflow)
    app.post("/api/3.0/mlflow/traces")(mlflow.start_trace)
    app.put("/api/2.0/mlflow-artifacts/artifacts/{trace_id}/traces.json")(mlflow.put_spans)
    with served(app, listener):
        yield mlflow
