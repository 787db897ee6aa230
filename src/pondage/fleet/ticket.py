"""What a submitted request's caller may wait for."""

from __future__ import annotations

import asyncio

from pondage.queue.interface import Queue, Receipt, Submission
from pondage.wire.events import Outcome


class PendingRequest:
    """The `Ticket` of a submitted request."""

    def __init__(self, queue: Queue, submission: Submission) -> None:
        self._queue = queue
        self._submission = submission
        self.request_id = submission.request.id
        self.receipt: asyncio.Future[Receipt] = submission.receipt

    async def outcome(self) -> Outcome | None:
        request_id = self.request_id
        if self._submission.request.idempotency_key is not None:
            # The key may name an earlier request; then that one's outcome is the answer.
            request_id = self.request_id = (await self.receipt).request_id
        elif self.receipt.done():
            self.receipt.result()
        outcome = await self._queue.wait(request_id, None)
        if outcome is None:
            await self.receipt  # it may have failed
        return outcome
