"""The sender's way out: everything goes through the guarded client."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pondage.outbound import AddressRefused, Outbound, OutboundError, Policy, shown
from pondage.settings import Settings
from pondage.webhooks.interface import Answer, PostFailed
from pondage.webhooks.targets import private_policy


class OutboundPoster:
    """Posts to whatever the operator's policy allows."""

    def __init__(self, settings: Settings, *, is_open: Callable[[], bool]) -> None:
        self._settings = settings
        self._is_open = is_open
        self._was_open = is_open()
        self._outbound = self._way_out()

    def _way_out(self) -> Outbound:
        policy = private_policy(self._settings, open_server=self._was_open)
        return Outbound(
            Policy(allow_private=policy == "private", allow_loopback=policy != "none"),
            connections=self._settings.webhook_concurrency,
        )

    async def _follow_the_policy(self) -> None:
        """With the first key the way to this machine is shut, also for connections that are there."""
        if self._was_open and not self._is_open():
            self._was_open = False
            before, self._outbound = self._outbound, self._way_out()
            await before.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, keep: int) -> Answer:
        """See `pondage.webhooks.interface.Poster`. Header names of the answer are in lower case."""
        await self._follow_the_policy()
        try:
            answer = await self._outbound.post(url, body, headers, timeout=timeout, max_answer=keep)
        except OutboundError as error:
            reason = str(error).removeprefix(f"{shown(url)}: ")
            raise PostFailed(reason, final=isinstance(error, AddressRefused)) from error
        return Answer(answer.status, answer.headers, answer.body)

    async def close(self) -> None:
        await self._outbound.close()
