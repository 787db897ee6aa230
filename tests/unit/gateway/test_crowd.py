"""How many connections there may be, and which of them goes where there are too many."""

from __future__ import annotations

import pytest

from pondage.errors import TooMany
from pondage.gateway.crowd import Crowd, Place
from pondage.settings import Settings


class One:
    """A connection; a busy one cannot be spared."""

    def __init__(self, *, busy: bool = False) -> None:
        self.busy = busy
        self.closed = False

    def spare(self) -> bool:
        self.closed = not self.busy
        return self.closed

    def cut(self) -> None:
        self.closed = True


def entered(crowd: Crowd, one: One, address: str = "192.0.2.1") -> Place:
    place = crowd.enter(address, one)
    assert isinstance(place, Place), place
    return place


def test_the_oldest_idle_one_without_a_key_goes() -> None:
    crowd = Crowd(Settings(max_keyless_connections=3))
    busy, keyed, idle, newest = One(busy=True), One(), One(), One()
    entered(crowd, busy)
    entered(crowd, keyed).belongs_to("k")
    entered(crowd, idle)
    entered(crowd, One(busy=True))
    entered(crowd, newest)
    assert idle.closed and not (busy.closed or keyed.closed or newest.closed)


def test_where_nobody_can_be_spared_the_newest_is_refused() -> None:
    crowd = Crowd(Settings(max_connections=2))
    entered(crowd, One()).belongs_to("k")
    place = entered(crowd, One(busy=True))
    assert "max_connections" in str(crowd.enter("192.0.2.1", One()))
    crowd.leave(place)
    crowd.leave(place)  # twice is once
    entered(crowd, One())
    assert crowd.most == 2 and Crowd(Settings(), 10).most == 10


def test_an_address_has_a_bound_and_a_trusted_proxy_has_none() -> None:
    crowd = Crowd(Settings(max_connections_per_address=1, trusted_proxies="192.0.2.7"))
    place = entered(crowd, One())
    assert "max_connections_per_address" in str(crowd.enter("192.0.2.1", One()))
    for address in ("192.0.2.2", "192.0.2.7", "192.0.2.7"):
        entered(crowd, One(), address)
    crowd.leave(place)
    entered(crowd, One())


def test_a_key_has_a_bound() -> None:
    crowd = Crowd(Settings(max_connections_per_key=1))
    first, second = entered(crowd, One()), entered(crowd, One())
    first.belongs_to("k")
    first.belongs_to("k")
    with pytest.raises(TooMany, match="max_connections_per_key"):
        second.belongs_to("k")
    second.belongs_to("other")
    second.belongs_to("another")  # one connection, two keys in turn
    crowd.leave(first)
    second.belongs_to("k")


def test_an_open_server_counts_no_keys() -> None:
    crowd = Crowd(Settings(max_connections_per_key=1))
    for _ in range(5):
        entered(crowd, One()).belongs_to("")


def test_the_connections_of_an_ended_key_end_and_no_others() -> None:
    crowd = Crowd(Settings())
    idle, calls, went, other, unknown, free = (One(busy=busy) for busy in (False, True, True, True, True, True))
    entered(crowd, idle).belongs_to("ended")
    entered(crowd, calls).belongs_to("ended")
    place = entered(crowd, went)
    place.belongs_to("ended")
    crowd.leave(place)
    passed_on = entered(crowd, other)
    passed_on.belongs_to("ended")
    passed_on.belongs_to("good")  # a proxy's
    entered(crowd, unknown)
    entered(crowd, free).belongs_to("")
    crowd.end_of(lambda key: key != "ended")
    assert [one.closed for one in (idle, calls, went, other, unknown, free)] == [True, True, False, False, False, False]
