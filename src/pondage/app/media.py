"""Media for app authors: a URL in JSON, bytes or a picture in the code (PROTOCOL 11.4).

As an output, a medium is stored when it is made (`Image.from_pil(…)`) and carries its URL. As an input it may come as
an object, a plain URL or a data URI; `prepare` fetches and checks it before the author's code runs. Outside of a
request there is no storage: a medium that is made there carries a data URI.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

import pydantic
from pydantic import BaseModel

from pondage.app.archive import CompressedFile as CompressedFile
from pondage.app.file import File as File
from pondage.app.file import MediaError as MediaError
from pondage.app.image import IMAGE_SIZE_PRESETS as IMAGE_SIZE_PRESETS
from pondage.app.image import Image as Image
from pondage.app.image import ImageSize as ImageSize
from pondage.app.image import ImageSizeInput as ImageSizeInput
from pondage.app.image import get_image_size as get_image_size

_FETCHES = 8
"""Input media that are fetched at once."""


class Video(File):
    """A video."""

    model_config = pydantic.ConfigDict(json_schema_extra={"x-pondage-media": "video"})
    family: ClassVar[str] = "video"


class Audio(File):
    """A piece of sound."""

    model_config = pydantic.ConfigDict(json_schema_extra={"x-pondage-media": "audio"})
    family: ClassVar[str] = "audio"


def prepare(arguments: Mapping[str, Any], *, whole: str | None = None) -> None:
    """Fetch and check every medium of an input, several at once; blocks.

    Args:
        arguments: of the call, as the input's check made them.
        whole: the argument that is the whole input, if there is one; it does not appear in places.

    Raises:
        MediaError: one cannot be used; the first in the order of the input.
    """
    media: list[File] = []
    for name, value in arguments.items():
        media += _media_in(value, () if name == whole else (name,))
    if len(media) == 1:
        _ = media[0].local_path
    elif media:
        with ThreadPoolExecutor(min(_FETCHES, len(media)), thread_name_prefix="pondage-media") as pool:
            try:
                for fetched in [pool.submit(copy_context().run, getattr, one, "local_path") for one in media]:
                    fetched.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)  # what has not begun is not begun
                raise


def _media_in(value: Any, loc: tuple[str | int, ...]) -> Iterator[File]:
    if isinstance(value, File):
        value._loc = loc
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from _media_in(getattr(value, field.name, None), (*loc, field.name))
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _media_in(getattr(value, name, None), (*loc, name))
    elif isinstance(value, Mapping):
        for key, member in value.items():
            yield from _media_in(member, (*loc, str(key)))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        for n, member in enumerate(value):
            yield from _media_in(member, (*loc, n))
