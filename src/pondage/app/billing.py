"""What an endpoint declares to bill by: checked as it is declared, and shown with the app. Nothing is billed here."""

from __future__ import annotations

import json
from typing import Any

from pondage.app.ported import BillingDeclaration

_MEMBERS = {"version", "schema_id", "app"}
_VERSION = 1


def declared(path: str, billing: object) -> dict[str, Any]:
    """The components of `endpoint(billing=…)`.

    Raises:
        TypeError: it is no object with a method `declaration()`.
        ValueError: what that returns is no `BillingComponents`.
    """
    if isinstance(billing, type) or not isinstance(billing, BillingDeclaration) or not callable(billing.declaration):
        raise TypeError(f"endpoint({path!r}, billing=…): must be an object with a method declaration()")
    components: Any = billing.declaration()
    if not isinstance(components, dict) or components.keys() != _MEMBERS:
        raise _wrong(path, f"must be a dict with exactly {', '.join(sorted(_MEMBERS))}")
    if isinstance(components["version"], bool) or components["version"] != _VERSION:
        raise _wrong(path, f"has the version {components['version']!r}, not {_VERSION}")
    if not isinstance(components["schema_id"], str) or not components["schema_id"]:
        raise _wrong(path, "needs a schema_id, a text")
    if not isinstance(components["app"], dict) or components["app"].get("type") != "object":
        raise _wrong(path, "needs the JSON schema of an object as app")
    try:
        kept = json.loads(json.dumps(components, allow_nan=False))
    except (TypeError, ValueError):
        raise _wrong(path, "is not JSON throughout") from None
    if kept != components:
        raise _wrong(path, "has keys or lists that JSON changes")
    return dict(components)


def _wrong(path: str, what: str) -> ValueError:
    return ValueError(f"the declaration of endpoint({path!r}, billing=…) {what}")
