"""What is done to the server and when: pure, and the same for the same seed."""

from __future__ import annotations

import random
from typing import Literal, NamedTuple

Kill = Literal["gateway", "runner", "runners", "everything", "stopped_runner", "power", "torn_log", "damaged_database"]
Disturbance = Literal[
    "disk_full", "slow_sync", "failing_sync", "clock_jump", "lost_answers", "doubled_answers", "late_answers",
    "lost_receipts", "stopped_gateway", "damaged_file",
]  # fmt: skip

KILLS: tuple[Kill, ...] = (
    "gateway", "gateway", "gateway", "gateway", "runner", "runner", "runner", "runners", "everything", "everything",
    "stopped_runner", "power", "power", "torn_log", "torn_log", "damaged_database",
)  # fmt: skip
"""One deck. Each ends processes: of the gateway, of a runner, of all runners, of all; of a runner that was stopped past
its lease; of all, with the loss of what was not synced; of the gateway, with a torn log; of all, with damage."""
DISTURBANCES: tuple[Disturbance, ...] = (
    "disk_full", "slow_sync", "failing_sync", "clock_jump", "lost_answers", "doubled_answers", "late_answers",
    "lost_receipts", "stopped_gateway", "damaged_file",
)  # fmt: skip

Kind = Literal["result", "run", "later", "webhook", "cancel", "stream", "file", "race"]
_KINDS: dict[Kind, int] = {  # in a thousand; most are of the kind that costs one exchange
    "run": 500, "result": 263, "later": 100, "webhook": 60, "cancel": 40, "stream": 25, "file": 10, "race": 2,
}  # fmt: skip


class Fault(NamedTuple):
    """`at`: how many requests have begun by then. `seed` decides whatever else there is to choose."""

    at: int
    kind: Kill | Disturbance
    seed: int

    @property
    def kills(self) -> bool:
        return self.kind in KILLS


class Planned(NamedTuple):
    """A call: its kind, how long its work takes, and a seed for the rest."""

    n: int
    kind: Kind
    seconds: float
    seed: int


def faults(seed: int, kills: int, requests: int) -> list[Fault]:
    """The faults of a run, in order: `kills` of them end processes, and before each one something else goes wrong."""
    chance = random.Random(f"faults {seed}")  # noqa: S311 - repeatable on purpose
    ending: list[Kill | Disturbance] = _dealt(chance, KILLS, kills)
    disturbing: list[Kill | Disturbance] = _dealt(chance, DISTURBANCES, kills)
    both = [kind for pair in zip(disturbing, ending, strict=True) for kind in pair]
    gap = requests / (len(both) + 1)
    return [
        Fault(round(gap * (n + 1 + chance.uniform(-0.3, 0.3))), kind, chance.getrandbits(32))
        for n, kind in enumerate(both)
    ]


def _dealt(chance: random.Random, deck: tuple[Kill | Disturbance, ...], count: int) -> list[Kill | Disturbance]:
    """`count` cards, from one shuffled deck after the other."""
    dealt: list[Kill | Disturbance] = []
    while len(dealt) < count:
        dealt += chance.sample(deck, len(deck))
    return dealt[:count]


def planned(seed: int, n: int) -> Planned:
    """The n-th call of a run."""
    chance = random.Random(f"call {seed} {n}")  # noqa: S311 - repeatable on purpose
    kind = chance.choices(list(_KINDS), list(_KINDS.values()))[0]
    seconds = chance.choice((0.0, 0.0, 0.0, 0.0, 0.0, 0.01, 0.02, 0.05, 0.2))
    if kind in ("cancel", "stream"):
        seconds = chance.uniform(0.0, 0.4)
    return Planned(n, kind, seconds, chance.getrandbits(32))
