"""A request's way through the house: up to the commit each room is entered once.

What a history of the app tells of a request is looked up for twenty requests a second, beside this way; the app here
has none.
"""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path

import httpx2

from pondage.queue.news import Listener
from pondage.testing import serve

BASIC = str(Path(__file__).parents[1] / "apps" / "basic.py")
_spec = importlib.util.spec_from_file_location("walks", Path(__file__).parents[1] / "walks.py")
assert _spec is not None and _spec.loader is not None
walks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(walks)


class Ended(Listener):
    def __init__(self) -> None:
        self.heard = threading.Event()

    def ended(self, request_id: str) -> None:
        self.heard.set()


def test_a_submit_and_an_outcome_enter_each_room_once() -> None:
    with serve(BASIC) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        key_id, secret = served.call(served.server.keys.create("k", scopes=("submit",)))
        headers = {"authorization": f"Key {key_id}:{secret}"}
        receiver = {"fal_webhook": "http://127.0.0.1:9/hook"}

        def submit(**query: str) -> None:
            assert http.post("/queue/acme/echo", json={"x": 1}, headers=headers, params=query).status_code == 200

        submit()  # what is done once, such as noting that the key is used, is done
        for query, rooms in (({}, []), (receiver, ["webhooks"])):
            walk, ended = walks.Walk(), Ended()
            served.on_loop(lambda ended=ended: served.server.news.listen(ended))
            served.on_loop(walk.record)
            submit(**query)
            assert ended.heard.wait(30)
            served.on_loop(walk.stop)

            submitted = [entry for entry in walk.entries if entry.root == "gateway"]
            assert [entry.room for entry in submitted] == ["keys", *rooms, "files", "fleet", "queue", "database"]
            outcome = [entry for entry in walk.entries if entry.root == "fleet"]
            assert [entry.room for entry in outcome] == ["queue", "database"]
            # The commits come back by the way on which they went, and the news tell the one room that listens.
            assert {(entry.caller, entry.room) for entry in walk.returns} <= {("database", "queue")}
            assert {(entry.caller, entry.room) for entry in walk.news} == {("queue", "webhooks")}
