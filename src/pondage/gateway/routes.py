"""Every route, once: role, methods, path within the role, handler, the scope that a key needs, and what OpenAPI says.

What no route takes is an endpoint on the run host, or a submit on the queue host.
"""

from __future__ import annotations

from pondage.dashboard import pages, session, snippets
from pondage.errors import NotFound
from pondage.gateway import (
    access,
    api,
    files,
    key_routes,
    machines,
    metrics,
    openapi,
    operating,
    payloads,
    quotes,
    requests,
    series,
    setting_routes,
    shapes,
    storage,
    streams,
    usage,
    webhooks,
)
from pondage.gateway.call import Call, Response, Role
from pondage.gateway.route import (
    BUCKETS,
    BY,
    EVENTS,
    FLAG,
    FORMATS,
    LAST,
    LEAVING,
    LIFECYCLE,
    LOGS,
    NUMBER,
    OUTCOMES,
    PAGED,
    PREFER,
    PUBLIC,
    RANGES,
    RAW,
    SPAN,
    STATES,
    STORED,
    TEXT,
    TOKEN,
    Route,
)
from pondage.gateway.router import wrong_method

RUN, QUEUE, REST, CDN = Role.RUN, Role.QUEUE, Role.REST, Role.CDN
GET, POST, PUT, DELETE = ("GET", "HEAD"), ("POST",), ("PUT",), ("DELETE",)
ONLY_GET = ("GET",)
ENDS = "submit or operate"
"""One's own requests with the one, everybody's with the other."""

_FIRST = {"first": {**NUMBER, "description": "Bytes from the beginning; without it all of them"}}
_STORED_FILE = "access_url file_url id url file_name content_type file_size created_at expires_at private"
_PARTS = "uploadId parts completed"
_REQUEST = "/{app:path}/requests/{request_id}"
_UPLOAD = "/files/uploads/{upload_id}"
_FILE_UPLOAD = "/files/{file_id}/{name}/multipart/{upload_id}"


async def _stream_status(call: Call) -> Response:
    """Where a request is, as it changes (PROTOCOL 4.6)."""
    return await streams.stream_status(call, await requests.visible(call), logs=requests.wants_logs(call))


async def _follow_chunks(call: Call) -> Response:
    """What a request yields, from the beginning or from where its reader left."""
    view = await requests.visible(call)
    return await streams.follow_chunks(call, view, own=requests.is_own(call.caller, view))


async def _openapi(call: Call) -> Response:
    """OpenAPI 3.1 of the routes and of the apps' endpoints."""
    return openapi.document(call, ROUTES)


