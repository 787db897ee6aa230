"""The OpenAPI description: a fold over the table of routes, and every endpoint of the apps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pondage.gateway import answers
from pondage.gateway.call import Call, Response, Role
from pondage.gateway.route import LEAVING, NUMBER, PREFER, RAW, SECONDS, TEXT, Route
from pondage.gateway.shapes import SPARSE
from pondage.wire.frames import AppInfo, EndpointInfo

_SUBMIT_QUERY = {
    "fal_webhook": {"type": "string", "format": "uri"},
    "fal_max_queue_length": {**NUMBER, "maximum": 10**15},
}
_SUBMIT_HEADERS = {
    "X-Fal-Request-Timeout": SECONDS,
    "X-Fal-Request-Start-Timeout": SECONDS,
    "X-Fal-Queue-Priority": {"type": "string", "description": "`low` lets others go first; all else is normal"},
    "X-Fal-Store-IO": {"type": "string", "description": "`0`: input and output are dropped once they were read"},
    "Idempotency-Key": {"type": "string", "minLength": 1, "maxLength": 256},
    "Pondage-On-Fault": {
        "type": "string", "enum": ["wait", "fail"],
        "description": "Whether the request waits for an app that cannot run, or fails after `fault_patience`",
    },
    "Pondage-Start-At": {"type": "string", "description": "Not before: ISO 8601, or seconds since 1970; queue only"},
    "Pondage-Deadline": {"type": "string", "description": "It has ended by this time: ISO 8601, or seconds since 1970"},
    "Pondage-Payload-TTL": {"type": "number", "minimum": 0, "description": "Seconds for which its payloads are kept"},
    "Pondage-Webhook-Events": {"type": "string", "description": "Of started, progress, log; comma separated"},
    **LEAVING,
    **PREFER,
}  # fmt: skip
_PATH_PREFIX = {Role.QUEUE: "/queue"}
"""Under one host name; the paths of the other roles are told apart by themselves."""


def document(call: Call, routes: Sequence[Route]) -> Response:
    """OpenAPI 3.1 of the routes and of the apps' endpoints that the caller may call."""
    from pondage import __version__

    schemas: dict[str, Any] = {"Error": _ERROR, **components(routes)}
    paths = described(routes)
    for name in call.rooms.fleet.app_names():
        info = call.rooms.fleet.infos.get(name)
        for endpoint in info.endpoints if info and call.caller.may_call(name) else []:
            if info is not None and endpoint.kind != "realtime":
                _describe(paths, schemas, name, info, endpoint)
    described_all = {
        "openapi": "3.1.0",
        "info": {"title": "Pondage", "version": __version__},
        "servers": [{"url": call.origins.run}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Error": _answer("An error", {"$ref": "#/components/schemas/Error"})},
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "Authorization"}},
        },
    }
    return answers.json(described_all)


def components(routes: Sequence[Route]) -> dict[str, Any]:
    """The schemas of what our own routes take and answer, without those of apps."""
    bodies = [route.body for route in routes if isinstance(route.body, type)]
    answered = [route.answer for route in routes if isinstance(route.answer, type)]
    return {**_components(bodies, whole=False), **_components(answered, whole=True)}


_REF = "#/components/schemas/{name}"


def _any(kind: type) -> dict[str, Any]:
    """What has no type of its own, as the members of a schema."""
    return {"description": "Any JSON"}


def _components(shapes: list[type[msgspec.Struct]], *, whole: bool) -> dict[str, Any]:
    """The schemas of `shapes`; `whole`: a member with a default is always there, as in our answers."""
    made = msgspec.json.schema_components(list(dict.fromkeys(shapes)), schema_hook=_any, ref_template=_REF)[1]
    for name, schema in made.items():
        if whole and "properties" in schema and name not in SPARSE:
            schema["required"] = list(schema["properties"])
    return made


_ERROR = {"type": "object", "required": ["detail"], "properties": {"detail": {}, "error_type": {"type": "string"}}}


def _answer(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def path_of(route: Route) -> str:
    """The path of a route on a host that plays all roles."""
    return _PATH_PREFIX.get(route.role, "") + route.pattern.replace("{app:path}", "{owner}/{alias}")


def described(routes: Sequence[Route]) -> dict[str, Any]:
    """The paths of the table. HEAD goes where GET goes and is not said again; pages are for people."""
    paths: dict[str, Any] = {}
    for route in routes:
        for method in route.methods if not route.for_people else ():
            if method != "HEAD":
                paths.setdefault(path_of(route), {})[method.lower()] = _operation(route, method)
    return paths


def _operation(route: Route, method: str) -> dict[str, Any]:
    path = path_of(route)
    says = (route.handler.__doc__ or "").strip().split("\n")[0]
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()} {path}",
        "summary": says,
        "parameters": [
            *_parameters("path", dict.fromkeys(re.findall(r"\{(\w+)\}", path), TEXT), required=True),
            *_parameters("query", route.query),
            *_parameters("header", route.headers),
        ],
        "responses": {"default": {"$ref": "#/components/responses/Error"}, "2XX": _answered(route, says)},
        "security": [{"key": []}] if route.scope else [],
    }
    if route.scope:
        operation["x-scope"] = route.scope
    if route.body == RAW:
        operation["requestBody"] = {"content": {"application/octet-stream": {}}}
    elif isinstance(route.body, type):
        reference = {"$ref": _REF.format(name=route.body.__name__)}
        operation["requestBody"] = {"content": {"application/json": {"schema": reference}}}
    return operation


def _answered(route: Route, says: str) -> dict[str, Any]:
    answer = route.answer
    if isinstance(answer, type):
        return _answer(says, {"$ref": _REF.format(name=answer.__name__)})
    if isinstance(answer, str):
        return _answer(says, {"type": "object", "required": answer.split()})
    return {"description": says} if answer is None else {"description": says, "content": answer}


def _parameters(where: str, schemas: Mapping[str, Any], *, required: bool = False) -> list[dict[str, Any]]:
    return [{"name": name, "in": where, "required": required, "schema": schema} for name, schema in schemas.items()]


def _describe(paths: dict[str, Any], schemas: dict[str, Any], name: str, app: AppInfo, endpoint: EndpointInfo) -> None:
    stem = (name + endpoint.path).strip("/").replace("/", ".")
    content = {}
    for kind, schema in (("Input", endpoint.input_schema), ("Output", endpoint.output_schema)):
        lifted = _lift(schema, schemas, stem) if schema else {}
        schemas[f"{stem}.{kind}"] = lifted
        content[kind] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{stem}.{kind}"}}}
    parameters = [*_parameters("query", _SUBMIT_QUERY), *_parameters("header", _SUBMIT_HEADERS)]
    operation = {
        "summary": endpoint.description.strip().split("\n")[0],
        "parameters": parameters,
        "requestBody": {"content": content["Input"]},
        "responses": {
            "default": {"$ref": "#/components/responses/Error"},
            "200": {"description": "The output", "content": content["Output"]},
            "422": {"description": "The input does not fit"},
        },
        "security": [{"key": []}],
        "x-scope": "submit",
    }
    path = f"/{name}{'' if endpoint.path == '/' else endpoint.path}"
    submitted = {
        "default": {"$ref": "#/components/responses/Error"},
        "200": {"description": "The request is in the queue, on disk"},
    }
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
