"""What a route is, and the words by which routes describe their parameters and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from pondage.gateway.call import Handler, Role

Schema = dict[str, Any]

PUBLIC: Final = ""
"""The scope of a route that needs no key: it tells nothing, or its URL carries a secret of its own."""
RAW: Final = "raw"
"""A body that is taken as it comes."""
NOTHING: Mapping[str, Schema] = {}

Answer = type[msgspec.Struct] | str | dict[str, Any] | None
"""What a route answers: a shape, the names of members that its JSON always has, content by media type, or None: an
output or a file, which is what it is."""


class Route(NamedTuple):
    """One route: who answers which path, what a key needs for it, and what OpenAPI says of it.

    `{name}` in `pattern` is one segment, `{name:path}` the rest; it is matched without its trailing slash. What is
    `for_people` is a page, which OpenAPI leaves out.
    """

    role: Role
    methods: tuple[str, ...]
    pattern: str
    handler: Handler
    scope: str
    query: Mapping[str, Schema] = NOTHING
    headers: Mapping[str, Schema] = NOTHING
    body: type[msgspec.Struct] | str | None = None
    answer: Answer = None
    for_people: bool = False


# ---- the words of parameters

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer", "minimum": 0}
MOMENT: Schema = {"type": "number", "description": "Seconds since 1970"}
FLAG: Schema = {"type": "string", "enum": ["0", "1"]}
SECONDS: Schema = {"type": "number", "exclusiveMinimum": 0.1, "exclusiveMaximum": 1e9}
SPAN: Mapping[str, Schema] = {"since": MOMENT, "until": MOMENT}
PAGED: Mapping[str, Schema] = {"limit": {**NUMBER, "maximum": 1000}, "cursor": TEXT}
TOKEN: Mapping[str, Schema] = {"token": {"type": "string", "description": "The secret that the URL came with"}}
LOGS: Mapping[str, Schema] = {"logs": {"type": "string", "enum": ["0", "1", "false", "true"]}}
STATES: Schema = {"enum": ["queued", "running", "completed", "IN_QUEUE", "IN_PROGRESS", "COMPLETED"]}
BY = ("key,app", "app,key", "key", "app", "none")
"""What usage may be added up by."""
BUCKETS = ("day", "month", "all")
FORMATS = ("json", "csv")
OUTCOMES: Schema = {"enum": ["ok", "error", "cancelled"]}

PREFER: Mapping[str, Schema] = {"Prefer": {"type": "string", "description": "wait=SECONDS (RFC 7240)"}}
LAST: Mapping[str, Schema] = {"Last-Event-ID": {"type": "string", "description": "Where the reader left"}}
LEAVING: Mapping[str, Schema] = {
    "Pondage-On-Disconnect": {
        "type": "string", "enum": ["cancel", "keep"],
        "description": "Whether hanging up on a direct call or its stream cancels the request",
    },
}  # fmt: skip
LIFECYCLE: Mapping[str, Schema] = {"X-Fal-Object-Lifecycle": TEXT}
STORED: Mapping[str, Schema] = {**LIFECYCLE, "Pondage-Sha256": TEXT, "Content-MD5": TEXT}
RANGES: Mapping[str, Schema] = {name: TEXT for name in ("Range", "If-Range", "If-None-Match", "If-Modified-Since")}
EVENTS: dict[str, Any] = {"text/event-stream": {}}
