"""The outbox as tables: what is owed, what became of it, and the log of every try."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pondage.database.interface import Cursor, Database
from pondage.database.named import load
from pondage.webhooks.interface import EVERYBODYS, Delivery, Next, Owed, Tried, Try, Whose

SQL = load("pondage.webhooks", "sql/outbox.sql")
LISTENER = "listen://"
"""Targets that begin so are listeners: they fetch what they are owed."""


class Outbox:
    """Every statement that the webhooks room runs. Writes return after their commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- the sender's

    async def heads(self) -> tuple[int, list[tuple[str, float]]]:
        """The newest number, and each origin with the time at which its first delivery is due."""

        def operation(cursor: Cursor) -> tuple[int, list[tuple[str, float]]]:
            newest = next(iter(cursor.execute(SQL["newest"])))[0]
            return newest, list(cursor.execute(SQL["heads"]))

        return await self._database.read(operation)

    async def heard(self, after: int, limit: int) -> list[tuple[int, str, float]]:
        """Number, origin and due time of the deliveries that were added after number `after`."""
        return await self._database.read(lambda cursor: list(cursor.execute(SQL["heard"], (after, limit))))

    async def due(self, origin: str, now: float, limit: int) -> tuple[list[Owed], float | None]:
        """One origin's due deliveries that may go now, and when the next one after `now` is due."""

        def operation(cursor: Cursor) -> tuple[list[Owed], float | None]:
            rows = [Owed(*row) for row in cursor.execute(SQL["due"], (origin, now, limit))]
            return rows, next(iter(cursor.execute(SQL["next_due"], (origin, now))))[0]

        return await self._database.read(operation)

    async def record(self, owed: Owed, tried: Tried, then: Next, note: str) -> None:
        """Log a try and what becomes of its delivery."""
        ended = None if then.state == "owed" else then.due_at
        reason = "; ".join(part for part in (tried.reason, then.note) if part) or None

        def operation(cursor: Cursor) -> None:
            # A replay or a listener's late answer may have come between: the log's number is counted here.
            count = next(iter(cursor.execute("SELECT tries FROM deliveries WHERE id = ?", (owed.n,))), None)
            if count is None:
                return
            n = count[0] + 1
            cursor.execute(
                SQL["insert_try"],
                (owed.n, n, tried.at, tried.duration, tried.status, reason or "", note, tried.answer),
            )
            cursor.execute(SQL["update_tried"], (n, then.state, then.due_at, tried.status, reason, ended, owed.n))
            if owed.event == "completed":
                cursor.execute(SQL["overtaken_by_outcome"], (then.due_at, owed.request_id, owed.target, owed.seq))
            if tried.status == 410:
                cursor.execute(SQL["disable"], (then.due_at, owed.request_id, owed.target))

        await self._database.write(operation)

    async def drop_if_overtaken(self, owed: Owed, now: float) -> bool:
        """End a progress delivery unsent where a newer one is owed already. True: it ended."""

        def operation(cursor: Cursor) -> bool:
            found = cursor.execute(SQL["progress_overtaken"], (owed.request_id, owed.target, owed.seq))
            if not list(found):
                return False
            cursor.execute(SQL["drop_progress"], (now, owed.n))
            return True

        return await self._database.write(operation)

    async def owed(self, delivery_id: str) -> Owed | None:
        """A delivery, if it is owed."""
        rows = await self._database.read(lambda cursor: list(cursor.execute(SQL["owed"], (delivery_id,))))
        return Owed(*rows[0]) if rows else None

    async def used(self) -> bool:
        """Whether anybody has given a webhook, or listens."""
        return await self._database.read(lambda cursor: bool(next(iter(cursor.execute(SQL["used"])))[0]))

    async def postpone(self, owed: Owed, until: float) -> None:
        """Make a delivery due later; no try is counted."""
        await self._database.write(lambda cursor: cursor.execute(SQL["postpone"], (until, owed.n)) and None)

    async def bring_forward(self, seconds: float) -> None:
        """Everything that is owed is due so much earlier: the clock was set back."""
        await self._database.write(lambda cursor: cursor.execute(SQL["bring_forward"], (seconds,)) and None)

    async def due_again(self, now: float, *, later_than: float) -> None:
        """What is due later than any try could be is due now."""
        await self._database.write(lambda cursor: cursor.execute(SQL["due_again"], (now, later_than)) and None)

    async def expire(self, now: float, before: float) -> None:
        """Give up what is due and owed since before `before`."""
        await self._database.write(lambda cursor: cursor.execute(SQL["expire"], (now, now, before)) and None)

    async def owner(self, request_id: str) -> tuple[str, str] | None:
        """The API key that a request came with (empty for none) and its app; None where it is not known (any more)."""
        rows = await self._database.read(lambda cursor: list(cursor.execute(SQL["owner"], (request_id,))))
        return rows[0] if rows else None

    # ---- people's and programs'

    async def get(self, delivery_id: str) -> tuple[Delivery, list[Try]] | None:
        """A delivery and its log of tries."""

        def operation(cursor: Cursor) -> tuple[Delivery, list[Try]] | None:
            row = next(iter(cursor.execute(SQL["one"], (delivery_id,))), None)
            if row is None:
                return None
            delivery = Delivery(*row)
            return delivery, [Try(*entry) for entry in cursor.execute(SQL["tries"], (delivery.n,))]

        return await self._database.read(operation)

    async def named(self, tail: str, whose: Whose) -> list[str]:
        """The ids of at most two deliveries whose own or request's id ends in `tail`, newest first."""
        bindings = {"tail": "%" + tail.replace("%", "").replace("_", ""), **whose.bindings()}
        rows = await self._database.read(lambda cursor: list(cursor.execute(SQL["tail"], bindings)))
        return [row[0] for row in rows]

    async def page(
        self,
        *,
        state: str | None = None,
        since: float | None = None,
        until: float | None = None,
        whose: Whose = EVERYBODYS,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Delivery]:
        """Deliveries, newest first, that fit every condition given."""
        bindings = {"state": state, "since": since, "until": until, "before": before, "limit": limit}
        bindings |= whose.bindings()
        return await self._database.read(
            lambda cursor: [Delivery(*row) for row in cursor.execute(SQL["list"], bindings)]
        )

    async def of_request(self, request_id: str, limit: int = 1000) -> list[Delivery]:
        """A request's deliveries, newest first."""
        return await self._database.read(
            lambda cursor: [Delivery(*row) for row in cursor.execute(SQL["of_request"], (request_id, limit))]
        )

    async def missed(
        self, *, after: int, target: str | None, whose: Whose, everything: bool, limit: int
    ) -> list[tuple[Owed, str]]:
        """Deliveries and their states after number `after`, oldest first; what did not arrive, or `everything`."""
        bindings = {"after": after, "target": target, "all": everything, "limit": limit, **whose.bindings()}
        return await self._database.read(
            lambda cursor: [(Owed(*row[:-1]), row[-1]) for row in cursor.execute(SQL["missed"], bindings)]
        )

    async def replay(self, numbers: Sequence[int], now: float) -> None:
        """Owe these deliveries again, due at once, under the same ids."""
        bindings = {"now": now, "ids": json.dumps(list(numbers))}
        await self._database.write(lambda cursor: cursor.execute(SQL["replay"], bindings) and None)

    # ---- listeners

    async def put_listener(self, listener: str, app: str, caller: str, owner: str, now: float) -> None:
        """Begin to owe a listener of the key `owner` every outcome, or one app's, or one caller's."""
        row = (listener, app, caller, owner, now, now)
        await self._database.write(lambda cursor: cursor.execute(SQL["put_listener"], row) and None)

    async def listeners_of(self, owner: str) -> int:
        """How many listeners of a key there are."""
        rows = await self._database.read(lambda cursor: list(cursor.execute(SQL["listeners_of"], (owner,))))
        return int(rows[0][0])

    async def listener_owner(self, listener: str) -> str | None:
        """The key that began a listener; None where it is not known (any more)."""
        rows = await self._database.read(lambda cursor: list(cursor.execute(SQL["listener"], (listener,))))
        return rows[0][0] if rows else None

    async def see_listener(self, listener: str, now: float) -> None:
        """Note that a listener is there."""
        await self._database.write(
            lambda cursor: cursor.execute(SQL["see_listener"], (now, listener)) and None, lazy=True
        )

    async def drop_listeners(self, listener: str, before: float) -> None:
        """Forget a listener, and those that were not seen since `before`, with all that was held for them."""

        def operation(cursor: Cursor) -> None:
            cursor.execute(SQL["drop_listeners"], (listener, before))
            cursor.execute(SQL["drop_unheard"])

        await self._database.write(operation)
