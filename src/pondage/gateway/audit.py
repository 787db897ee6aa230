"""Who was refused, what operators did, and where it is asked for, every call.

The audit log (`pondage.audit`) is always on and goes where the log goes; it has so many lines a second at most, refused
calls and acts apart, so that no flood hides an act, and says how many it left out. The access log is a file of its own.
Both name a route by its pattern and leave queries out: ids are for the event log, and addresses may hold secrets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pondage.clock import Clock, iso
from pondage.settings import Settings
from pondage.telemetry import LineFile

if TYPE_CHECKING:
    from starlette.types import Scope

    from pondage.gateway.call import Call

log = logging.getLogger("pondage.audit")

REFUSED = frozenset({401, 403, 421, 429})
"""Statuses of the gateway's own making that are told in the audit log."""
Known = Mapping[str, tuple[bool, float | None]]
"""Of each key whether it is not revoked, and when it was rotated last."""
BURST = 5.0
"""Seconds' worth of lines that may come at once."""


class Bucket:
    """Lets so many lines a second through, and counts the others."""

    def __init__(self, clock: Clock, rate: float) -> None:
        self._clock = clock
        self._rate = rate
        self._left = rate * BURST
        self._at = clock.monotonic()
        self.left_out = 0

    def takes(self) -> bool:
        """Whether a line may be written now."""
        now = self._clock.monotonic()
        self._left = min(self._left + (now - self._at) * self._rate, self._rate * BURST)
        self._at = now
        if self._left < 1.0:
            self.left_out += 1
            return False
        self._left -= 1.0
        return True


class Audit:
    """See the module. Called on the loop."""

    def __init__(self, settings: Settings, clock: Clock, access: LineFile | None = None) -> None:
        self._clock = clock
        self._proxies = frozenset(name.strip() for name in settings.trusted_proxies.split(","))
        self._refused = Bucket(clock, settings.audit_rate)
        self._acts = Bucket(clock, settings.audit_rate)
        self._summary: asyncio.TimerHandle | None = None
        self.access = access
        """The log of every call, if there is one."""

    # ---- the audit log

    def refused(self, scope: Scope, call: Call | None, status: int, why: str = "") -> None:
        """A call that the gateway did not let in."""
        self._tell(self._refused, "refused", self.address_of(scope), *_named(scope, call), status, why)

    def acted(self, scope: Scope, call: Call, status: int) -> None:
        """Something that takes an operator's key."""
        self._tell(self._acts, "act", self.address_of(scope), *_named(scope, call), status, "")

    def refused_connection(self, address: str, status: int, why: str) -> None:
        """What came is no call, or came too slowly, or is too much."""
        self._tell(self._refused, "refused", address, "", "", "", status, why)

    def keys_changed(self, before: Known, now: Known) -> None:
        """What there was to say of each key before and after a command on this machine changed some."""
        for key_id, (good, rotated_at) in now.items():
            was_good, was_rotated_at = before.get(key_id, (True, None))
            what = (
                "was made" if key_id not in before
                else "was revoked" if was_good and not good
                else "was rotated" if rotated_at != was_rotated_at
                else ""
            )  # fmt: skip
            if what:
                self._tell(self._acts, "act", "this machine", key_id, "", "keys", 200, what)

    def address_of(self, scope: Scope) -> str:
        """Who called, as far as we know: behind a trusted proxy, whom that names last."""
        client = scope.get("client")
        address = str(client[0]) if client else ""
        if address in self._proxies:
            for name, value in scope["headers"]:
                if name == b"x-forwarded-for":
                    return value.decode("latin-1").rpartition(",")[2].strip()[:64] or address
        return address

    def _tell(
        self, bucket: Bucket, event: str, address: str, key: str, method: str, route: str, status: int, why: str
    ) -> None:
        if not bucket.takes():
            if self._summary is None:
                self._summary = asyncio.get_running_loop().call_later(BURST, self._sum_up)
            return
        level = logging.INFO if event == "act" else logging.WARNING
        words = (event, str(status), method, route, f"from {address or '-'}", f"key {key or '-'}", why)
        log.log(
            level, " ".join(word for word in words if word),
            extra={"event": event, "address": address, "key": key, "method": method, "route": route, "status": status,
                   "why": why},
        )  # fmt: skip

    def _sum_up(self) -> None:
        self._summary = None
        for event, bucket in (("refused", self._refused), ("act", self._acts)):
            count, bucket.left_out = bucket.left_out, 0
            if count:
                log.warning("%s: %d more, not told one by one", event, count, extra={"event": event, "left_out": count})

    # ---- the access log

    def answered(self, scope: Scope, call: Call | None, status: int, size: int, began: float) -> None:
        """Any call, once it was answered."""
        if self.access is None:
            return
        key, method, route = _named(scope, call)
        took = self._clock.monotonic() - began
        entry: dict[str, Any] = {
            "time": iso(self._clock.wall()), "address": self.address_of(scope), "key": key, "method": method,
            "route": route, "path": scope["path"], "status": status, "bytes": size, "duration": round(took, 6),
            "request_id": call.request_id if call is not None else "",
        }  # fmt: skip
        self.access.put(entry, TEXT)


TEXT: Callable[[dict[str, Any]], str] = (
    "{time} {address} {key} {method} {path} {status} {bytes} {duration:.4f} {request_id}".format_map
)


def _named(scope: Scope, call: Call | None) -> tuple[str, str, str]:
    """The key's id, the method, and the route's pattern, or the path where it is an endpoint's or nothing's."""
    method = scope.get("method", "WEBSOCKET")
    if call is None:
        return "", method, scope["path"]
    route = call.route
    return call.caller.key_id, method, route.pattern if route is not None else call.path
