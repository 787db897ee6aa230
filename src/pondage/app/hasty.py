"""A check that leaves a list at its first fault, for large inputs: Pydantic looks for all of them, and a body of 16 MB
may hold millions, which takes longer than a lease and gigabytes of memory."""

from __future__ import annotations

import logging
from typing import Any

import pydantic
from pydantic_core import SchemaValidator

log = logging.getLogger("pondage.app")

LARGE = 256 * 1024
"""Bytes of an input from which on it is checked so."""

_MANY = frozenset({"list", "set", "frozenset", "tuple", "dict"})
"""Kinds of Pydantic's own schema that have many members."""
_NO_SCHEMA = frozenset({"cls", "metadata", "serialization", "ref", "schema_ref", "config"})


def hasty(adapter: pydantic.TypeAdapter[Any]) -> pydantic.TypeAdapter[Any] | SchemaValidator:
    """The same check, which reports one fault of each list, set, tuple and dict; the given one where that cannot be."""
    try:
        return SchemaValidator(_copied(adapter.core_schema), None, False)  # False: no check that a class has compiled
    except Exception as error:
        log.debug("large inputs are checked for every fault: %s", error)
        return adapter


def _copied(schema: Any) -> Any:
    if isinstance(schema, dict):
        copy = {key: value if key in _NO_SCHEMA else _copied(value) for key, value in schema.items()}
        if isinstance(kind := copy.get("type"), str) and kind in _MANY:
            copy["fail_fast"] = True
        return copy
    return [_copied(member) for member in schema] if isinstance(schema, list) else schema
