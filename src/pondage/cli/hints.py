"""The commands that `pondage serve` offers for pasting: they name this server, and call an endpoint that is there."""

from __future__ import annotations

import shlex
import socket
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from pondage.server import Server
    from pondage.wire.frames import AppInfo

_KINDS = ("call", "stream")
"""The kinds of endpoints that `pondage call` calls."""


def server_flag(server: Server) -> str:
    """` --server URL`, where a command in another folder would not find the server without it."""
    return "" if server.url == "http://127.0.0.1:8000" else f" --server {server.url}"


def lan_url(server: Server) -> str | None:
    """The address for other machines; None where only this machine is let in, or there is no network."""
    host = server.settings.host
    if host not in ("0.0.0.0", "::", ""):  # noqa: S104 - compared only
        return None
    family, anywhere = (socket.AF_INET6, "2001:db8::1") if host == "::" else (socket.AF_INET, "192.0.2.1")
    try:
        # Connecting a datagram socket sends nothing: the system only chooses the address that it would send from.
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((anywhere, 9))
            own = str(probe.getsockname()[0])
    except OSError:
        return None
    scheme = server.url.partition("://")[0]
    return f"{scheme}://{f'[{own}]' if ':' in own else own}:{server.port}"


def example_call(name: str, info: AppInfo) -> str:
    """`pondage call` for the app's first endpoint that takes calls, with an input that fits its type."""
    for endpoint in info.endpoints:
        if endpoint.kind in _KINDS:
            path = "" if endpoint.path == "/" else endpoint.path
            schema = endpoint.input_schema or {}
            fields = [_field(key, value, schema) for key, value in _required(schema)]
            flag = " --stream" if endpoint.kind == "stream" else ""
            return " ".join(["pondage call", name + path, *map(shlex.quote, fields)]) + flag
    return f"pondage env --endpoint {name}"


def _required(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    fields = schema.get("properties") or {}
    return [(name, fields[name]) for name in schema.get("required") or [] if isinstance(fields.get(name), dict)]


def _field(name: str, field: dict[str, Any], schema: dict[str, Any]) -> str:
    value = _example(field, schema)
    if isinstance(value, str):
        return f"{name}={value}"
    return f"{name}:={msgspec.json.encode(value).decode()}"


def _example(field: dict[str, Any], schema: dict[str, Any]) -> Any:
    """A value of the field's type: what the schema offers, else the plainest one."""
    if "$ref" in field:
        field = (schema.get("$defs") or {}).get(str(field["$ref"]).rpartition("/")[2]) or {}
    for key in ("default", "const"):
        if key in field:
            return field[key]
    for key in ("examples", "enum"):
        if field.get(key):
            return field[key][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if field.get(key):
            return _example(field[key][0], schema)
    if field.get("type") == "object":
        return {key: _example(value, {**schema, **field}) for key, value in _required(field)}
    if field.get("type") == "array":
        return [_example(field.get("items") or {}, schema)] * int(field.get("minItems", 0))
    plain = {"integer": field.get("minimum", 1), "number": field.get("minimum", 1.0), "boolean": True, "null": None}
    return plain.get(str(field.get("type")), "hello")
