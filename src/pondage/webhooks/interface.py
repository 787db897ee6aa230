"""What the webhooks room needs from outside: somebody who posts, and the outcome that is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from pondage.errors import PondageError
from pondage.wire.events import Outcome


class Answer(NamedTuple):
    """A receiver's answer: status, headers with lower-case names, and the first bytes of its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class PostFailed(PondageError):
    """There was no answer. `str(error)` says why in a few words; `final`: the address is refused, now and later."""

    code = "webhook.no_answer"

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Poster(Protocol):
    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, keep: int) -> Answer:
        """One POST, no redirect followed, at most `timeout` seconds, at most `keep` bytes of the answer read.

        Raises:
            PostFailed: no answer came.
        """
        ...


class Outcomes(Protocol):
    """The part of the queue that the sender reads."""

    async def outcome(self, request_id: str) -> Outcome | None: ...
