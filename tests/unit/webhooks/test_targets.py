"""Which URLs may be given as a webhook, and what is said about a bad one."""

from __future__ import annotations

from typing import Any

import pytest

from pondage.errors import InvalidInput
from pondage.settings import Settings
from pondage.webhooks.targets import check_events, check_target, private_policy, start_line


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://example.org/hook?x=1&y=%20", "https://example.org/hook?x=1&y=%20"),
        ("HTTPS://Example.ORG", "https://example.org/"),
        ("http://example.org:80/a#part", "http://example.org/a"),
        ("http://127.0.0.1:3000/hook", "http://127.0.0.1:3000/hook"),
        ("http://[::1]:3000?x", "http://[::1]:3000/?x"),
        ("https://bücher.example/größe", "https://xn--bcher-kva.example/gr%C3%B6%C3%9Fe"),
    ],
)
def test_one_spelling(given: str, kept: str) -> None:
    assert check_target(given) == kept
    assert check_target(kept) == kept


@pytest.mark.parametrize(
    "given",
    [
        "", "hook", "example.org/hook", "ftp://example.org/", "file:///etc/passwd", "https://", "https:///x",
        "http://user:secret@example.org/", "http://example.org:99999/", "http://[::1/", "http://a b/",
        "http://example.org/\r\nX: y", "https://example.org/" + "x" * 2048,
    ],
)  # fmt: skip
def test_refused_with_the_field_named(given: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_target(given)
    detail: Any = refused.value.detail
    assert refused.value.status == 422 and detail[0]["loc"] == ["query", "fal_webhook"]


def test_events() -> None:
    assert check_events(None) == ()
    assert check_events(" Started, log,started ,") == ("started", "log")
    with pytest.raises(InvalidInput, match="'chunk'"):
        check_events("chunk")


@pytest.mark.parametrize(
    ("settings", "open_server", "policy"),
    [
        (Settings(), True, "loopback"),
        (Settings(), False, "none"),
        (Settings(webhook_private=False), True, "none"),
        (Settings(webhook_private=True), False, "private"),
    ],
)
def test_private_addresses(settings: Settings, open_server: bool, policy: str) -> None:
    assert private_policy(settings, open_server=open_server) == policy
    assert "webhooks" in start_line(settings, open_server=open_server)
