"""What stands in a method's signature, read as FastAPI reads it: `Field`, `Query`, `Body`, `Header`, as a default or in
`Annotated`. FastAPI's own are known by where they come from, so that an app without them needs no FastAPI.
"""

from __future__ import annotations

import copy
import inspect
import typing
from collections.abc import Mapping, Sequence, Set
from dataclasses import is_dataclass
from types import UnionType
from typing import Any

import pydantic
from pydantic.fields import FieldInfo

from pondage.app.exceptions import FieldException
from pondage.app.file import File

_REFUSED = {
    "Path": "an endpoint's path has no parameters; make it a member of the input",
    "Cookie": "cookies do not reach an app; make it a member of the input",
    "Form": "inputs are JSON; make it a member of the input",
    "File": "inputs are JSON; take a pondage.File, which comes by its URL",
    "UploadFile": "inputs are JSON; take a pondage.File, which comes by its URL",
    "Depends": "nothing is injected; call it in the method",
    "Security": "nothing is injected; call it in the method",
    "BackgroundTasks": "an answer is final when the method returns; do the work before it, or submit another request",
    "SecurityScopes": "nothing is injected",
    "WebSocket": "sessions are made with @pondage.realtime",
    "HTTPConnection": "ask for a Request",
}
"""FastAPI's parameters that there can be no value for, and what to do instead."""
_LISTS = (list, set, tuple, frozenset)
_WEB = frozenset({"fastapi", "starlette"})


class Parameter:
    """One parameter of a method that is called with the input.

    Attributes:
        name: as the method has it.
        base: its type without the words of `Annotated`.
        kind: "body", "query" or "header" where FastAPI's marker says so, else "".
        embed: whether `Body(embed=True)` says that it is a member of the input, and not the whole.
    """

    def __init__(self, name: str, hint: Any, default: Any, method: str) -> None:
        self.name = name
        hint = getattr(hint, "__value__", hint)  # of `type X = …`
        base, words = (hint, ()) if typing.get_origin(hint) is not typing.Annotated else _taken_apart(hint)
        said = [*words, default] if isinstance(default, FieldInfo) or _is_webs(default) else [*words]
        for word in [base, *said]:
            _refuse(method, name, word)
        marker = next((word for word in reversed(said) if isinstance(word, FieldInfo) and _is_webs(word)), None)
        kind = type(marker).__name__.lower() if marker is not None else ""
        self.kind = kind if kind in {"query", "header", "body"} else ""
        self.embed = bool(getattr(marker, "embed", False))
        self._name_of_header = getattr(marker, "convert_underscores", False)
        self._default = default
        self.base = base
        self._words = [part for word in words for part in _pydantics(word)]
        if isinstance(default, FieldInfo):
            self._words += _pydantics(default)
            self._default = inspect.Parameter.empty if default.is_required() else default

    @property
    def alias(self) -> str:
        """What the parameter is called in the input, or among the headers, unless the author says otherwise."""
        return self.name.replace("_", "-") if self._name_of_header else self.name

    @property
    def optional(self) -> bool:
        """Whether it may be left out."""
        return self._default is not inspect.Parameter.empty or self._defaulting() is not None

    def default(self) -> Any:
        """A fresh copy of its default."""
        if (word := self._defaulting()) is not None:
            return word.get_default(call_default_factory=True, validated_data={})
        return copy.deepcopy(self._default)

    def _defaulting(self) -> FieldInfo | None:
        """The field that says the default, where one does."""
        if self._default is not inspect.Parameter.empty and not isinstance(self._default, FieldInfo):
            return None
        for word in (self._default, *reversed(self._words)):
            if isinstance(word, FieldInfo) and not word.is_required():
                return word
        return None

    def type(self) -> Any:
        """The whole type with every constraint, for an input that is this parameter alone."""
        words = [word for word in self._words if not isinstance(word, FieldInfo)]
        words += [part for word in self._words if isinstance(word, FieldInfo) for part in word.metadata]
        return _annotated(self.base, words)

    def field(self) -> tuple[Any, Any]:
        """Its type and its default as a member of a model, under its alias."""
        ours = pydantic.Field(alias=self.alias, title=self.name.replace("_", " ").title())
        hint = _annotated(self.base, [ours, *self._words])
        if (word := self._defaulting()) is not None:
            made = word.default_factory
            return hint, word.default if made is None else pydantic.Field(default_factory=made)
        return hint, ... if self._default is inspect.Parameter.empty else self._default


class HeaderError(FieldException):
    """A header of the caller's that does not fit: 422 with its place."""

    code: typing.ClassVar[str] = "app.header"

    def __init__(self, error: pydantic.ValidationError, names: Mapping[str, str] | None = None) -> None:
        """`names`: what to call a member of a model."""
        self._found = error.errors(include_url=False, include_context=False, include_input=False)
        self._names = names or {}
        first = self._found[0]
        super().__init__(".".join(map(str, self._place(first["loc"]))), first["msg"], 422, first["type"])

    def _place(self, loc: tuple[int | str, ...]) -> list[int | str]:
        return [self._names.get(str(part), part) for part in loc[:1]] + [*loc[1:]]

    def entries(self) -> list[dict[str, Any]]:
        return [
            {"loc": ["header", *self._place(found["loc"])], "msg": found["msg"], "type": found["type"]}
            for found in self._found
        ]


