"""fal's home of `cancel_on_disconnect`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def cancel_on_disconnect(request: Any) -> AsyncIterator[None]:
    """Cancel the block when the caller leaves. A cancelled request is cancelled here anyway: this adds nothing."""
    yield
