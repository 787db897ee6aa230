"""URLs as they may be shown: a bucket's secret, a password, must not get into a terminal, a log or an error."""

from __future__ import annotations

from urllib.parse import unquote

_HARMLESS = frozenset(
    {
        "endpoint", "aws_endpoint", "endpoint_url", "aws_endpoint_url", "region", "aws_region", "default_region",
        "aws_default_region", "bucket", "aws_bucket", "virtual_hosted_style_request", "allow_http", "container_name",
        "account_name", "use_emulator", "skip_signature", "imdsv1_fallback", "unsigned_payload",
    }
)  # fmt: skip
"""Options in the query of a URL whose values may be shown; all others may be secrets."""


def masked(text: str) -> str:
    """A URL as it may be shown: `…` for its user name and password, and for the values of its query but harmless ones.

    What is no URL stays as it is.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    rest, _, fragment = rest.partition("#")
    place, question, query = rest.partition("?")
    authority, slash, path = place.partition("/")
    user, at, host = authority.rpartition("@")
    shown = f"{scheme}://{'…@' if at and user else ''}{host}{slash}{path}"
    if question:
        shown += "?" + "&".join(_masked_option(option) for option in query.split("&"))
    return shown + ("#…" if fragment else "")


def _masked_option(option: str) -> str:
    name, equals, value = option.partition("=")
    if not equals:
        return "…" if name else ""
    return f"{name}={masked(unquote(value)) if name.lower() in _HARMLESS else '…'}"