class Headers:
    """The parameters of a method that are headers of the request."""

    def __init__(self, parameters: list[Parameter], title: str) -> None:
        self.names = tuple(parameter.name for parameter in parameters)
        self._whole = {parameter.name: _HeaderModel(parameter) for parameter in parameters if _is_model(parameter.base)}
        single = [parameter for parameter in parameters if parameter.name not in self._whole]
        self._single = tuple((f"p{i}_", parameter.name) for i, parameter in enumerate(single))
        self._model = model_of(single, title)
        self._sought = [(alias, alias.lower(), many) for alias, many in _aliases(self._model)]

    def take(self, headers: Mapping[str, str]) -> dict[str, Any]:
        """The arguments, from headers with names in lower case.

        Raises:
            HeaderError: one is missing or does not fit.
        """
        try:
            made = self._model.model_validate(_found(self._sought, headers))
            taken = {name: getattr(made, field) for field, name in self._single}
            return taken | {name: model.take(headers) for name, model in self._whole.items()}
        except pydantic.ValidationError as error:
            raise HeaderError(error) from error


class _HeaderModel:
    """A parameter whose members are headers, each by its alias or by its name with `-`."""

    def __init__(self, parameter: Parameter) -> None:
        fields = parameter.base.model_fields
        aliases = _aliases(parameter.base)
        self._adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(parameter.type())
        self._names = {alias: alias.replace("_", "-") if alias in fields else alias for alias, _ in aliases}
        self._sought = [(alias, self._names[alias].lower(), many) for alias, many in aliases]

    def take(self, headers: Mapping[str, str]) -> Any:
        try:
            return self._adapter.validate_python(_found(self._sought, headers))
        except pydantic.ValidationError as error:
            raise HeaderError(error, self._names) from error


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, pydantic.BaseModel)


def _aliases(model: type[pydantic.BaseModel]) -> list[tuple[str, bool]]:
    """By what a model's members are called, and which of them take several values."""
    named = [(field.validation_alias or field.alias or name, field) for name, field in model.model_fields.items()]
    return [
        (alias, any(typing.get_origin(kind) in _LISTS for kind in (f.annotation, *typing.get_args(f.annotation))))
        for alias, f in named
        if isinstance(alias, str)
    ]


def _found(sought: list[tuple[str, str, bool]], headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        alias: [value] if many else value
        for alias, header, many in sought
        if (value := headers.get(header)) is not None
    }


def model_of(parameters: list[Parameter], title: str) -> type[pydantic.BaseModel]:
    """A model with a member for each parameter: `p0_`, `p1_`, … (the names of a model are not all free)."""
    members: dict[str, Any] = {f"p{i}_": parameter.field() for i, parameter in enumerate(parameters)}
    return pydantic.create_model(title, **members)


def takes_object(hint: Any) -> bool:
    """Whether a value of this type is a whole JSON object. A medium is a member of one: `{"image": …}`."""
    hint = getattr(hint, "__value__", hint)  # of `type X = …`
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    origin = typing.get_origin(hint) or hint
    if origin in (typing.Union, UnionType):
        members = [a for a in typing.get_args(hint) if a is not type(None)]
        return bool(members) and all(takes_object(m) for m in members)
    if not isinstance(origin, type):
        return False
    if issubclass(origin, File):
        return False
    return issubclass(origin, pydantic.BaseModel | Mapping) or is_dataclass(origin) or typing.is_typeddict(origin)


def has_parts(hint: Any) -> bool:
    """Whether FastAPI takes a value of this type from the body and not from the query: it, or one of a choice, is no
    single text or number."""
    hint = getattr(hint, "__value__", hint)  # of `type X = …`
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    origin = typing.get_origin(hint) or hint
    if origin in (typing.Union, UnionType):
        return any(has_parts(member) for member in typing.get_args(hint))
    if not isinstance(origin, type) or issubclass(origin, str | bytes):
        return False
    return issubclass(origin, pydantic.BaseModel | Mapping | Sequence | Set) or is_dataclass(origin)


def given_class(hint: Any) -> type | None:
    """The class of Starlette's that a parameter asks for beside the input: `Request` or `Response`."""
    found = isinstance(hint, type) and hint.__name__ in {"Request", "Response"} and _is_webs(hint)
    return hint if found else None


def _taken_apart(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    return typing.get_args(hint)[0], hint.__metadata__


def _annotated(base: Any, words: list[Any]) -> Any:
    return typing.Annotated[(base, *words)] if words else base


def _is_webs(value: Any) -> bool:
    """Whether FastAPI or Starlette made it."""
    cls = value if isinstance(value, type) else type(value)
    return any(base.__module__.partition(".")[0] in _WEB for base in cls.__mro__[:-1])


def _refuse(method: str, name: str, word: Any) -> None:
    if _is_webs(word):
        cls = word if isinstance(word, type) else type(word)
        for base in cls.__mro__:
            if base.__module__.partition(".")[0] in _WEB and base.__name__ in _REFUSED:
                raise TypeError(f"{method}: {name} cannot be a {base.__name__}: {_REFUSED[base.__name__]}")


def _pydantics(word: Any) -> list[Any]:
    """A word of `Annotated`, or a default, as Pydantic knows it: FastAPI's fields without what is FastAPI's."""
    if not isinstance(word, FieldInfo) or not _is_webs(word):
        return [word]
    kept = ("title", "description", "examples", "discriminator", "deprecated", "json_schema_extra", "default_factory")
    said = {name: value for name in kept if (value := getattr(word, name, None)) is not None}
    if (alias := word.validation_alias or word.alias) is not None:
        said["alias"] = alias if isinstance(alias, str) else None
        said["validation_alias"] = alias
    field = pydantic.Field(**said)
    if not word.is_required() and word.default_factory is None:
        field.default = word.default
    return [*word.metadata, field]