# fmt: off
ROUTES: list[Route] = [
    # the queue, as fal's clients know it
    Route(QUEUE, GET, _REQUEST + "/status", requests.status, "read", query=LOGS,
          answer="status request_id response_url status_url cancel_url logs metrics"),
    Route(QUEUE, GET, _REQUEST + "/status/stream", _stream_status, "read", query=LOGS, headers=LAST, answer=EVENTS),
    Route(QUEUE, GET, _REQUEST, requests.result, "read", headers=PREFER),
    Route(QUEUE, GET, _REQUEST + "/response", requests.result, "read", headers=PREFER),
    Route(QUEUE, GET, _REQUEST + "/stream", _follow_chunks, "read", headers={**LAST, **LEAVING}, answer=EVENTS),
    Route(QUEUE, DELETE, _REQUEST + "/payloads", payloads.delete, ENDS, answer="cdn_delete_results"),
    Route(QUEUE, PUT, _REQUEST + "/cancel", requests.cancel, ENDS, answer="status"),

    # tokens
    Route(REST, POST, "/tokens", access.tokens, "submit", body=access.TokenRequest,
          answer={"application/json": {"schema": TEXT}}),
    Route(REST, POST, "/tokens/realtime", access.realtime_tokens, "submit", body=access.TokenRequest, answer="token"),

    # for machines
    Route(RUN, GET, "/healthz", machines.healthz, PUBLIC, answer="status"),
    Route(RUN, GET, "/readyz", machines.readyz, PUBLIC, answer="ready waiting"),
    Route(RUN, GET, "/metrics", metrics.show_metrics, "metrics", answer={"text/plain": {}}),
    Route(RUN, GET, "/openapi.json", _openapi, "read", answer="openapi info paths components"),
    Route(RUN, GET, "/.well-known/jwks.json", webhooks.jwks, PUBLIC, answer="keys"),

    # requests, runners, apps
    Route(RUN, GET, "/api/v1/requests", api.list_requests, "read", answer=shapes.Requests,
          query={"app": TEXT, "state": STATES, "outcome": OUTCOMES, "caller": TEXT, "id_tail": TEXT,
                 "error_type": TEXT, "slower": {"type": "number", "minimum": 0}, **SPAN, **PAGED}),
    Route(RUN, GET, "/api/v1/requests/{request_id}", api.show_request, "read", query={"payloads": FLAG},
          answer="id app path mode state attempt strikes submitted_at"),
    Route(RUN, GET, "/api/v1/requests/{request_id}/events", api.list_events, "read", answer=shapes.RequestEvents,
          query={"after": {**NUMBER, "maximum": 10**11}, "limit": {**NUMBER, "maximum": 10_000}, "kinds": TEXT}),
    Route(RUN, GET, "/api/v1/requests/{request_id}/input", api.show_input, "read", query=_FIRST,
          answer={"application/json": {}}),
    Route(RUN, GET, "/api/v1/requests/{request_id}/output", api.show_output, "read", query=_FIRST, answer={"*/*": {}}),
    Route(RUN, POST, "/api/v1/requests/{request_id}/retry", api.retry_request, "submit",
          answer="request_id retried_from"),
    Route(RUN, DELETE, "/api/v1/requests/{request_id}/payloads", payloads.delete, ENDS, answer="cdn_delete_results"),
    Route(RUN, DELETE, "/v1/models/requests/{request_id}/payloads", payloads.delete, ENDS, answer="cdn_delete_results"),
    Route(RUN, PUT, "/api/v1/requests/{request_id}/cancel", requests.cancel, ENDS, answer="status"),
    Route(RUN, GET, "/api/v1/runners", api.list_runners, "read", answer=shapes.Runners),
    Route(RUN, GET, "/api/v1/runners/logs", api.runner_log, "operate", query={"app": TEXT, "runner": TEXT},
          answer=shapes.RunnerLines),
    Route(RUN, GET, "/api/v1/apps", api.list_apps, "read", query={"schemas": FLAG}, answer=shapes.Apps),
    Route(RUN, POST, "/api/v1/apps/{app:path}/pause", operating.pause, "operate", body=operating.Why,
          answer="app held"),
    Route(RUN, POST, "/api/v1/apps/{app:path}/drain", operating.drain, "operate", body=operating.Why,
          answer="app held"),
    Route(RUN, POST, "/api/v1/apps/{app:path}/resume", operating.resume, "operate", body=operating.Why,
          answer="app held"),
    Route(RUN, GET, "/api/v1/queue", operating.lines, "read", query={"app": TEXT}, answer=shapes.Lines),
    Route(RUN, POST, "/api/v1/operations", operating.begin, ENDS, body=operating.Begin, answer=shapes.Operation),
    Route(RUN, GET, "/api/v1/operations", operating.listed, ENDS, query={"limit": {**NUMBER, "maximum": 1000}},
          answer=shapes.Operations),
    Route(RUN, GET, "/api/v1/operations/{id}", operating.show, ENDS, answer=shapes.Operation),
    Route(RUN, POST, "/api/v1/operations/{id}/{what}", operating.steer, ENDS, answer=shapes.Operation),
    Route(RUN, PUT, "/api/v1/requests/{request_id}/priority", operating.set_priority, ENDS, body=operating.NewPriority,
          answer=shapes.Operation),
    Route(RUN, POST, "/api/v1/apps/{app:path}/quote", quotes.ask, "submit or read", body=quotes.Ask,
          answer=shapes.Quote),
    Route(RUN, GET, "/api/v1/apps/{app:path}/quote", quotes.ask_without_input, "submit or read",
          query={"path": TEXT, "priority": {"enum": ["normal", "low"]}}, answer=shapes.Quote),
    Route(RUN, GET, "/api/v1/apps/{app:path}/series", series.show_series, "read", answer=shapes.Series,
          query={"points": {**NUMBER, "maximum": series.MOST_POINTS}, **SPAN}),
    Route(RUN, GET, "/api/v1/apps/{app:path}", api.show_app, "read", answer=shapes.App),
    Route(RUN, DELETE, "/api/v1/apps/{app:path}", operating.forget, "operate", answer="forgotten"),
    Route(RUN, GET, "/api/v1/keys", key_routes.list_keys, "admin", answer=shapes.Keys),
    Route(RUN, POST, "/api/v1/keys", key_routes.make_key, "admin", body=key_routes.MakeKey, answer=shapes.NewKey),
    Route(RUN, DELETE, "/api/v1/keys/{id}", key_routes.revoke_key, "admin", answer="revoked"),
    Route(RUN, GET, "/api/v1/settings", setting_routes.list_settings, "admin", answer=shapes.Settings),
    Route(RUN, POST, "/api/v1/session", session.sign_in, PUBLIC, body=session.SignIn, answer=shapes.Session),
    Route(RUN, ONLY_GET, "/api/v1/session", session.who, PUBLIC, answer=shapes.Session),
    Route(RUN, DELETE, "/api/v1/session", session.sign_out, PUBLIC, answer=shapes.Session),
    Route(RUN, POST, "/api/v1/snippets", snippets.make_snippets, "read", body=snippets.Wanted, answer=shapes.Snippets),

    # keys
    Route(RUN, POST, "/api/v1/keys/{id}/rotate", key_routes.rotate_key, "admin", body=key_routes.Rotation,
          answer=shapes.NewKey),

    # what was counted
    Route(RUN, GET, "/api/v1/summary", series.show_summary, "read", query=SPAN, answer=shapes.Summaries),
    Route(RUN, GET, "/api/v1/errors", series.list_errors, "read-all", answer=shapes.ErrorGroups,
          query={"app": TEXT, "error_type": TEXT, "limit": PAGED["limit"], **SPAN}),
    Route(RUN, GET, "/api/v1/usage", usage.show_usage, "read", answer=shapes.UsageReport,
          query={"by": {"enum": [*BY]}, "bucket": {"enum": [*BUCKETS]}, "format": {"enum": [*FORMATS]},
                 "key": TEXT, "app": TEXT, **SPAN}),

    # uploads
    Route(REST, POST, "/storage/upload/initiate", storage.initiate, "files", headers=LIFECYCLE, body=storage.Initiate,
          answer="file_url upload_url"),
    Route(REST, POST, "/storage/upload/initiate-multipart", storage.initiate_multipart, "files", headers=LIFECYCLE,
          body=storage.Initiate, answer="file_url upload_url"),
    Route(REST, POST, "/storage/auth/token", storage.token, "files", answer="token token_type base_url expires_at"),
    Route(CDN, POST, "/files/upload", storage.upload, "files", headers={"X-Fal-File-Name": TEXT, **STORED}, body=RAW,
          answer="access_url"),
    Route(CDN, POST, "/files/upload/multipart", storage.begin_multipart, "files",
          headers={"X-Fal-File-Name": TEXT, **LIFECYCLE}, answer="access_url uploadId"),
    Route(CDN, PUT, _UPLOAD, storage.put_upload, PUBLIC, query=TOKEN, headers=STORED, body=RAW, answer=_STORED_FILE),
    Route(CDN, ONLY_GET, _UPLOAD, storage.list_parts, PUBLIC, query=TOKEN, answer=_PARTS),
    Route(CDN, DELETE, _UPLOAD, storage.abort, PUBLIC, query=TOKEN, answer="aborted"),
    Route(CDN, PUT, _UPLOAD + "/{n}", storage.put_part, PUBLIC, query=TOKEN, headers=STORED, body=RAW,
          answer="partNumber etag"),
    Route(CDN, POST, _UPLOAD + "/complete", storage.complete, PUBLIC, query=TOKEN, body=storage.Complete,
          answer=_STORED_FILE),
    Route(CDN, PUT, _FILE_UPLOAD + "/{n}", storage.put_file_part, "files", body=RAW, answer="partNumber etag"),
    Route(CDN, ONLY_GET, _FILE_UPLOAD, storage.list_file_parts, "files", answer=_PARTS),
    Route(CDN, DELETE, _FILE_UPLOAD, storage.abort_file, "files", answer="aborted"),
    Route(CDN, POST, _FILE_UPLOAD + "/complete", storage.complete_file, "files", body=storage.Complete,
          answer=_STORED_FILE),

    # files
    Route(CDN, GET, "/files/{file_id}", files.download, PUBLIC, query={**TOKEN, "download": TEXT}, headers=RANGES),
    Route(CDN, GET, "/files/{file_id}/{name}", files.download, PUBLIC, query={**TOKEN, "download": TEXT},
          headers=RANGES),
    Route(CDN, DELETE, "/files/{file_id}", files.delete, "files", answer="deleted"),
    Route(CDN, DELETE, "/files/{file_id}/{name}", files.delete, "files", answer="deleted"),
    Route(CDN, POST, "/files/{file_id}/{name}/sign", files.sign, "files", body=files.Sign, answer="url expires_at"),
    Route(RUN, ONLY_GET, "/api/v1/files", files.listed, "files", answer="files next_cursor has_more",
          query={"limit": {**NUMBER, "minimum": 1, "maximum": 1000}, "cursor": TEXT}),

    # webhooks
    Route(RUN, GET, "/api/v1/webhooks/deliveries", webhooks.list_deliveries, "read", answer=shapes.Deliveries,
          query={"request_id": TEXT, "state": {"enum": ["owed", "done", "dead"]}, **SPAN, **PAGED}),
    Route(RUN, GET, "/api/v1/webhooks/deliveries/{id}", webhooks.show_delivery, "read",
          answer=shapes.Delivery),
    Route(RUN, POST, "/api/v1/webhooks/deliveries/{id}/replay", webhooks.replay_delivery, ENDS, answer="replayed"),
    Route(RUN, POST, "/api/v1/webhooks/replay", webhooks.replay_deliveries, ENDS, body=webhooks.Replay,
          answer="replayed"),
    Route(RUN, GET, "/api/v1/webhooks/missed", webhooks.missed, "read", answer="items next_cursor",
          query={"url": TEXT, "all": TEXT, "limit": {**NUMBER, "maximum": 500},
                 "cursor": {"type": "string", "pattern": "^[0-9]{1,18}$"}}),
    Route(RUN, POST, "/api/v1/webhooks/listeners", webhooks.begin_listener, "read", body=webhooks.Listen,
          answer="id jwks secrets"),
    Route(RUN, ONLY_GET, "/api/v1/webhooks/listeners/{id}/deliveries", webhooks.fetch_listener, "read", answer="items",
          query={"wait": {"type": "number", "description": "Seconds, at most 60"}}),
    Route(RUN, POST, "/api/v1/webhooks/listeners/{id}/tries", webhooks.report_listener, "read", body=webhooks.Report,
          answer="state due_in"),
    Route(RUN, DELETE, "/api/v1/webhooks/listeners/{id}", webhooks.end_listener, "read", answer="ended"),
    Route(RUN, ONLY_GET, "/api/v1/webhooks/secrets", webhooks.show_secrets, "admin", query={"url": TEXT},
          answer="secrets"),
    Route(RUN, POST, "/api/v1/webhooks/keys", webhooks.rotate_key, "admin", body=webhooks.Rotate,
          answer="id kind origin signs_from"),

    # pages; without a key they offer a sign-in
    Route(RUN, GET, "/", pages.lead_in, PUBLIC, for_people=True),
    Route(RUN, GET, "/ui", pages.show_page, PUBLIC, for_people=True),
    Route(RUN, GET, "/ui/static/{build}/{name}", pages.show_asset, PUBLIC, for_people=True),
    Route(RUN, GET, "/ui/{page:path}", pages.show_page, PUBLIC, for_people=True),
]
# fmt: on


async def endpoint(call: Call) -> Response:
    """What no fixed route took: an endpoint id.

    Raises:
        NotFound, MethodNotAllowed: it cannot be one.
    """
    if call.role in {Role.RUN, Role.QUEUE}:
        if call.method not in {"POST", "GET", "PUT", "DELETE"}:
            raise wrong_method(call.method, call.path, {"GET", "POST", "PUT", "DELETE"})
        return await (requests.run(call) if call.role is Role.RUN else requests.submit(call))
    raise NotFound(f"there is nothing at {call.path}")
