"""One session, without a process around it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from pondage.runner.session import Session
from pondage.wire.frames import Frame, SessionMessage

pytestmark = pytest.mark.anyio


async def test_a_message_that_comes_as_time_is_up_was_in_time() -> None:
    """Its answer used to come behind a TIMEOUT, and the session ended."""
    sent: list[Frame] = []
    declaration = SimpleNamespace(session_timeout=None)
    endpoint: Any = SimpleNamespace(signature=None, declaration=declaration)
    attempt: Any = SimpleNamespace(frame=SimpleNamespace(request_id="request"))

    async def threaded(call: Any) -> None: ...

    session = Session(
        attempt, endpoint, None, send=sent.append, flush=lambda: None, threaded=threaded, batched=None,
        idle=60.0, buffer=10, buffer_bytes=1000, window=1000,
    )  # fmt: skip
    waiting = asyncio.ensure_future(session._next())
    await asyncio.sleep(0)
    session._idle = 0.0
    session.take(SessionMessage("request", b"{}", True))
    session._look()
    message = await waiting
    assert message is not None and message.data == b"{}"
    assert not sent and not session._over
