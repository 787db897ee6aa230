"""Whether an endpoint has the fields that were typed: a name that it does not know is a typing error, said at once.

The server would not say it: most types ignore what they do not know. What cannot be found out is not checked.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pondage.cli.failures import BadArguments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pondage.cli.reach import Api

_ROOM = 110
"""Characters of the line that lists the fields."""


class UnknownField(BadArguments):
    """The endpoint has no such field."""

    code = "input.unknown_field"


def check(api: Api, endpoint: str, names: Iterable[str]) -> None:
    """Compare the names with what the server says of the endpoint.

    Raises:
        UnknownField: one of them is no field of it.
    """
    from pondage.client.errors import ClientError

    if api.cloud:
        return
    try:
        schema = _input_schema(api.get("/apps")["items"], endpoint)
    except (ClientError, ValueError, LookupError, TypeError):
        return  # no right to read, or no server of ours: the call itself will say what is wrong
    fields = (schema or {}).get("properties")
    if schema is None or not isinstance(fields, dict) or schema.get("additionalProperties"):
        return
    for name in names:
        if name not in fields:
            near = get_close_matches(name, fields, 1)
            meant = f' Did you mean "{near[0]}"?' if near else ""
            raise UnknownField(f'{endpoint} has no field "{name}".{meant}', _listed(schema, fields))


def _input_schema(apps: list[dict[str, Any]], endpoint: str) -> dict[str, Any] | None:
    owner, alias, *rest = endpoint.strip("/").split("/")
    path = "/" + "/".join(rest)
    for app in apps:
        if app["name"] == f"{owner}/{alias}":
            found = {one["path"]: one for one in app["info"]["endpoints"]}
            # `…/stream` also addresses the generator of the path before it.
            one = found.get(path) or found.get(path.removesuffix("/stream") or "/")
            schema: dict[str, Any] | None = one["input_schema"] if one else None
            return schema
    return None


def _listed(schema: dict[str, Any], fields: dict[str, Any]) -> str:
    """The fields in one line: name, type, and whether it is required or what it is without."""
    required = schema.get("required") or []
    shown = []
    for name, field in fields.items():
        kind = field.get("type") if isinstance(field, dict) else None
        about = [str(kind)] if isinstance(kind, str) else []
        if name in required:
            about.append("required")
        default = field.get("default") if isinstance(field, dict) else None
        text = name + (f" ({', '.join(about)})" if about else "")
        shown.append(text if default is None else f"{text} = {default!r}")
    line = ", ".join(shown)
    return "fields: " + (line if len(line) <= _ROOM else line[: _ROOM - 1] + "…")
