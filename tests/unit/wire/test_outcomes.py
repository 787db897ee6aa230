"""Outcomes that we give ourselves are coined in one module, and none invites a client to send its POST once more."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pondage
from pondage.wire import outcomes
from pondage.wire.events import Outcome
from pondage.wire.states import OutcomeKind

ROOT = Path(pondage.__file__).parent


def test_nobody_else_coins_one() -> None:
    coined = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "Outcome.failure"
    }
    assert coined == {"wire/outcomes.py"}


def test_none_is_answered_by_sending_the_request_again() -> None:
    given: dict[str, Any] = {"why": "w", "seconds": 2.0, "app": "a/b", "fault": "f", "message": "m", "reason": "r"}
    made: dict[str, Outcome] = {}
    for name, coin in inspect.getmembers(outcomes, inspect.isfunction):
        if coin.__module__ == outcomes.__name__:
            made[name] = coin(**{wanted: given[wanted] for wanted in inspect.signature(coin).parameters})
    assert len(made) == 10
    for name, outcome in made.items():
        assert outcome.kind is OutcomeKind.CANCELLED or outcome.kind is OutcomeKind.ERROR, name
        assert outcome.error and outcome.error_type, name
        assert outcome.status not in {429, 502, 503}, name
        assert outcome.status != 504 or outcome.headers["x-fal-request-timeout-type"] == "user", name
    assert outcomes.cancelled().error == "the request was cancelled"
    assert outcomes.cancelled("too dear").error == "the request was cancelled: too dear"
