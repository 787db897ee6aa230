"""For machines: health, readiness, metrics, and the OpenAPI description."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from penstock.gateway import answers
from penstock.gateway.call import Call, Response, Rooms
from penstock.wire.frames import AppInfo, EndpointInfo

if TYPE_CHECKING:
    from prometheus_client import Metric


async def healthz(call: Call) -> Response:
    """The process answers."""
    return answers.json({"status": "ok"})


async def readyz(call: Call) -> Response:
    """200 once every served app has a ready runner, or may scale to none; 503 with the reasons before."""
    waiting: dict[str, str] = {}
    fleet = call.rooms.fleet
    for name in fleet.app_names():
        app = fleet.app(name)
        if app is None or app.slots or (app.fault or "").endswith("not served by this server just now"):
            continue
        if app.info.min_concurrency == 0 and app.info.endpoints:
            continue
        waiting[name] = app.fault or "setting up"
    ready = not waiting
    return answers.json({"ready": ready, "waiting": waiting}, status=200 if ready else 503)


async def metrics(call: Call) -> Response:
    """Prometheus text."""
    # Its library reads files of the system as it is loaded; only who asks for metrics pays for it, and nobody waits.
    await asyncio.to_thread(import_module, "prometheus_client")
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Gauges(call.rooms))
    body = generate_latest(registry)
    return answers.Answer(200, body, [(b"content-type", CONTENT_TYPE_LATEST.encode())])


class _Gauges:
    """Read at each scrape; nothing is counted twice."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        fleet, queue = self._rooms.fleet, self._rooms.queue
        queued = GaugeMetricFamily("penstock_queued", "Requests that wait for a runner", labels=["app"])
        running = GaugeMetricFamily("penstock_running", "Requests that run", labels=["app"])
        runners = GaugeMetricFamily("penstock_runners", "Runner processes", labels=["app"])
        free = GaugeMetricFamily("penstock_free_slots", "Requests that could start at once", labels=["app"])
        up = GaugeMetricFamily("penstock_app_up", "1 where the app can run, 0 where it has a fault", labels=["app"])
        for name in fleet.app_names():
            state, depth = fleet.app(name), queue.depth(name)
            queued.add_metric([name], depth.queued)
            running.add_metric([name], depth.running)
            if state is not None:
                runners.add_metric([name], state.runners)
                free.add_metric([name], state.free)
                up.add_metric([name], 0 if state.fault else 1)
        yield from (queued, running, runners, free, up)
        answered = CounterMetricFamily("penstock_http_responses", "HTTP answers by status", labels=["status"])
        for status, count in sorted(self._rooms.extra["answered"].items()):
            answered.add_metric([str(status)], count)
        yield answered


async def openapi(call: Call) -> Response:
    """OpenAPI 3.1 of the apps and of the queue's routes."""
    from penstock import __version__

    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for name in call.rooms.fleet.app_names():
        app = call.rooms.fleet.app(name)
        for endpoint in app.info.endpoints if app else []:
            if app is not None and endpoint.kind != "realtime":
                _describe(paths, schemas, name, app.info, endpoint)
    paths |= _queue_routes()
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Penstock", "version": __version__},
        "servers": [{"url": call.origins.run}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "Authorization"}},
        },
    }
    return answers.json(document)


def _describe(paths: dict[str, Any], schemas: dict[str, Any], name: str, app: AppInfo, endpoint: EndpointInfo) -> None:
    stem = (name + endpoint.path).strip("/").replace("/", ".")
    content = {}
    for kind, schema in (("Input", endpoint.input_schema), ("Output", endpoint.output_schema)):
        lifted = _lift(schema, schemas, stem) if schema else {}
        schemas[f"{stem}.{kind}"] = lifted
        content[kind] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{stem}.{kind}"}}}
    operation = {
        "summary": endpoint.description.strip().split("\n")[0],
        "requestBody": {"content": content["Input"]},
        "responses": {
            "200": {"description": "The output", "content": content["Output"]},
            "422": {"description": "The input does not fit"},
        },
    }
    path = f"/{name}{'' if endpoint.path == '/' else endpoint.path}"
    submitted = {"200": {"description": "The request is in the queue, on disk"}}
    paths[path] = {"post": {**operation, "operationId": f"run {stem}"}}
    paths["/queue" + path] = {"post": {**operation, "operationId": f"submit {stem}", "responses": submitted}}


def _lift(schema: dict[str, Any], schemas: dict[str, Any], stem: str) -> dict[str, Any]:
    """The schema with its `$defs` moved to the document's components."""

    def moved(node: Any) -> Any:
        if isinstance(node, dict):
            lifted = {key: moved(value) for key, value in node.items() if key != "$defs"}
            reference = lifted.get("$ref")
            if isinstance(reference, str) and reference.startswith("#/$defs/"):
                lifted["$ref"] = f"#/components/schemas/{stem}.{reference[8:]}"
            return lifted
        return [moved(item) for item in node] if isinstance(node, list) else node

    for name, definition in schema.get("$defs", {}).items():
        schemas[f"{stem}.{name}"] = moved(definition)
    lifted: dict[str, Any] = moved(schema)
    return lifted


def _queue_routes() -> dict[str, Any]:
    where = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in ("owner", "alias", "request_id")
    ]
    base = "/queue/{owner}/{alias}/requests/{request_id}"
    return {
        f"{base}/status": {"get": {"summary": "Status", "parameters": where, "responses": _any()}},
        base: {"get": {"summary": "Result", "parameters": where, "responses": _any()}},
        f"{base}/cancel": {"put": {"summary": "Cancel", "parameters": where, "responses": _any()}},
    }


def _any() -> dict[str, Any]:
    return {"default": {"description": "See docs/protocol.md"}}
