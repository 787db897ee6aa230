"""`multipart/form-data`, read as it comes: a file in a form is stored without being held in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.message import Message
from typing import NamedTuple

from pondage.errors import BadRequest

_HEAD_MOST = 16 * 1024


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
        BadRequest: it is malformed, or ends in the middle.
    """
    reader = _Reader(stream, b"\r\n--" + boundary)
    async for _ in reader.to_delimiter():
        pass  # what stands before the first part has no meaning
    while await reader.another_part():
        part = _part(await reader.head(), reader.to_delimiter())
        yield part
        async for _ in part.body:
            pass


class _Reader:
    """Bytes of a form, and where its delimiters are."""

    def __init__(self, stream: AsyncIterator[bytes], delimiter: bytes) -> None:
        self._stream = stream
        self._delimiter = delimiter
        self._held = b"\r\n"  # the first delimiter may lack its line end

    async def to_delimiter(self) -> AsyncIterator[bytes]:
        """What comes before the next delimiter."""
        while (at := self._held.find(self._delimiter)) < 0:
            keep = len(self._delimiter) - 1
            if len(self._held) > keep:
                ready, self._held = self._held[:-keep], self._held[-keep:]
                yield ready
            await self._more()
        ready, self._held = self._held[:at], self._held[at + len(self._delimiter) :]
        if ready:
            yield ready

    async def another_part(self) -> bool:
        """Whether the delimiter that was passed begins a part; otherwise it ends the form."""
        while len(self._held) < 2:
            await self._more()
        return not self._held.startswith(b"--")

    async def head(self) -> bytes:
        while (at := self._held.find(b"\r\n\r\n")) < 0:
            if len(self._held) > _HEAD_MOST:
                raise BadRequest("a part of the form has too long a head")
            await self._more()
        head, self._held = self._held[:at], self._held[at + 4 :]
        return head

    async def _more(self) -> None:
        async for chunk in self._stream:
            self._held += chunk
            return
        raise BadRequest("the form ends in the middle")


def _part(head: bytes, body: AsyncIterator[bytes]) -> FormPart:
    message = Message()
    try:
        lines = head.decode().split("\r\n")
    except UnicodeDecodeError:
        raise BadRequest("a part of the form has a head that is not UTF-8") from None
    for line in lines:
        field, colon, value = line.partition(":")
        if colon:
            message[field.strip().lower()] = value.strip()
    name = message.get_param("name", header="content-disposition")
    return FormPart(
        name if isinstance(name, str) else "",
        message.get_filename(),
        message["content-type"] or "application/octet-stream",
        body,
    )
