"""The sender's way out: everything goes through the guarded client."""

from __future__ import annotations

from collections.abc import Mapping

from pondage.outbound import AddressRefused, Outbound, OutboundError, Policy, shown
from pondage.settings import Settings
from pondage.webhooks.interface import Answer, PostFailed
from pondage.webhooks.targets import private_policy


class OutboundPoster:
    """Posts to whatever the operator's policy allows."""

    def __init__(self, settings: Settings, *, listening_on_loopback: bool) -> None:
        policy = private_policy(settings, listening_on_loopback=listening_on_loopback)
        self._outbound = Outbound(
            Policy(allow_private=policy == "private", allow_loopback=policy != "none"),
            connections=settings.webhook_concurrency,
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, keep: int) -> Answer:
        """See `pondage.webhooks.interface.Poster`. Header names of the answer are in lower case."""
        try:
            answer = await self._outbound.post(url, body, headers, timeout=timeout, max_answer=keep)
        except OutboundError as error:
            reason = str(error).removeprefix(f"{shown(url)}: ")
            raise PostFailed(reason, final=isinstance(error, AddressRefused)) from error
        return Answer(answer.status, answer.headers, answer.body)

    async def close(self) -> None:
        await self._outbound.close()
