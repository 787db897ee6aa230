"""fal's fields for inputs that are media: pydantic's `Field`, with a word for forms."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pondage.toolkit.constraints import Constraints, to_xfal


def ImageField(*args: Any, **keywords: Any) -> Any:
    """`Field` of a picture's URL."""
    return _field("image", args, keywords)


def VideoField(*args: Any, **keywords: Any) -> Any:
    """`Field` of a video's URL."""
    return _field("video", args, keywords)


def AudioField(*args: Any, **keywords: Any) -> Any:
    """`Field` of a sound's URL."""
    return _field("audio", args, keywords)


def FileField(*args: Any, **keywords: Any) -> Any:
    """`Field` of any file's URL."""
    return _field("file", args, keywords)


def ImageSizeField(*args: Any, **keywords: Any) -> Any:
    """`Field` of an image size."""
    return _field("", args, keywords)


_NOT_SHOWN = ("combined_constraints", "normalization")


def _field(kind: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """`ui` is for forms, and so are fal's limits of media, `x-fal`: a media type has its own that are kept."""
    for name in _NOT_SHOWN:
        keywords.pop(name, None)
    extra: dict[str, Any] = dict(keywords.pop("json_schema_extra", None) or {})
    limits: Any = keywords.pop("constraints", None)
    if isinstance(limits, Constraints) and (told := to_xfal(limits)):
        extra["x-fal"] = told
    shown = {"field": kind} if kind else {}
    shown |= {**extra.get("ui", {}), **(keywords.pop("ui", None) or {})}
    return Field(*args, json_schema_extra=extra | ({"ui": shown} if shown else {}), **keywords)
