"""From an HTTP call to a request of the queue: which endpoint it names, and what its headers and body say."""

from __future__ import annotations

import difflib
import hashlib
import re
from typing import NamedTuple
from urllib.parse import unquote

import msgspec

from pondage.errors import Forbidden, InvalidInput, NotFound
from pondage.files.interface import file_ids
from pondage.files.names import LIFECYCLE_HEADERS, read_lifecycle
from pondage.gateway import times
from pondage.gateway.call import Call, Caller
from pondage.queue.interface import Bound, NewRequest
from pondage.wire.canonical import canonical
from pondage.wire.finite import odd_in_text
from pondage.wire.frames import AppInfo, Mode
from pondage.wire.ids import EndpointId, legacy_endpoint, new_request_id, parse_endpoint

_NOT_FORWARDED = frozenset(
    {
        "host", "content-length", "content-type", "accept", "accept-encoding", "accept-language", "user-agent",
        "connection", "authorization", "proxy-authorization", "cookie", "transfer-encoding", "upgrade", "te",
        "trailer", "keep-alive", "expect", "idempotency-key", "prefer", "origin", "referer", "x-fal-target-url",
        "x-fal-queue-priority", "cache-control", "pragma", "last-event-id", "sec-websocket-key",
        "sec-websocket-version", "sec-websocket-extensions", "sec-websocket-protocol",
    }
)  # fmt: skip
"""Headers that are the gateway's business, not the app's."""

HEALTH = "/health"
"""Every app answers here what its `health()` says, unless it has an endpoint of its own there (PROTOCOL 11.2)."""

ON_FAULT = "pondage-on-fault"
"""Whether the request waits for an app that cannot run, or fails after `fault_patience`."""

_MOST_FILES = 10_000

_check_json = msgspec.json.Decoder(msgspec.Raw).decode
_decode_json = msgspec.json.Decoder().decode
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d+)", re.IGNORECASE)


class Target(NamedTuple):
    """What an endpoint id names: the app, the path of its endpoint, and how that one is to be executed."""

    endpoint: EndpointId
    info: AppInfo
    path: str
    mode: Mode
    on_disconnect: str | None = None


def find_target(call: Call, text: str, *, want: Mode) -> Target:
    """The endpoint behind the path of a call.

    An exact path wins; otherwise a final `/stream` addresses the generator of the path before it, a final `/realtime`
    or `/ws` its realtime endpoint. `want` is `call` for run and submit, which take a generator as well.

    Raises:
        NotFound: unknown app or path, or an app that the caller's key or token is not for; names near ones.
    """
    try:
        endpoint = parse_endpoint(text)
    except ValueError as error:
        raise NotFound(str(error)) from None
    infos = call.rooms.fleet.infos
    info = infos.get(endpoint.app)
    if info is None and (legacy := legacy_endpoint(text)) is not None:
        endpoint, info = legacy, infos.get(legacy.app)
    if info is None or not call.caller.may_call(endpoint.app):
        raise _no_app(call, endpoint.app)
    path = endpoint.path.rstrip("/") or "/"
    if not info.endpoints:  # never set up yet: the runner will judge the path
        guess: Mode = want
        if want == "call" and path.endswith("/stream"):
            guess = "stream"
        return Target(endpoint, info, path, guess)
    kinds = {known.path: known for known in info.endpoints}
    if (known := kinds.get(path)) is not None:
        if known.kind == "realtime" and want != "session":
            raise NotFound(f"{endpoint} is a realtime endpoint: open a WebSocket to it")
        if known.kind != "realtime" and want == "session":
            known = None
        else:
            stream = known.kind == "stream"
            mode: Mode = "session" if known.kind == "realtime" else "stream" if stream else "call"
            return Target(endpoint, info, path, mode, known.on_disconnect)
    if path == HEALTH and want == "call":
        return Target(endpoint, info, path, "call")
    head, _, tail = path.rpartition("/")
    before = kinds.get(head or "/")
    if want != "session" and tail == "stream" and before is not None and before.kind == "stream":
        return Target(endpoint, info, before.path, "stream", before.on_disconnect)
    if want == "session" and tail in {"realtime", "ws"}:
        for candidate in (path, head or "/", f"{head}/realtime", f"{head}/ws"):
            if (live := kinds.get(candidate)) is not None and live.kind == "realtime":
                return Target(endpoint, info, live.path, "session", live.on_disconnect)
    near = difflib.get_close_matches(path, list(kinds), n=3, cutoff=0.3) or sorted(kinds)[:5]
    raise NotFound(f"Path {path} not found; {endpoint.app} has {', '.join(near)}", extra={"near": near})


