"""The outcomes that we give ourselves, each coined once: everything that is neither an app's result nor its own error.

A request that was started never ends in 429, 502, 503, nor in 504 but for its own limit: clients would send the POST
once more (PROTOCOL 9.4).
"""

from __future__ import annotations

from pondage.wire.events import Outcome

_BY_LIMIT = {"x-fal-request-timeout-type": "user"}


def cancelled(why: str = "") -> Outcome:
    """Its caller, or an operator, has cancelled it."""
    return Outcome.failure(499, f"the request was cancelled{f': {why}' if why else ''}", "client_cancelled")


def withdrawn() -> Outcome:
    """The server stopped before anything was begun, and its caller cannot come back for it."""
    why = "the server was stopped before anything was begun, and its caller was told to repeat it"
    return Outcome.failure(499, why, "client_cancelled")


def hung_up() -> Outcome:
    """The caller of a session left before there was a slot."""
    return Outcome.failure(499, "the caller left before its session began", "client_disconnected")


def not_started_in_time() -> Outcome:
    """No runner took it within its start limit (PROTOCOL 4.3, 9.2)."""
    why = "no runner could start the request within its start timeout"
    return Outcome.failure(504, why, "request_timeout", **_BY_LIMIT)


def ran_too_long(seconds: float | None) -> Outcome:
    """It ran past its limit, which its runner did not keep by itself (docs/errors.md)."""
    why = f"the request ran longer than its limit of {seconds:g} s"
    return Outcome.failure(504, why, "request_timeout", **_BY_LIMIT)


def cannot_run(app: str, fault: str) -> Outcome:
    """Its app does not import, or its `setup()` fails, and it did not wait."""
    return Outcome.failure(500, f"{app} cannot run: {fault}", "runner_scheduling_failure")


def runner_gone(why: str) -> Outcome:
    """Its runner died under it, and it does not run again."""
    return Outcome.failure(500, why, "runner_disconnected")


def device_failed(message: str) -> Outcome:
    """A device failed under it, and it does not run again: fal's name for what failed outside of the app's function."""
    return Outcome.failure(500, message, "runner_server_error")


def not_handed_in(reason: str) -> Outcome:
    """What the app returned cannot be carried."""
    return Outcome.failure(500, f"the outcome of this request could not be handed in: {reason}", "internal_error")


def no_longer_kept() -> Outcome:
    """Its output was dropped."""
    gone = "the output is no longer kept: its time was over, or somebody has deleted it"
    return Outcome.failure(410, gone, "bad_request")
