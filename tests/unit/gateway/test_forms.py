"""Forms come from anybody: how many parts they have, and how long one keeps the loop, is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pondage.errors import BadRequest
from pondage.gateway.forms import read_form

pytestmark = pytest.mark.anyio
PART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def names(*chunks: bytes) -> list[str]:
    return [part.name async for part in read_form(stream(*chunks), b"b")]


async def test_a_form_has_a_thousand_parts_at_most() -> None:
    assert await names(PART * 1000 + b"--b--\r\n") == ["a"] * 1000
    for chunks in ([PART * 1001 + b"--b--\r\n"], [PART] * 1001):
        with pytest.raises(BadRequest, match="more than 1000 parts"):
            await names(*chunks)


async def test_others_have_their_turn_while_a_form_is_read() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.ensure_future(other())
    await names(PART * 1000 + b"--b--\r\n")
    task.cancel()
    assert turns >= 100
