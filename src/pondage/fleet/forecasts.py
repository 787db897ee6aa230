"""What is expected of requests: the histories of all apps, learnt from every outcome, and what their runners do now.

A server that starts reads its newest finished requests again, with what was said of them then (`NewRequest.said`), so
that a restart forgets nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from pondage.clock import Clock
from pondage.fleet.accounts import Accounts
from pondage.fleet.expectations import MEMORY, AppHistory, Expected, Load, Span, cost_of
from pondage.fleet.interface import Calibrated, Forecast
from pondage.fleet.runners import RunnerPhase
from pondage.queue.interface import NewRequest, Queue, RequestView, ToldForecast
from pondage.wire.events import Outcome
from pondage.wire.frames import AppInfo, EndpointInfo
from pondage.wire.states import OutcomeKind, State

SAMPLED_EVERY = 0.05
"""Seconds between two requests of an endpoint from which is learnt, once `MEMORY` of them were, and between two for
which what is expected is written down: twenty a second tell as much as a thousand."""
UNKNOWN_SETUP = 10.0
"""Seconds that a runner is taken to set up where none was seen."""


class _Sampling:
    """Of which requests of an endpoint notice is taken. Times are wall seconds."""

    __slots__ = ("learnt", "learnt_at", "said_at", "usual")

    def __init__(self) -> None:
        self.learnt = 0
        self.learnt_at = 0.0
        self.said_at = 0.0
        self.usual: float | None = None
        """The seconds of a run of cost 1, as they were at `said_at`."""


class _AppKnowledge:
    """What is known of one app."""

    __slots__ = ("history", "paths")

    def __init__(self) -> None:
        self.history = AppHistory()
        self.paths: dict[str, _Sampling] = {}

    def sampling(self, path: str) -> _Sampling:
        sampling = self.paths.get(path)
        if sampling is None:
            sampling = self.paths[path] = _Sampling()
        return sampling


class Forecasts:
    """Called on the loop. `accounts` know the runners and what they have."""

    def __init__(self, queue: Queue, clock: Clock, accounts: Accounts) -> None:
        self._queue = queue
        self._clock = clock
        self._accounts = accounts
        self._known: dict[str, _AppKnowledge] = {}
        self._setups: dict[str, float] = {}
        self._recalled: set[str] = set()

    # ---- learning

    async def recall(self, apps: Sequence[str]) -> None:
        """Learn from the finished requests of these apps, at start."""
        for app in apps:
            if app in self._recalled:
                continue
            found = await self._queue.history(app, MEMORY)
            self._recalled.add(app)
            known = self._of(app)
            for one in found:
                known.sampling(one.path).learnt += 1
                if one.seconds is not None:
                    known.history.ran(one.path, one.cost, one.seconds)
                if one.said is not None and one.total >= 0:
                    known.history.came(_expected(one.said), one.total)

    def ended(self, request: NewRequest, outcome: Outcome) -> None:
        """A request has ended in its runner. Those that ended badly, and sessions, say nothing of others."""
        if outcome.kind is not OutcomeKind.OK or request.mode == "session":
            return
        known, now = self._of(request.app), self._clock.wall()
        sampling, history = known.sampling(request.path), known.history
        if sampling.learnt >= MEMORY and 0 <= now - sampling.learnt_at < SAMPLED_EVERY and request.said is None:
            return
        sampling.learnt, sampling.learnt_at = sampling.learnt + 1, now
        if outcome.inference_time is not None:
            history.ran(request.path, request.cost, outcome.inference_time)
        if request.said is not None:
            total = now - request.submitted_at
            if total >= 0:  # the clock may have been set back
                history.came(_expected(request.said), total)

    def set_up(self, app: str, seconds: float) -> None:
        """A runner took so long until it was ready."""
        before = self._setups.get(app)
        self._setups[app] = seconds if before is None else (before + seconds) / 2

    # ---- telling

    def of_new(
        self, app: str, path: str, cost: float, priority: int, caller: str, now: float
    ) -> tuple[float | None, ToldForecast | None]:
        """The seconds that a request will run, and, now and then, what is to be written down of it. `now` is wall."""
        known = self._known.get(app)
        if known is None:
            return None, None
        if (sampling := known.paths.get(path)) is None:
            return None, None
        lately = 0 <= now - sampling.said_at < SAMPLED_EVERY
        run = sampling.usual if lately and cost == 1.0 else known.history.seconds(path, cost)
        if lately or run is None:
            return run, None
        sampling.said_at, sampling.usual = now, known.history.seconds(path, 1.0)
        expected = known.history.expect(path, cost, self._load(app, self._queue.work_ahead(app, priority, caller)))
        if expected is None:
            return run, None
        return run, ToldForecast(expected.wait, expected.run, expected.end.p50, expected.end.p90)

    def quote(self, app: str, path: str, cost: float, ahead: float) -> Forecast:
        """When a request would start and end that waits behind `ahead` seconds of running."""
        known = self._known.get(app)
        expected = known and known.history.expect(path, cost, self._load(app, ahead))
        return Forecast(expected.start, expected.end) if expected else Forecast(None, None)

    def of(self, view: RequestView) -> Forecast:
        """When a request starts and ends, counted from now."""
        if view.state is State.QUEUED:
            return self.quote(view.app, view.path, view.cost, view.work_ahead or 0.0)
        known = self._known.get(view.app)
        if known is None or view.state is not State.RUNNING or view.started_at is None or view.mode == "session":
            return Forecast(None, None)
        elapsed = max(self._clock.wall() - view.started_at, 0.0)
        return Forecast(None, known.history.expect_rest(view.path, view.cost, elapsed))

    def calibrated(self, app: str) -> Calibrated | None:
        """How often what was said came true; None where nothing was said."""
        known = self._known.get(app)
        if known is None or not known.history.half.told:
            return None
        half, most = known.history.half, known.history.most
        return Calibrated(half.told, round(half.kept / half.told, 4), round(most.kept / most.told, 4))

    def _load(self, app: str, ahead: float) -> Load:
        now = self._clock.monotonic()
        slots = ready = 0
        running: list[float] = []
        began: list[float] = []
        known = self._known[app]
        for runner in self._accounts.runners(app):
            if runner.leaving is not None or runner.phase in (RunnerPhase.LOST, RunnerPhase.DRAINING):
                continue
            if runner.phase is RunnerPhase.STARTING:
                began.append(now - runner.began)
                continue
            ready += 1
            slots += runner.slots.total
            for one in runner.running.values():
                request, elapsed = one.claim.request, now - one.began
                run = known.history.seconds(request.path, request.cost)
                running.append(max((run or 0.0) - elapsed, elapsed / 10))
        each = max(slots // ready, 1) if ready else 1
        starting = 0.0
        if not ready:
            setup = self._setups.get(app, UNKNOWN_SETUP)
            starting = max(setup - max(began, default=0.0), setup / 10)
        return Load(ahead, running, slots + each * max(len(began), 0 if ready else 1), starting)

    def _of(self, app: str) -> _AppKnowledge:
        known = self._known.get(app)
        if known is None:
            known = self._known[app] = _AppKnowledge()
        return known


def _expected(said: ToldForecast) -> Expected:
    nothing = Span(0.0, 0.0)
    return Expected(nothing, Span(said.p50, said.p90), said.run, said.wait)


# ---- the cost of an input


def cost_of_input(info: AppInfo | None, path: str, body: bytes) -> float:
    """How dear a request is, by the fields that its endpoint names; 1 where it names none. What is left out counts as
    the default that its type has."""
    for endpoint in info.endpoints if info is not None else ():
        if endpoint.path == path:
            return _cost(endpoint, body) if endpoint.cost else 1.0
    return 1.0


def _cost(endpoint: EndpointInfo, body: bytes) -> float:
    given = _reader(endpoint.cost)
    try:
        values = given(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        values = {}  # no object: the runner will say so
    properties: Any = (endpoint.input_schema or {}).get("properties", {})
    for name in endpoint.cost:
        if name not in values and isinstance(schema := properties.get(name), dict):
            values[name] = schema.get("default")
    return cost_of(endpoint.cost, values)


@lru_cache(maxsize=256)
def _reader(fields: tuple[str, ...]) -> Any:
    """Reads these members of an object and passes over all others, however large they are."""
    places = {f"f{n}": name for n, name in enumerate(fields)}
    shape = msgspec.defstruct("Costs", [(place, Any, msgspec.UNSET) for place in places], rename=places)
    decode = msgspec.json.Decoder(shape).decode

    def read(body: bytes) -> dict[str, Any]:
        found = decode(body)
        values = {name: getattr(found, place) for place, name in places.items()}
        return {name: value for name, value in values.items() if value is not msgspec.UNSET}

    return read
