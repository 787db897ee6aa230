"""fal's models and fields: what they say of an input's members to people who fill in a form (PROTOCOL 11.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic import Field as Field
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from pondage.toolkit.fields import AudioField as AudioField
from pondage.toolkit.fields import FileField as FileField
from pondage.toolkit.fields import ImageField as ImageField
from pondage.toolkit.fields import VideoField as VideoField


class FalBaseModel(BaseModel):
    """A model whose schema has its members in a chosen order, and marks some as not for people.

    Attributes:
        FIELD_ORDERS: names of members that come first.
        SCHEMA_IGNORES: names of members that forms do not show; `Hidden` says the same of one.
    """

    FIELD_ORDERS: ClassVar[list[str]] = []
    SCHEMA_IGNORES: ClassVar[set[str]] = set()

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        reference = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        members: dict[str, Any] = schema.get("properties", {})
        for name in cls.SCHEMA_IGNORES & members.keys():
            members[name].setdefault("ui", {})["hidden"] = True
        first = [name for name in cls.FIELD_ORDERS if name in members]
        schema["properties"] = {name: members[name] for name in dict.fromkeys([*first, *members])}
        return reference


class _Unseen:
    """Says in the schema of a member that forms do not show it."""

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        schema.setdefault("ui", {})["hidden"] = True
        return schema


def _hidden(field: Any) -> Any:
    """Mark a field as not for people: `debug: bool = Hidden(Field(default=False))`.

    Raises:
        TypeError: it is no field. ValueError: it has no default, so nobody could leave it out.
    """
    if not isinstance(field, FieldInfo):
        raise TypeError(f"Hidden takes what Field(…) returned, got {field!r}")
    if field.is_required():
        raise ValueError("a hidden field needs a default")
    field.metadata.append(_Unseen())
    return field


Hidden: Callable[[Any], Any] = _hidden
