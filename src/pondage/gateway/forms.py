"""`multipart/form-data`, read as it comes: a file in a form is stored without being held in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from email.message import Message
from typing import NamedTuple

from pondage.errors import BadRequest

_MOST_HEADERS = 64
_HEADER_MOST = 16 * 1024
"""Headers of a part, and bytes of each."""
_MOST_PARTS = 1000
_AT_ONCE = 8
"""Parts that are read in one turn of the loop: small ones come with many others in one piece."""


class FormPart(NamedTuple):
    """One part of a form. `body` must be read before the next part is asked for; what is left is passed over."""

    name: str
    file_name: str | None
    content_type: str
    body: AsyncIterator[bytes]


def boundary_of(content_type: str) -> bytes:
    """The boundary that a `multipart/form-data` content type names.

    Raises:
        BadRequest: it names none.
    """
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    if not isinstance(boundary, str) or not 1 <= len(boundary) <= 200:
        raise BadRequest("the form's Content-Type names no boundary")
    return boundary.encode("latin-1", "replace")


async def read_form(stream: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[FormPart]:
    """The parts of a form, in order.

    Raises:
        BadRequest: it is malformed, ends in the middle, or has too many parts.
    """
    events = _Events(stream, boundary)
    parts = 0
    while (event := await events.next()) is not None:
        if isinstance(event, dict):
            parts += 1
            if parts > _MOST_PARTS:
                raise BadRequest(f"the form has more than {_MOST_PARTS} parts; send several forms")
            if parts % _AT_ONCE == 0:
                await asyncio.sleep(0)
            part = _part(event, events.body())
            yield part
            async for _ in part.body:
                pass


class _Events:
    """What a parser tells of a form, in order: the head of a part, its bytes, and None at its end; None alone is the
    end of the form."""

    def __init__(self, stream: AsyncIterator[bytes], boundary: bytes) -> None:
        from python_multipart.multipart import MultipartParser

        self._stream = stream
        self._waiting: deque[dict[str, str] | bytes | None] = deque()
        self._head: dict[str, str] = {}
        self._field = self._value = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header,
                "on_headers_finished": self._on_head,
                "on_part_data": lambda data, start, end: self._waiting.append(data[start:end]),
                "on_part_end": lambda: self._waiting.append(None),
                "on_end": lambda: self._waiting.append(None),
            },
            max_header_count=_MOST_HEADERS,
            max_header_size=_HEADER_MOST,
        )

    async def next(self) -> dict[str, str] | bytes | None:
        while not self._waiting:
            await self._more()
        return self._waiting.popleft()

    async def body(self) -> AsyncIterator[bytes]:
        """The bytes of the part whose head was told last."""
        while isinstance(data := await self.next(), bytes):
            yield data

    async def _more(self) -> None:
        from python_multipart.exceptions import MultipartParseError

        async for chunk in self._stream:
            try:
                self._parser.write(bytes(chunk))
            except MultipartParseError as error:
                raise BadRequest(f"the form is malformed: {error}") from None
            return
        raise BadRequest("the form ends in the middle")

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        try:
            self._head[self._field.decode().lower()] = self._value.decode()
        except UnicodeDecodeError:
            raise BadRequest("a part of the form has a head that is not UTF-8") from None
        self._field = self._value = b""

    def _on_head(self) -> None:
        self._waiting.append(self._head)
        self._head = {}


def _part(head: dict[str, str], body: AsyncIterator[bytes]) -> FormPart:
    message = Message()
    for field, value in head.items():
        message[field] = value.strip()
    name = message.get_param("name", header="content-disposition")
    return FormPart(
        name if isinstance(name, str) else "",
        message.get_filename(),
        message["content-type"] or "application/octet-stream",
        body,
    )
