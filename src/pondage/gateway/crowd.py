"""How many connections there may be: in all, from one address, of one key, and of those that have shown no key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from pondage.errors import TooMany
from pondage.gateway.budget import Budget
from pondage.settings import Settings

PLACE = "pondage.place"
"""Under this name lies a connection's `Place` in the scope of each of its calls."""

_LOOKED_AT = 64
"""So many of the oldest connections without a key are looked at for one that can be spared."""


class OpenConnection(Protocol):
    """A connection, as the crowd and its calls know it."""

    left: Callable[[], None] | None
    """Called when the caller hangs up, while a call has set it."""

    def cut(self) -> None:
        """Close without an answer to the call that is under way."""
        ...

    def spare(self) -> bool:
        """Close, unless a call is under way; whether it did."""
        ...

    async def has_room(self, seconds: float | None) -> bool:
        """Whether the caller takes what was written within so many seconds; None: wait until it does, or is gone."""
        ...


class Place:
    """One connection among all."""

    __slots__ = ("address", "connection", "crowd", "gone", "key")

    def __init__(self, crowd: Crowd, address: str, connection: OpenConnection) -> None:
        self.crowd = crowd
        self.address = address
        self.connection = connection
        self.key: str | None = None
        """Whose connection it is; None: it has shown no key yet. Empty on a server that asks for none."""
        self.gone = False

    def belongs_to(self, key: str) -> None:
        """A call came with this key.

        Raises:
            TooMany: the key has as many connections as it may.
        """
        if key != self.key:
            self.crowd.move(self, key)


class Crowd:
    """All the connections of a gateway.

    Connections that have shown no key give way to each other: where there are too many of them, the oldest that does
    nothing is closed for the newest. Where there are too many in all, the newest is refused.
    """

    def __init__(self, settings: Settings, most: int | None = None, budget: Budget | None = None) -> None:
        self.budget = budget or Budget(settings)
        self.most = settings.max_connections if most is None else min(most, settings.max_connections)
        self._most_keyless = min(settings.max_keyless_connections, self.most)
        self._most_of_key = settings.max_connections_per_key
        self._most_of_address = settings.max_connections_per_address
        self._proxies = frozenset(name.strip() for name in settings.trusted_proxies.split(","))
        self._places = 0
        self._keyless: dict[Place, None] = {}
        self._keys: dict[str, set[Place]] = {}
        self._addresses: Counter[str] = Counter()

    def enter(self, address: str, connection: OpenConnection) -> Place | str:
        """A place for a new connection, or why there is none. Those of trusted proxies are of many addresses."""
        if address in self._proxies:
            address = ""
        if address and self._addresses[address] >= self._most_of_address:
            return f"{self._most_of_address} connections of one address (setting max_connections_per_address)"
        if len(self._keyless) >= self._most_keyless and not self._make_room():
            return f"{self._most_keyless} connections without a key (setting max_keyless_connections)"
        if self._places >= self.most and not self._make_room():
            return f"{self.most} connections (setting max_connections)"
        place = Place(self, address, connection)
        self._places += 1
        self._keyless[place] = None
        if address:
            self._addresses[address] += 1
        return place

    def _make_room(self) -> bool:
        for place in islice(self._keyless, _LOOKED_AT):
            if place.connection.spare():
                self.leave(place)
                return True
        return False

    def move(self, place: Place, key: str) -> None:
        if place.gone:
            return
        if key and len(self._keys.get(key, ())) >= self._most_of_key:
            raise TooMany(
                f"this key has {self._most_of_key} connections, and may have no more (setting max_connections_per_key)"
            )
        self._forget_key(place)
        place.key = key
        self._keys.setdefault(key, set()).add(place)

    def leave(self, place: Place) -> None:
        """The connection has ended, or is about to."""
        if place.gone:
            return
        place.gone = True
        self._places -= 1
        self._forget_key(place)
        if place.address:
            self._addresses[place.address] -= 1
            if self._addresses[place.address] <= 0:
                del self._addresses[place.address]

    def _forget_key(self, place: Place) -> None:
        if place.key is None:
            self._keyless.pop(place, None)
        elif places := self._keys.get(place.key):
            places.discard(place)
            if not places:
                del self._keys[place.key]

    def end_of(self, good: Callable[[str], bool]) -> None:
        """Cut the connections of keys that open nothing any more, whatever goes over them."""
        for key, places in list(self._keys.items()):
            if not good(key):
                for place in list(places):
                    place.connection.cut()
