"""The OpenAPI description: every route of the table, with its parameters and scope, and every endpoint of the apps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from pondage.gateway import access, answers, files, storage, webhooks
from pondage.gateway.call import Call, Response, Role
from pondage.gateway.shapes import ANSWERS, SPARSE
from pondage.wire.frames import AppInfo, EndpointInfo

if TYPE_CHECKING:
    from pondage.gateway.routes import Route

_MOMENT = {"type": "number", "description": "Seconds since 1970"}
_NUMBER = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_LIST: dict[str, dict[str, Any]] = {"limit": {**_NUMBER, "maximum": 1000}, "cursor": _TEXT}
_AFTER = {"limit": {**_NUMBER, "maximum": 500}, "cursor": {"type": "string", "pattern": "^[0-9]{1,18}$"}}
_RANGE = {"since": _MOMENT, "until": _MOMENT}
_FAL_STATES = ("IN_QUEUE", "IN_PROGRESS", "COMPLETED")
_LOGS = {"logs": {"type": "string", "enum": ["0", "1", "false", "true"]}}
_TOKEN = {"token": {"type": "string", "description": "The secret that the URL came with"}}

QUERY: dict[str, dict[str, Any]] = {
    "/queue/{owner}/{alias}/requests/{request_id}/status": _LOGS,
    "/queue/{owner}/{alias}/requests/{request_id}/status/stream": _LOGS,
    "/api/v1/requests": {
        "app": _TEXT, "state": {"enum": ["queued", "running", "completed", *_FAL_STATES]},
        "outcome": {"enum": ["ok", "error", "cancelled"]}, "caller": _TEXT, "id_tail": _TEXT, **_RANGE, **_LIST,
    },
    "/api/v1/requests/{request_id}": {"payloads": {"type": "string", "enum": ["0", "1"]}},
    "/api/v1/requests/{request_id}/events": {
        "after": {**_NUMBER, "maximum": 10**11}, "limit": {**_NUMBER, "maximum": 10_000}, "kinds": _TEXT,
    },
    "/api/v1/apps": {"schemas": {"type": "string", "enum": ["0", "1"]}},
    "/api/v1/runners/logs": {"app": _TEXT, "runner": _TEXT},
    "/api/v1/files": {"limit": {**_LIST["limit"], "minimum": 1}, "cursor": _TEXT},
    "/api/v1/webhooks/deliveries": {
        "request_id": _TEXT, "state": {"enum": ["owed", "done", "dead"]}, **_RANGE, **_LIST,
    },
    "/api/v1/webhooks/missed": {"url": _TEXT, "all": _TEXT, **_AFTER},
    "/api/v1/webhooks/listeners/{id}/deliveries": {"wait": {"type": "number", "description": "Seconds, at most 60"}},
    "/api/v1/webhooks/secrets": {"url": _TEXT},
    "/files/{file_id}": {**_TOKEN, "download": _TEXT},
    "/files/{file_id}/{name}": {**_TOKEN, "download": _TEXT},
    "/files/uploads/{upload_id}": _TOKEN,
    "/files/uploads/{upload_id}/{n}": _TOKEN,
    "/files/uploads/{upload_id}/complete": _TOKEN,
}  # fmt: skip
"""Query parameters by path."""

BODY: dict[str, type[msgspec.Struct]] = {
    "/tokens": access.TokenRequest,
    "/tokens/realtime": access.TokenRequest,
    "/storage/upload/initiate": storage.Initiate,
    "/storage/upload/initiate-multipart": storage.Initiate,
    "/files/uploads/{upload_id}/complete": storage.Complete,
    "/files/{file_id}/{name}/multipart/{upload_id}/complete": storage.Complete,
    "/files/{file_id}/{name}/sign": files.Sign,
    "/api/v1/webhooks/replay": webhooks.Replay,
    "/api/v1/webhooks/listeners": webhooks.Listen,
    "/api/v1/webhooks/listeners/{id}/tries": webhooks.Report,
    "/api/v1/webhooks/keys": webhooks.Rotate,
}
"""What a JSON body is read as, by path; what is not here and not raw takes no body."""

_STATUS = "status request_id response_url status_url cancel_url logs metrics"
_STORED_FILE = "access_url file_url id url file_name content_type file_size created_at expires_at private"
_PARTS = "uploadId parts completed"

MEMBERS: dict[str, str] = {
    "GET /queue/{owner}/{alias}/requests/{request_id}/status": _STATUS,
    "PUT /queue/{owner}/{alias}/requests/{request_id}/cancel": "status",
    "PUT /api/v1/requests/{request_id}/cancel": "status",
    "POST /tokens/realtime": "token",
    "GET /healthz": "status",
    "GET /readyz": "ready waiting",
    "GET /openapi.json": "openapi info paths components",
    "GET /api/v1/requests/{request_id}": "id app path mode state attempt strikes submitted_at",
    "POST /api/v1/requests/{request_id}/retry": "request_id retried_from",
    "GET /api/v1/runners/logs": "items next_cursor",
    "GET /api/v1/files": "files next_cursor has_more",
    "POST /storage/upload/initiate": "file_url upload_url",
    "POST /storage/upload/initiate-multipart": "file_url upload_url",
    "POST /storage/auth/token": "token token_type base_url expires_at",
    "POST /files/upload": "access_url",
    "POST /files/upload/multipart": "access_url uploadId",
    "PUT /files/uploads/{upload_id}": _STORED_FILE,
    "GET /files/uploads/{upload_id}": _PARTS,
    "DELETE /files/uploads/{upload_id}": "aborted",
    "PUT /files/uploads/{upload_id}/{n}": "partNumber etag",
    "POST /files/uploads/{upload_id}/complete": _STORED_FILE,
    "PUT /files/{file_id}/{name}/multipart/{upload_id}/{n}": "partNumber etag",
    "GET /files/{file_id}/{name}/multipart/{upload_id}": _PARTS,
    "DELETE /files/{file_id}/{name}/multipart/{upload_id}": "aborted",
    "POST /files/{file_id}/{name}/multipart/{upload_id}/complete": _STORED_FILE,
    "DELETE /files/{file_id}": "deleted",
    "DELETE /files/{file_id}/{name}": "deleted",
    "POST /files/{file_id}/{name}/sign": "url expires_at",
    "GET /.well-known/jwks.json": "keys",
    "GET /api/v1/webhooks/deliveries": "items next_cursor",
    "GET /api/v1/webhooks/deliveries/{id}": "id request_id url event state created_at tries log",
    "POST /api/v1/webhooks/deliveries/{id}/replay": "replayed",
    "POST /api/v1/webhooks/replay": "replayed",
    "GET /api/v1/webhooks/missed": "items next_cursor",
    "POST /api/v1/webhooks/listeners": "id jwks secrets",
    "GET /api/v1/webhooks/listeners/{id}/deliveries": "items",
    "POST /api/v1/webhooks/listeners/{id}/tries": "state due_in",
    "DELETE /api/v1/webhooks/listeners/{id}": "ended",
    "GET /api/v1/webhooks/secrets": "secrets",
    "POST /api/v1/webhooks/keys": "id kind origin signs_from",
}
"""The members that a JSON answer always has, by method and path, where `shapes` says no more of it."""

OTHER: dict[str, dict[str, Any]] = {
    "GET /queue/{owner}/{alias}/requests/{request_id}/status/stream": {"text/event-stream": {}},
    "GET /queue/{owner}/{alias}/requests/{request_id}/stream": {"text/event-stream": {}},
    "POST /tokens": {"application/json": {"schema": {"type": "string"}}},
    "GET /metrics": {"text/plain": {}},
}
"""Answers that are no JSON objects. Outputs and files are what they are, and have no entry."""

_PREFER = {"Prefer": {"type": "string", "description": "wait=SECONDS (RFC 7240)"}}
_LAST = {"Last-Event-ID": {"type": "string", "description": "Where the reader left"}}
_LEAVING = {
    "Pondage-On-Disconnect": {
        "type": "string", "enum": ["cancel", "keep"],
        "description": "Whether hanging up on a direct call or its stream cancels the request",
    },
}  # fmt: skip
_STORED = {"X-Fal-Object-Lifecycle": _TEXT, "Pondage-Sha256": _TEXT, "Content-MD5": _TEXT}

HEADERS: dict[str, dict[str, Any]] = {
    "/queue/{owner}/{alias}/requests/{request_id}": _PREFER,
    "/queue/{owner}/{alias}/requests/{request_id}/response": _PREFER,
    "/queue/{owner}/{alias}/requests/{request_id}/status/stream": _LAST,
    "/queue/{owner}/{alias}/requests/{request_id}/stream": {**_LAST, **_LEAVING},
    "/files/{file_id}": {"Range": _TEXT, "If-Range": _TEXT, "If-None-Match": _TEXT, "If-Modified-Since": _TEXT},
    "/files/{file_id}/{name}": {"Range": _TEXT, "If-Range": _TEXT, "If-None-Match": _TEXT, "If-Modified-Since": _TEXT},
    "/files/upload": {"X-Fal-File-Name": _TEXT, **_STORED},
    "/files/upload/multipart": {"X-Fal-File-Name": _TEXT, "X-Fal-Object-Lifecycle": _TEXT},
    "/files/uploads/{upload_id}": _STORED,
    "/files/uploads/{upload_id}/{n}": _STORED,
    "/storage/upload/initiate": {"X-Fal-Object-Lifecycle": _TEXT},
    "/storage/upload/initiate-multipart": {"X-Fal-Object-Lifecycle": _TEXT},
}
"""Request headers by path."""

_SUBMIT_QUERY = {
    "fal_webhook": {"type": "string", "format": "uri"},
    "fal_max_queue_length": {**_NUMBER, "maximum": 10**15},
}
_SECONDS = {"type": "number", "exclusiveMinimum": 0.1, "exclusiveMaximum": 1e9}
_SUBMIT_HEADERS = {
    "X-Fal-Request-Timeout": _SECONDS,
    "X-Fal-Request-Start-Timeout": _SECONDS,
    "X-Fal-Queue-Priority": {"type": "string", "description": "`low` lets others go first; all else is normal"},
    "X-Fal-Store-IO": {"type": "string", "description": "`0`: input and output are dropped once they were read"},
    "Idempotency-Key": {"type": "string", "minLength": 1, "maxLength": 256},
    "Pondage-Webhook-Events": {"type": "string", "description": "Of started, progress, log; comma separated"},
    **_LEAVING,
    **_PREFER,
}
_RAW_BODY = frozenset(
    {
        "/files/upload",
        "/files/uploads/{upload_id}",
        "/files/uploads/{upload_id}/{n}",
        "/files/{file_id}/{name}/multipart/{upload_id}/{n}",
    }
)
_PATH_PREFIX = {Role.QUEUE: "/queue"}
"""Under one host name; the paths of the other roles are told apart by themselves."""


async def openapi(call: Call) -> Response:
    """OpenAPI 3.1 of the routes and of the apps' endpoints."""
    from pondage import __version__
    from pondage.gateway.routes import ROUTES

    schemas: dict[str, Any] = {"Error": _ERROR, **_SCHEMAS}
    paths = described(ROUTES)
    for name in call.rooms.fleet.app_names():
        info = call.rooms.fleet.info(name)
        for endpoint in info.endpoints if info and call.caller.may_call(name) else []:
            if info is not None and endpoint.kind != "realtime":
                _describe(paths, schemas, name, info, endpoint)
    document = {
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
    return answers.json(document)


def components() -> dict[str, Any]:
    """The schemas of what our own routes take and answer, without those of apps."""
    return dict(_SCHEMAS)


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


_SCHEMAS = {**_components(list(BODY.values()), whole=False), **_components(list(ANSWERS.values()), whole=True)}
_ERROR = {"type": "object", "required": ["detail"], "properties": {"detail": {}, "error_type": {"type": "string"}}}


def _answer(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def path_of(route: Route) -> str:
    """The path of a route on a host that plays all roles."""
    return _PATH_PREFIX.get(route.role, "") + route.pattern.replace("{app:path}", "{owner}/{alias}")


def described(routes: list[Route]) -> dict[str, Any]:
    """The paths of the table. HEAD goes where GET goes and is not said again; pages are for people."""
    paths: dict[str, Any] = {}
    for route in routes:
        path = path_of(route)
        if path == "/" or path.startswith("/ui"):
            continue
        for method in route.methods:
            if method != "HEAD":
                paths.setdefault(path, {})[method.lower()] = _operation(route, method, path)
    return paths


def _operation(route: Route, method: str, path: str) -> dict[str, Any]:
    says = (route.handler.__doc__ or "").strip().split("\n")[0]
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()} {path}",
        "summary": says,
        "parameters": [
            *_parameters("path", dict.fromkeys(re.findall(r"\{(\w+)\}", path), _TEXT), required=True),
            *_parameters("query", QUERY.get(path, {})),
            *_parameters("header", HEADERS.get(path, {})),
        ],
        "responses": {"default": {"$ref": "#/components/responses/Error"}, "2XX": _answered(f"{method} {path}", says)},
        "security": [{"key": []}] if route.scope else [],
    }
    if route.scope:
        operation["x-scope"] = route.scope
    if path in _RAW_BODY and method in {"POST", "PUT"}:
        operation["requestBody"] = {"content": {"application/octet-stream": {}}}
    elif path in BODY and method == "POST":
        reference = {"$ref": _REF.format(name=BODY[path].__name__)}
        operation["requestBody"] = {"content": {"application/json": {"schema": reference}}}
    return operation


def _answered(operation: str, says: str) -> dict[str, Any]:
    if (shape := ANSWERS.get(operation)) is not None:
        return _answer(says, {"$ref": _REF.format(name=shape.__name__)})
    if (members := MEMBERS.get(operation)) is not None:
        return _answer(says, {"type": "object", "required": members.split()})
    other = OTHER.get(operation)
    return {"description": says} if other is None else {"description": says, "content": other}


def _parameters(where: str, schemas: dict[str, Any], *, required: bool = False) -> list[dict[str, Any]]:
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
