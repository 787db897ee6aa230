"""From a caller's JSON to the arguments of a call. The checks of the types are compiled once.

One parameter that takes an object (a model, a dataclass, a TypedDict, a dict), or that `Body` makes the whole body,
receives the whole input. Otherwise each parameter is a member of the input's object; a list or a medium that is alone
may be sent bare as well, as FastAPI has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pydantic

from pondage.app.file import File
from pondage.app.hasty import LARGE, hasty
from pondage.app.outputs import LenientSchema, schemas_in
from pondage.app.parameters import Parameter, has_parts, model_of, takes_object

_EMPTY = re.compile(rb"[ \t\r\n]*(?:\{[ \t\r\n]*\}[ \t\r\n]*)?")
"""An input that says nothing, in any spelling."""


class Input:
    """The check of an input. `parse` makes the keyword arguments of the call from JSON, `take` from a Python value.

    Args:
        message: a parameter without a type is the whole input, as a message of a session is.

    Attributes:
        whole: the parameter that is the whole input, if there is one.
        media: whether its types have a place for a picture or a file.
        schema: the JSON schema, where the types say one.
    """

    def __init__(self, parameters: Sequence[Parameter], title: str, *, message: bool = False) -> None:
        self.whole: str | None = None
        self.schema: dict[str, object] | None = None
        self._adapter: pydantic.TypeAdapter[Any] | None = None
        self._members: pydantic.TypeAdapter[Any] | None = None
        self._fields: tuple[tuple[str, str], ...] = ()
        self._alone: pydantic.TypeAdapter[Any] | None = None
        self._hasty: tuple[Any, Any, Any] | None = None
        self._default: Parameter | None = None
        whole = _whole_of(parameters, message)
        members = [parameter for parameter in parameters if parameter is not whole]
        if whole is not None:
            self.whole = whole.name
            self._default = whole if whole.optional else None
            self._adapter = pydantic.TypeAdapter(whole.type())
            if whole.base is not Any:
                self.schema = self._adapter.json_schema(schema_generator=LenientSchema)
        if len(parameters) == 1 and members and may_be_whole(members[0]):
            self._alone = pydantic.TypeAdapter(members[0].type())
        if members:
            self._members = pydantic.TypeAdapter(model_of(members, title))
            self._fields = tuple((f"p{i}_", parameter.name) for i, parameter in enumerate(members))
            described = self._members.json_schema(schema_generator=LenientSchema)
            self.schema = described if whole is None else _joined(self.schema, described)
        self._small = (self._adapter, self._members, self._alone)
        self.media = any(
            _names_media(adapter.core_schema) for adapter in (self._adapter, self._members) if adapter is not None
        )

    def parse(self, data: bytes) -> dict[str, Any]:
        """The arguments of the call.

        Raises:
            pydantic.ValidationError: the input does not fit.
        """
        arguments: dict[str, Any] = {}
        adapter, members, alone = self._small if len(data) < LARGE else self._for_large()
        if self.whole is not None and adapter is not None:
            if self._default is not None and _EMPTY.fullmatch(data):
                arguments[self.whole] = self._default.default()
            else:
                arguments[self.whole] = adapter.validate_json(data or b"{}")
        if members is not None:
            try:
                made = members.validate_json(data or b"{}")
            except pydantic.ValidationError as error:
                if alone is None:
                    raise
                arguments[self._fields[0][1]] = _as_whole(alone.validate_json, data, error)
            else:
                self._take_members(arguments, made)
        return arguments

    def _for_large(self) -> tuple[Any, Any, Any]:
        """The checks of a large input, made when the first one comes."""
        if self._hasty is None:
            adapter, members, alone = self._small
            self._hasty = (adapter and hasty(adapter), members and hasty(members), alone and hasty(alone))
        return self._hasty

    def arguments(self, value: Any) -> dict[str, Any]:
        """The arguments of the call from a Python value, as a message of a session has it.

        Raises:
            pydantic.ValidationError: the message does not fit.
        """
        arguments: dict[str, Any] = {}
        if self.whole is not None and self._adapter is not None:
            if self._default is not None and value == {}:
                arguments[self.whole] = self._default.default()
            else:
                arguments[self.whole] = self._adapter.validate_python(value)
        if self._members is not None:
            try:
                made = self._members.validate_python(value)
            except pydantic.ValidationError as error:
                if self._alone is None:
                    raise
                arguments[self._fields[0][1]] = _as_whole(self._alone.validate_python, value, error)
            else:
                self._take_members(arguments, made)
        return arguments

    def take(self, value: Any) -> Any:
        """One message of an iterator, as the method's parameter yields it.

        Raises:
            pydantic.ValidationError: the message does not fit.
        """
        return value if self._adapter is None else self._adapter.validate_python(value)

    def _take_members(self, arguments: dict[str, Any], model: Any) -> None:
        for field, name in self._fields:
            arguments[name] = getattr(model, field)


def _whole_of(parameters: Sequence[Parameter], message: bool) -> Parameter | None:
    """The parameter that is the whole input. What `Query` marks is a member beside it: a queue keeps one input."""
    bodies = [parameter for parameter in parameters if parameter.kind != "query"] or list(parameters)
    if len(bodies) != 1:
        return None
    (only,) = bodies
    if only.kind == "body":
        return None if only.embed else only
    if only.base is Any:
        return only if message else None
    return only if takes_object(only.base) else None


def may_be_whole(only: Parameter) -> bool:
    """Whether FastAPI has the only parameter, a member here, as the whole body: a list, a medium, a choice of such."""
    return only.kind == "" and has_parts(only.base)


def _as_whole(validate: Callable[[Any], Any], value: Any, error: pydantic.ValidationError) -> Any:
    """The only parameter's value from an input that is no object with that member.

    Raises:
        pydantic.ValidationError: it is neither; what that says who has not sent an object is about the value.
    """
    try:
        return validate(value)
    except pydantic.ValidationError as other:
        no_object = (
            error.errors(include_url=False, include_input=False, include_context=False)[0]["type"] == "model_type"
        )
        raise (other if no_object else error) from None


def _joined(whole: dict[str, object] | None, members: dict[str, Any]) -> dict[str, object] | None:
    """The schema of an object with the members that stand beside it."""
    if whole is None or not isinstance(properties := whole.get("properties"), dict):
        return whole
    joined: dict[str, Any] = {**whole, "properties": {**properties, **members["properties"]}}
    for key in ("required", "$defs"):
        first, more = whole.get(key), members.get(key)
        if isinstance(first, list) or isinstance(more, list):
            joined[key] = [*(first or []), *(more or [])]  # type: ignore[misc]
        elif first or more:
            joined[key] = {**(first or {}), **(more or {})}  # type: ignore[dict-item]
    return joined


def _names_media(schema: Any) -> bool:
    """Whether a class of media stands anywhere in Pydantic's own schema of a type."""
    return any(isinstance(cls := part.get("cls"), type) and issubclass(cls, File) for part in schemas_in(schema))