def _no_app(call: Call, name: str) -> NotFound:
    """An app that is not there, or not for this caller: who may not call it does not learn which of both."""
    if (apps := call.rooms.apps_of(call.caller)) is not None:
        only = f"; this key or token is for {', '.join(apps) or 'no app of this server'}"
        return NotFound(f"Application {name!r} not found{only}", extra={"near": []})
    near = difflib.get_close_matches(name, call.rooms.fleet.app_names(), n=3, cutoff=0.4)
    hint = f"; near: {', '.join(near)}" if near else ""
    return NotFound(f"Application {name!r} not found{hint}", extra={"near": near})


async def read_input(call: Call) -> bytes:
    """The input of a submit or run: the JSON body, `{}` where there is none, or the query of a GET.

    Raises:
        InvalidInput: the body is not JSON. TooLarge: it is over the limit.
        Forbidden: a GET that a page could have sent, to a server that asks for no key.
    """
    if call.method == "GET":
        if call.rooms.access.open and not _is_a_programs(call):
            raise Forbidden(
                "a server that asks for no key runs nothing for a GET, which any page can send; use POST, or send an "
                "Authorization header (any will do)"
            )
        return msgspec.json.encode({k: v for k, v in call.query.items() if not k.startswith("fal_")})
    return check_input(await call.body(call.rooms.settings.max_input_bytes))


def _is_a_programs(call: Call) -> bool:
    """Whether a header came along that no page can send to us without asking first."""
    return any(name == "authorization" or name.startswith(("x-fal-", "pondage-")) for name in call.headers)


def check_input(body: bytes) -> bytes:
    """A body as an input; an empty one is `{}`.

    Raises:
        InvalidInput: it is not JSON.
    """
    if not body or body.isspace():
        return b"{}"
    try:
        _check_json(body)
        if not body.isascii():
            body.decode()
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        if (odd := odd_in_text(body)) is not None:
            raise InvalidInput.field(["body", *odd.place], f"{odd.number} is no JSON", "json_invalid") from None
        raise InvalidInput.field(["body"], f"JSON decode error: {error}", "json_invalid") from None
    return body


def forwarded_headers(call: Call) -> dict[str, str]:
    """The caller's headers that the app sees, names in lower case."""
    return {name: value for name, value in call.headers.items() if name not in _NOT_FORWARDED}


