"""The sender against a real outbox: what is sent, when, again, and never."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from pondage.clock import ManualClock
from pondage.settings import Settings
from pondage.webhooks.interface import Answer, PostFailed
from pondage.webhooks.verify import verify_webhook
from pondage.wire import signing
from pondage.wire.events import Log, Outcome, Progress
from pondage.wire.states import OutcomeKind

from .conftest import HOOK, House, Receiver, opened

pytestmark = pytest.mark.anyio


async def test_one_delivery_signed_both_ways(house: House, receiver: Receiver) -> None:
    request = await house.submit()
    await house.finish(request)
    [post] = await receiver.count(1)
    assert json.loads(post.body) == {
        "request_id": request, "gateway_request_id": request, "status": "OK", "payload": {"answer": 42},
    }  # fmt: skip
    secret = signing.secret_text(house.webhooks.keys.secrets("")[0])
    for key in ({"secret": secret}, {"jwks": house.webhooks.jwks()}):
        event = verify_webhook(post.headers, post.body, now=house.clock.wall(), **key)  # type: ignore[arg-type]
        assert event.id == request and event.ok
    assert post.headers["x-fal-webhook-user-id"] == "local"
    delivery, tries = await house.state(request, lambda d: d.state == "done")
    assert delivery.tries == 1 and [(t.n, t.status, t.reason, t.answer) for t in tries] == [(1, 200, "", b"thanks")]


async def test_an_error_and_a_cancelled_request_are_delivered_too(house: House, receiver: Receiver) -> None:
    failed, cancelled = await house.submit(), await house.submit()
    body = b'{"detail":[{"loc":["body","n"],"msg":"too big","type":"value_error"}]}'
    await house.finish(failed, Outcome(OutcomeKind.ERROR, 422, body))
    await receiver.count(1)
    await house.queue.cancel(cancelled)
    first, second = [json.loads(post.body) for post in await receiver.count(2)]
    assert first["status"] == "ERROR" and first["error"] == "Invalid status code: 422"
    assert first["payload"] == json.loads(body)
    assert second["request_id"] == cancelled and second["status"] == "ERROR" and "cancelled" in second["error"]


async def test_a_result_that_is_no_json(house: House, receiver: Receiver) -> None:
    request = await house.submit()
    await house.finish(request, Outcome(OutcomeKind.OK, 200, b"\x89PNG\xff", {"content-type": "image/png"}))
    unserialised = await house.submit()
    await house.finish(unserialised, Outcome(OutcomeKind.OK, 200, b"null", payload_error="set is not serialisable"))
    first, second = sorted((json.loads(p.body) for p in await receiver.count(2)), key=lambda m: m["request_id"])
    assert first["payload"] is None and "image/png" in first["payload_error"]
    assert second["payload"] is None and second["payload_error"] == "set is not serialisable"


async def test_a_request_without_webhook_is_nobodys_business(house: House, receiver: Receiver) -> None:
    await house.finish(await house.submit(None))
    await house.finish(await house.submit())
    await receiver.count(1)
    assert len(await house.webhooks.outbox.page()) == 1


async def test_tries_go_by_the_schedule_under_one_id(house: House, receiver: Receiver) -> None:
    began = house.clock.wall()
    receiver.replies[HOOK] = [500, PostFailed("timed out after 15 s"), 302, Answer(429, {"retry-after": "70"}, b"slow")]
    request = await house.submit()
    await house.finish(request)
    for n, gap in enumerate((2, 4, 9, 70), start=1):
        await receiver.count(n)
        await house.state(request, lambda d, n=n: d.tries == n)
        house.advance(gap - 0.5)
        await asyncio.sleep(0.02)
        assert len(receiver.posts) == n
        house.advance(0.5)
    posts = await receiver.count(5)
    assert [post.at - began for post in posts] == [0, 2, 6, 15, 85]
    assert len({post.headers["webhook-id"] for post in posts}) == 1
    assert len({post.body for post in posts}) == 1
    assert [post.timeout for post in posts] == [15, 30, 30, 30, 30]
    assert posts[0].headers["webhook-timestamp"] != posts[4].headers["webhook-timestamp"]
    _, tries = await house.state(request, lambda d: d.state == "done")
    assert [t.status for t in tries] == [500, None, 302, 429, 200]
    assert tries[1].reason == "timed out after 15 s" and tries[3].answer == b"slow"
    figures = house.webhooks.figures()
    assert (figures.tries, figures.overdue, figures.left_alone) == ({"owed": 4, "done": 1}, 0.0, 0)


async def test_gone_and_refused_addresses_are_not_tried_again(house: House, receiver: Receiver) -> None:
    refused = "http://10.0.0.1/hook"
    receiver.always = {HOOK: 410, refused: PostFailed("10.0.0.1 is a private address", final=True)}
    gone, private = await house.submit(), await house.submit(refused)
    await house.finish(gone)
    await house.finish(private)
    for request, why in ((gone, "wants no more"), (private, "private address")):
        delivery, tries = await house.state(request, lambda d: d.state == "dead")
        assert len(tries) == 1 and why in delivery.last_reason


async def test_it_is_given_up_at_last_and_can_be_replayed(house: House, receiver: Receiver) -> None:
    receiver.always[HOOK] = 503
    request = await house.submit()
    await house.finish(request)
    for n in range(1, 40):
        delivery, _ = await house.state(request, lambda d, n=n: d.tries >= n)
        if delivery.state == "dead":
            break
        house.advance(max(delivery.due_at - house.clock.wall(), 30.0))
    assert delivery.state == "dead" and delivery.tries >= 10 and "given up" in delivery.last_reason
    receiver.always[HOOK] = 200
    house.advance(86_400)
    await house.webhooks.replay([delivery])
    again, tries = await house.state(request, lambda d: d.state == "done")
    assert again.tries == delivery.tries + 1 == len(tries)
    assert receiver.posts[-1].headers["webhook-id"] == request


async def test_what_is_owed_at_a_restart_is_due_at_once(tmp_path: Path, clock: ManualClock) -> None:
    receiver = Receiver(clock)
    async with opened(tmp_path, clock, receiver, run=False) as house:
        requests = [await house.submit() for _ in range(3)]
        for request in requests:
            await house.finish(request)
    assert not receiver.posts
    clock.advance(3600)
    async with opened(tmp_path, clock, receiver) as house:
        posts = await receiver.count(3)
        assert {json.loads(post.body)["request_id"] for post in posts} == set(requests)
        for request in requests:
            await house.state(request, lambda d: d.state == "done")


async def test_a_try_that_is_cut_off_at_a_stop_is_owed_still(tmp_path: Path, clock: ManualClock) -> None:
    receiver = Receiver(clock)
    receiver.always[HOOK] = asyncio.Event()
    async with opened(tmp_path, clock, receiver, run=False) as house:
        running = asyncio.create_task(house.webhooks.run())
        request = await house.submit()
        await house.finish(request)
        await receiver.count(1)
        running.cancel()
        await asyncio.sleep(0)
        for task in list(house.webhooks.sender._tasks):
            task.cancel()
        await asyncio.gather(running, return_exceptions=True)
        delivery, _ = await house.state(request)
        assert delivery.state == "owed" and delivery.tries == 0
    receiver.always.clear()
    async with opened(tmp_path, clock, receiver) as house:
        await house.state(request, lambda d: d.state == "done")


async def test_a_hanging_host_delays_nobody(house: House, receiver: Receiver) -> None:
    hang = asyncio.Event()
    dead = [f"http://dead{n}.example/" for n in range(100)]
    for url in dead:
        receiver.always[url] = hang
        for _ in range(3):
            await house.finish(await house.submit(url))
    await receiver.count(100)
    healthy = [await house.submit() for _ in range(40)]
    for request in healthy:
        await house.finish(request)
    for request in healthy:
        await house.state(request, lambda d: d.state == "done")
    # One try to each of the hanging hosts, since none of them ever answered.
    assert len([post for post in receiver.posts if post.url in dead]) == 100
    hang.set()


async def test_no_more_than_the_hosts_share_is_under_way(house: House, receiver: Receiver) -> None:
    for _ in range(30):
        await house.finish(await house.submit())
    await receiver.count(30)
    hang = asyncio.Event()
    receiver.always[HOOK] = hang
    for _ in range(30):
        await house.finish(await house.submit())
    await receiver.count(38)
    await asyncio.sleep(0.05)
    assert len(receiver.posts) == 38
    hang.set()
    await receiver.count(60)


async def test_the_breaker_says_so_in_the_log_and_lets_all_go_when_the_host_is_back(
    house: House, receiver: Receiver
) -> None:
    receiver.always[HOOK] = PostFailed("connection refused")
    requests = [await house.submit() for _ in range(12)]
    for request in requests:
        await house.finish(request)
    await receiver.count(10)
    notes: list[str] = []
    async with asyncio.timeout(10):
        while len(notes) < 10:  # the host is left alone before the last tries are on record
            notes = [t.note for request in requests for t in (await house.state(request))[1]]
    assert len(notes) == 10 and sum("10 failures in a row" in note for note in notes) == 1
    assert house.webhooks.sender.left_alone("https://receiver.example") is not None
    receiver.always.clear()
    house.advance(29)
    await asyncio.sleep(0.02)
    assert len(receiver.posts) == 10
    house.advance(1)
    for request in requests:
        await house.state(request, lambda d: d.state == "done")
    assert len(receiver.posts) == 22


async def test_intermediate_events_go_in_order_and_before_the_outcome(house: House, receiver: Receiver) -> None:
    request = await house.submit(events=("started", "progress", "log"))
    await receiver.count(1)
    hang = asyncio.Event()
    receiver.replies[HOOK] = [hang]
    at = house.clock.wall()
    await house.tell(request, Log(at, "INFO", "one"), Log(at, "INFO", "two"))
    await receiver.count(2)
    await house.tell(request, Progress(at, 1, 10))
    await house.tell(request, Progress(at, 2, 10))
    await house.tell(request, Log(at, "INFO", "three"))
    await house.tell(request, Progress(at, 9, 10))
    await house.finish(request)
    await asyncio.sleep(0.05)
    assert len(receiver.posts) == 2
    hang.set()
    posts = [json.loads(post.body) for post in await receiver.count(4)]
    assert [post.get("type", "completed") for post in posts] == ["started", "log", "log", "completed"]
    assert [line["message"] for post in posts[1:3] for line in post["logs"]] == ["one", "two", "three"]
    await house.state(request, lambda d: d.state == "done")
    assert not await house.webhooks.outbox.page(state="owed")


async def test_progress_is_throttled(house: House, receiver: Receiver) -> None:
    request = await house.submit(events=("progress",))
    for step in range(5):
        await house.tell(request, Progress(house.clock.wall(), step, 5))
        await receiver.count(1)
    await asyncio.sleep(0.05)
    assert len(receiver.posts) == 1
    house.advance(1.0)
    posts = await receiver.count(2)
    assert [json.loads(post.body)["progress"]["step"] for post in posts] == [0, 4]
    await asyncio.sleep(0.05)
    assert len(receiver.posts) == 2


async def test_the_outcome_waits_for_no_event_that_already_failed(house: House, receiver: Receiver) -> None:
    receiver.replies[HOOK] = [500]
    request = await house.submit(events=("started",))
    await receiver.count(1)
    await house.state(f"{request}-2", lambda d: d.tries == 1)
    await house.finish(request)
    posts = await receiver.count(2)
    assert "payload" in json.loads(posts[1].body)
    overtaken, _ = await house.state(f"{request}-2", lambda d: d.state == "dead")
    assert overtaken.last_reason == "overtaken by the outcome"


async def test_what_waits_behind_a_dead_host_ends_with_the_retention(tmp_path: Path, clock: ManualClock) -> None:
    receiver = Receiver(clock)
    receiver.always[HOOK] = 500
    settings = Settings(webhook_jitter=0.0, webhook_breaker_pause=1e9)
    async with opened(tmp_path, clock, receiver, settings) as house:
        requests = [await house.submit() for _ in range(12)]
        for request in requests:
            await house.finish(request)
        await receiver.count(10)
        house.advance(8 * 86_400)
        for request in requests:
            delivery, _ = await house.state(request, lambda d: d.state == "dead")
            assert "given up" in delivery.last_reason


async def test_tries_are_dropped_with_their_request(tmp_path: Path, clock: ManualClock) -> None:
    receiver = Receiver(clock)
    async with opened(tmp_path, clock, receiver) as house:
        request = await house.submit()
        await house.finish(request)
        await house.state(request, lambda d: d.state == "done")
        clock.advance(30 * 86_400)
        assert (await house.queue.sweep()).dropped == 1
        assert await house.webhooks.outbox.get(request) is None
        rows = await house.database.read(lambda c: list(c.execute("SELECT count(*) FROM delivery_tries")))
        assert rows == [(0,)]


async def test_a_clock_that_is_set_back_delays_nothing(house: House, receiver: Receiver) -> None:
    receiver.replies[HOOK] = [500]
    request = await house.submit()
    await house.finish(request)
    await house.state(request, lambda d: d.tries == 1)
    house.clock.jump(-7200)
    house.advance(2.1)
    await receiver.count(2)
    await house.state(request, lambda d: d.state == "done")


async def test_a_clock_that_is_set_back_during_a_try_delays_nothing(house: House, receiver: Receiver) -> None:
    answer = asyncio.Event()
    receiver.replies[HOOK] = [answer, 500]
    request = await house.submit()
    await house.finish(request)
    await receiver.count(1)
    house.clock.jump(-7200)
    # Another delivery is done: the sender has seen the new time, and the first try still waits for its answer.
    other = await house.submit("http://other.example/hook")
    await house.finish(other)
    await house.state(other, lambda d: d.state == "done")
    answer.set()
    delivery, _ = await house.state(request, lambda d: d.tries == 1)
    assert delivery.due_at < house.clock.wall() + 60
    house.advance(2.1)
    await house.state(request, lambda d: d.state == "done")


async def test_a_clock_that_was_set_back_meanwhile_delays_nothing(tmp_path: Path, clock: ManualClock) -> None:
    receiver = Receiver(clock)
    async with opened(tmp_path, clock, receiver, run=False) as house:
        await house.finish(await house.submit())
    clock.jump(-7200)
    async with opened(tmp_path, clock, receiver):
        await receiver.count(1)
