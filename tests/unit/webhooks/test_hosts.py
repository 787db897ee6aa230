"""Which host is served next, and that none is ever forgotten while it is owed something."""

from __future__ import annotations

from pondage.settings import Settings
from pondage.webhooks.hosts import Host, Hosts
from pondage.webhooks.interface import Owed

SETTINGS = Settings(webhook_concurrency=4)


def owed(n: int, *, request: str = "", event: str = "completed") -> Owed:
    request = request or f"r{n}"
    return Owed(n, f"d{n}", request, "https://a/", "https://a", event, n, None, 0.0, 0.0, 0, None, 0, "")


def fill(hosts: Hosts, origin: str, *deliveries: Owed) -> Host:
    host = hosts.get(origin)
    assert host is not None
    host.take_in(list(deliveries), None, limit=64, without=host.ask())
    return host


def test_listeners_are_no_hosts() -> None:
    assert Hosts(SETTINGS).get("listen://abc") is None


def test_what_ends_while_the_outbox_is_read_is_not_taken_in_again() -> None:
    hosts = Hosts(SETTINGS)
    host = fill(hosts, "https://a", owed(1))
    one = hosts.begin(host, 0.0)
    assert one is not None
    without = host.ask()
    hosts.answered(host, one)
    hosts.end(host, one)
    host.take_in([owed(1), owed(2)], None, limit=64, without=without)
    assert [waiting.n for waiting in host.waiting] == [2]
    assert hosts.get("https://a") is host and hosts.ready(0.0, 0.0) == [host]


def test_what_is_heard_while_the_outbox_is_read_is_kept() -> None:
    hosts = Hosts(SETTINGS)
    host = fill(hosts, "https://a")
    without = host.ask()
    host.hear(5.0)
    host.take_in([], 9.0, limit=64, without=without)
    assert host.next_due == 5.0 and hosts.wait(1.0, 0.0) == 4.0


def test_a_host_at_rest_is_remembered() -> None:
    hosts = Hosts(SETTINGS)
    host = fill(hosts, "https://a", owed(1))
    one = hosts.begin(host, 0.0)
    assert one is not None
    hosts.answered(host, one)
    host.breaker.succeeded(0.1)
    hosts.end(host, one)
    assert hosts.wait(0.0, 0.0) is None
    again = hosts.get("https://a")
    assert again is host and again.breaker.allowance == 2


def test_one_requests_deliveries_never_overlap() -> None:
    hosts = Hosts(SETTINGS)
    host = fill(hosts, "https://a", owed(1, request="r", event="log"), owed(2, request="r"))
    host.breaker.allowance = 8
    first = hosts.begin(host, 0.0)
    assert first is not None and hosts.begin(host, 0.0) is None
    assert hosts.wait(0.0, 0.0) is None
    hosts.answered(host, first)
    hosts.end(host, first)
    assert host.hungry(0.0)


def test_slow_hosts_share_half_of_the_concurrency() -> None:
    hosts = Hosts(SETTINGS)
    slow = [fill(hosts, f"https://slow{n}", owed(n)) for n in range(4)]
    for host in slow:
        host.breaker.failed(0.0)
    begun = [hosts.begin(host, 0.0) for host in slow]
    assert [one is not None for one in begun] == [True, True, False, False]
    quick = fill(hosts, "https://quick", owed(9))
    assert hosts.ready(0.0, 0.0) == [quick]
    assert hosts.begin(quick, 0.0) is not None
    # The others are woken by the end of a try, not by a timer.
    assert hosts.wait(0.0, 0.0) is None
    assert begun[0] is not None
    hosts.answered(slow[0], begun[0])
    assert hosts.begin(slow[2], 0.0) is not None


def test_a_host_that_is_left_alone_is_waited_for() -> None:
    hosts = Hosts(SETTINGS)
    host = fill(hosts, "https://a", owed(1))
    for _ in range(10):
        host.breaker.failed(100.0)
    assert hosts.begin(host, 100.0) is None
    assert hosts.open("https://a", 110.0) == (10, 20.0)
    assert hosts.wait(0.0, 110.0) == 20.0
    assert hosts.begin(host, 130.0) is not None


def test_how_long_the_oldest_has_been_due() -> None:
    hosts = Hosts(SETTINGS)
    assert hosts.overdue(100.0) == 0.0
    host = fill(hosts, "https://a")
    host.hear(70.0)
    assert (hosts.overdue(60.0), hosts.overdue(100.0)) == (0.0, 30.0)
    fill(hosts, "https://b", owed(1))
    assert hosts.overdue(100.0) == 100.0, "one that waits, due since 0"


def test_how_many_are_left_alone() -> None:
    hosts = Hosts(SETTINGS)
    host = fill(hosts, "https://a", owed(1))
    for _ in range(SETTINGS.webhook_breaker):
        host.breaker.failed(0.0)
    assert host.breaker.open_until is not None
    assert (hosts.left_alone(0.0), hosts.left_alone(host.breaker.open_until)) == (1, 0)