def new_request(call: Call, target: Target, body: bytes, *, path: str | None = None, bound: Bound = "") -> NewRequest:
    """The request that a call asks for.

    Raises:
        InvalidInput: a header or query parameter does not fit; the message names it.
    """
    settings = call.rooms.settings
    headers = call.headers
    forwarded = forwarded_headers(call)
    for name in LIFECYCLE_HEADERS:
        if (lifecycle := headers.get(name)) is not None:
            read_lifecycle(lifecycle, loc=name)  # what the app stores would fail, long after
    start_timeout = _seconds(call, "x-fal-request-start-timeout")
    if start_timeout is None:
        start_timeout = _seconds(call, "x-fal-request-timeout")
    if start_timeout is None:
        start_timeout = target.info.request_start_timeout or settings.start_timeout
    key = headers.get("idempotency-key")
    fingerprint = b""
    if key is not None:
        if not key or len(key) > 256:
            raise InvalidInput.field(["header", "Idempotency-Key"], "must have 1 to 256 characters")
        # What is not kept cannot be compared later: its one spelling is hashed.
        spelt = canonical(body) if headers.get("x-fal-store-io", "1").strip() == "0" else body
        fingerprint = hashlib.sha256(f"{target.endpoint.app}\n{path or target.path}\n".encode() + spelt).digest()
    on_fault = headers.get(ON_FAULT)
    if on_fault is not None and on_fault not in {"wait", "fail"}:
        raise InvalidInput.field(["header", "Pondage-On-Fault"], f"{on_fault!r} is neither 'wait' nor 'fail'")
    webhook = _webhook(call)
    longest = call.query.get("fal_max_queue_length")
    if longest is not None and not (longest.isascii() and longest.isdigit() and len(longest) < 16):
        raise InvalidInput.field(["query", "fal_max_queue_length"], f"{longest!r} is not a number of requests")
    events: tuple[str, ...] = ()
    if webhook or "pondage-webhook-events" in headers:
        webhook, events = call.rooms.webhooks.check(webhook or None, headers.get("pondage-webhook-events"))
    call.request_id = request_id = call.request_id or new_request_id()
    app, caller, now = target.endpoint.app, call.caller.key_id, call.rooms.clock.wall()
    priority = call.caller.highest
    if (word := headers.get("x-fal-queue-priority")) is not None:
        priority = _priority(call.caller, word.strip().lower())
    path = path or target.path
    when = times.read(call, target.info, now)
    return NewRequest(
        id=request_id,
        app=app,
        path=path,
        mode=target.mode,
        input=body,
        submitted_at=now,
        headers=forwarded,
        base_url=call.origins.cdn,
        caller=caller,
        agent=headers.get("user-agent", "")[:200],
        priority=priority,
        start_timeout=start_timeout,
        run_timeout=target.info.request_timeout or settings.run_timeout,
        webhook=webhook,
        webhook_events=events,
        idempotency_key=key if key is None or not call.caller.subject else f"{call.caller.subject}\n{key}",
        fingerprint=fingerprint,
        max_queue_length=min(int(longest), settings.max_queue_length) if longest else settings.max_queue_length,
        files=_files(body),
        store_io=headers.get("x-fal-store-io", "1").strip() != "0",
        subject=subject_of(call.caller),
        start_at=when.start_at,
        deadline=when.deadline,
        payload_ttl=when.payload_ttl,
        bound=bound,
    )


def _files(body: bytes) -> tuple[str, ...]:
    """The files that an input names: each is a row of the queue's, so they have a bound."""
    named = file_ids(body, _MOST_FILES)
    if len(named) > _MOST_FILES:
        raise InvalidInput.field(["body"], f"names more than {_MOST_FILES} files of this server, the most that one may")
    return named


def _priority(caller: Caller, word: str) -> int:
    if word == "low":
        return 1
    if caller.highest > 0:
        raise Forbidden(f"X-Fal-Queue-Priority {word!r} is above this key's ceiling, 'low'")
    return 0


def _webhook(call: Call) -> str | None:
    """The webhook's URL. A bare `+` in it is one, as clients write it that encode nothing; no URL holds a space."""
    url = call.query.get("fal_webhook")
    if url and " " in url:
        for part in call.scope["query_string"].decode("latin-1").split("&"):
            if part.startswith("fal_webhook="):
                url = unquote(part.removeprefix("fal_webhook="))
    return url


def subject_of(caller: Caller) -> str | None:
    """Whom a request of this caller is for: see `NewRequest.subject`."""
    return (caller.subject or "") if caller.by_token else None


def cancels_on_leave(call: Call, declared: str | None = None, default: str = "keep") -> bool:
    """Whether a request is cancelled when its caller hangs up: as the call says, or else as the endpoint declares, or
    else by `default`.

    Raises:
        InvalidInput: the call says something else.
    """
    said = call.headers.get("pondage-on-disconnect", declared or default)
    if said not in {"cancel", "keep"}:
        raise InvalidInput.field(["header", "Pondage-On-Disconnect"], f"{said!r} is neither 'cancel' nor 'keep'")
    return said == "cancel"


def _seconds(call: Call, name: str) -> float | None:
    text = call.headers.get(name)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not 0.1 < seconds < 1e9:
        raise InvalidInput.field(["header", name], f"{text!r} is not a number of seconds above 0.1")
    return seconds


def wait_preference(call: Call) -> float | None:
    """The seconds of `Prefer: wait=…` (RFC 7240), at most the server's limit; None without it."""
    prefer = call.headers.get("prefer")
    if not prefer or (found := _WAIT.search(prefer)) is None:
        return None
    return min(float(found[1]), call.rooms.settings.max_wait)
