"""The states of a request and the one table of legal moves. Every write of every engine goes through it.

::

    submit ──▶ queued ──claim──▶ in progress ──complete──▶ completed
                 │ ▲                │   │                     ▲
                 │ └────retry───────┘   └──────cancel─────────┤
                 └──────────cancel, expire───────────────────-┘

`completed` is final: the first outcome wins. A write that carries an old attempt number is stale: it changes
nothing and is kept as evidence.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a request is; the values are fal's status words (PROTOCOL 4.5), and there are no others."""

    QUEUED = "IN_QUEUE"
    RUNNING = "IN_PROGRESS"
    DONE = "COMPLETED"


class Move(StrEnum):
    CLAIM = "claim"
    COMPLETE = "complete"
    RETRY = "retry"
    CANCEL = "cancel"
    EXPIRE = "expire"


class OutcomeKind(StrEnum):
    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"


LEGAL_MOVES: dict[tuple[State, Move], State] = {
    (State.QUEUED, Move.CLAIM): State.RUNNING,
    (State.QUEUED, Move.CANCEL): State.DONE,
    (State.QUEUED, Move.EXPIRE): State.DONE,
    (State.RUNNING, Move.COMPLETE): State.DONE,
    (State.RUNNING, Move.RETRY): State.QUEUED,
    (State.RUNNING, Move.CANCEL): State.DONE,
}


def moved(state: State, move: Move) -> State | None:
    """The state after `move`, or None where the move is not legal from `state`."""
    return LEGAL_MOVES.get((state, move))


class EventKind(StrEnum):
    """The kinds of entries in a request's log."""

    QUEUED = "queued"
    STARTED = "started"
    LOG = "log"
    PROGRESS = "progress"
    CHUNK = "chunk"
    RETRIED = "retried"
    STALE = "stale"
    COMPLETED = "completed"
    OPERATED = "operated"
