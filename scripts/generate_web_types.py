"""Writes web/src/api/types.ts: what `/api/v1` takes and answers, as TypeScript, from our own OpenAPI description.

Only the part of JSON Schema that the description uses is known: objects, arrays, maps, enums, consts, unions,
references. Anything else is an error here, not `any` there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pondage.gateway.openapi import components
from pondage.gateway.routes import ROUTES

TARGET = Path(__file__).resolve().parent.parent / "web" / "src" / "api" / "types.ts"
HEAD = """// Generated from the OpenAPI description by scripts/generate_web_types.py (`make docs`). Do not edit.
import type { Json } from "../json/lossless.ts";
"""
_SCALARS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def text() -> str:
    """The module."""
    schemas = components(ROUTES)
    return HEAD + "".join(_declared(name, schemas[name]) for name in sorted(schemas))


def _declared(name: str, schema: dict[str, Any]) -> str:
    says = _comment(schema, "")
    if schema.get("type") == "object" and "properties" in schema:
        required = set(schema.get("required", ()))
        members = "".join(
            f"  {member}{'' if member in required else '?'}: {_type(inner)};\n"
            for member, inner in schema["properties"].items()
        )
        return f"\n{says}export interface {name} {{\n{members}}}\n"
    return f"\n{says}export type {name} = {_type(schema)};\n"


def _comment(schema: dict[str, Any], indent: str) -> str:
    first = (schema.get("description") or "").strip().split("\n")[0]
    return f"{indent}/** {first} */\n" if first else ""


def _type(schema: dict[str, Any]) -> str:
    if not set(schema) - {"default", "description", "title"}:
        return "Json"
    if (reference := schema.get("$ref")) is not None:
        return str(reference).rpartition("/")[2]
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " | ".join(dict.fromkeys(_type(option) for option in schema[union]))
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        return _array(schema)
    if kind == "object":
        inner = schema.get("additionalProperties", {})
        return f"Record<string, {_type(inner) if isinstance(inner, dict) else 'Json'}>"
    if kind in _SCALARS:
        return _SCALARS[kind]
    raise SystemExit(f"web types: this schema is not known: {json.dumps(schema)}")


def _array(schema: dict[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(_type(item) for item in schema['prefixItems'])}]"
    inner = _type(schema.get("items") or {})
    return f"({inner})[]" if " | " in inner else f"{inner}[]"


if __name__ == "__main__":
    wanted = text()
    if "--check" in sys.argv:
        if TARGET.read_text("utf-8") != wanted:
            raise SystemExit("web/src/api/types.ts is not what the API says; run: make docs")
    else:
        TARGET.write_text(wanted, "utf-8")
