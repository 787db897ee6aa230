"""The door of the webhooks room: what others ask of it, and what it needs from outside."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from pondage.errors import PondageError
from pondage.wire.events import Entry, Outcome

_entries = msgspec.msgpack.Decoder(list[Entry])


class Owed(msgspec.Struct, frozen=True):
    """A delivery that is to be tried. `n` is its number, `id` what its receiver sees of it on every try."""

    n: int
    id: str
    request_id: str
    target: str
    origin: str
    event: str
    seq: int
    payload: bytes | None
    created_at: float
    due_at: float
    tries: int
    replayed_at: float | None
    replayed_tries: int
    caller: str

    @property
    def since(self) -> float:
        """When the schedule began: when it was owed, or replayed."""
        return self.created_at if self.replayed_at is None else self.replayed_at

    @property
    def entries(self) -> list[Entry]:
        """What an intermediate delivery tells about."""
        return [] if self.payload is None else _entries.decode(self.payload)


class Delivery(msgspec.Struct, frozen=True):
    """A delivery as people see it. `state` is `owed`, `done` or `dead`; times are wall seconds."""

    n: int
    id: str
    request_id: str
    target: str
    event: str
    state: str
    created_at: float
    due_at: float
    tries: int
    last_status: int | None
    last_reason: str | None
    done_at: float | None
    origin: str


class Whose(msgspec.Struct, frozen=True):
    """Of whose requests deliveries are shown: one key's, or everybody's (None); of these apps, or any (None)."""

    caller: str | None = None
    apps: tuple[str, ...] | None = None

    def holds(self, owner: tuple[str, str] | None) -> bool:
        """Whether a request is among them, by its key and its app; one that is not known is only everybody's."""
        if owner is None:
            return self.caller is None and self.apps is None
        return self.caller in {None, owner[0]} and (self.apps is None or owner[1] in self.apps)

    def bindings(self) -> dict[str, str | None]:
        """As the statements take it."""
        return {"caller": self.caller, "apps": None if self.apps is None else json.dumps(self.apps)}


EVERYBODYS = Whose()


class Try(msgspec.Struct, frozen=True):
    """One entry of the log of tries. `status` None: no answer, `reason` says why; `answer` its first bytes."""

    n: int
    at: float
    duration: float
    status: int | None
    reason: str
    note: str
    answer: bytes


class Tried(NamedTuple):
    """One try as it went. `status` None: there was no answer, and `reason` says why.

    `at` is wall seconds, `duration` seconds, `retry_after` seconds from the end of the try, `answer` the first bytes of
    the answer's body. `final`: no later try can go better (the address is refused).
    """

    at: float
    duration: float
    status: int | None
    reason: str
    answer: bytes = b""
    retry_after: float | None = None
    final: bool = False

    @property
    def ok(self) -> bool:
        """Any 2xx is a success, and nothing else is."""
        return self.status is not None and 200 <= self.status < 300


class Next(NamedTuple):
    """What becomes of the delivery: `done`, `dead`, or `owed` and due at `due_at`. `note` says why it is dead."""

    state: str
    due_at: float
    note: str = ""


class NewKey(NamedTuple):
    """A signing key that was made. `origin` is empty for the default; `signs_from` wall seconds; `secret` its text, for
    keys that receivers must hold."""

    id: str
    kind: str
    origin: str
    signs_from: float
    secret: str | None


class WebhookTraces(Protocol):
    """Where traces of tries go, where they are asked for."""

    async def headers(self, owed: Owed) -> Mapping[str, str]:
        """What the try that comes now sends along."""
        ...

    def tried(self, owed: Owed, tried: Tried) -> None:
        """How it went."""
        ...


class Figures(NamedTuple):
    """How deliveries fare: tries since the start by what became of the delivery (`done`, `owed`, `dead`), for how many
    seconds one has been due, and how many hosts are left alone."""

    tries: Counter[str]
    overdue: float
    left_alone: int


class WebhooksRoom(Protocol):
    """What the gateway asks of the webhooks room."""

    def figures(self) -> Figures:
        """How deliveries fare."""
        ...

    def check(self, url: str | None, events: str | None) -> tuple[str | None, tuple[str, ...]]:
        """The URL as it will be called, and the intermediate events that a header asks for.

        Raises:
            InvalidInput: the URL cannot be one, or an event is not known.
        """
        ...

    def left_alone(self, origin: str) -> tuple[int, float] | None:
        """Failures in a row and seconds left, where a host's deliveries are held back."""
        ...

    async def page(
        self, *, whose: Whose, state: str | None, since: float | None, until: float | None, before: int, limit: int
    ) -> list[Delivery]:
        """Deliveries with a smaller number than `before`, newest first."""
        ...

    async def of_request(self, request_id: str, whose: Whose) -> list[Delivery]:
        """A request's deliveries, newest first.

        Raises:
            NotFound: the request is somebody else's, or there is none.
        """
        ...

    async def find(self, name: str, whose: Whose) -> tuple[Delivery, list[Try]]:
        """A delivery with its tries, by its id, or by a tail of its or its request's id that is the newest's.

        Raises:
            NotFound: there is none, or it is somebody else's.
        """
        ...

    async def replay(self, deliveries: list[Delivery]) -> None:
        """Owe deliveries again, at once, under the same ids."""
        ...

    async def missed(
        self, *, after: int, target: str | None, whose: Whose, everything: bool, limit: int
    ) -> list[tuple[Owed, str]]:
        """What did not arrive, with its state, oldest first, after number `after`; `everything`: what did, too."""
        ...

    async def signed(self, owed: Owed) -> tuple[dict[str, str], bytes] | None:
        """Headers and body of a delivery, signed now; None where its request is kept no more."""
        ...

    async def listen(self, app: str, caller: str, owner: str) -> str:
        """Begin a listener: a target that fetches what it is owed. Returns its id."""
        ...

    async def fetch(self, listener: str, owner: str, wait: float) -> list[Owed]:
        """What a listener is owed, waiting up to `wait` seconds for something.

        Raises:
            NotFound: there is no such listener of this key.
        """
        ...

    async def listener_tried(self, listener: str, owner: str, delivery_id: str, tried: Tried) -> Next:
        """A listener's report on one delivery; what becomes of it.

        Raises:
            NotFound: the listener is not this key's, or the delivery not the listener's, or not owed.
        """
        ...

    async def end_listener(self, listener: str, owner: str) -> None:
        """Forget a listener, and what is held for it.

        Raises:
            NotFound: there is no such listener of this key.
        """
        ...

    def jwks(self) -> dict[str, Any]:
        """The public keys, as `/.well-known/jwks.json` shows them."""
        ...

    def secrets(self, url: str = "") -> list[str]:
        """The secrets that sign for a target, newest first; the default ones without it."""
        ...

    async def rotate(self, kind: str, *, target: str, at_once: bool) -> NewKey:
        """Make a new key; the old one goes on for the overlap, or not at all with `at_once`.

        Raises:
            InvalidInput: no such kind, or a target that cannot be one.
        """
        ...


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
