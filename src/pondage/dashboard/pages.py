"""`/ui/…`: one page for every address, its files, and the headers that keep it to itself."""

from __future__ import annotations

import asyncio
from urllib.parse import quote, urlsplit

from pondage.dashboard.assets import built, page
from pondage.errors import NotFound
from pondage.gateway.answers import Answer
from pondage.gateway.call import Call, Response

_YEAR = 31_536_000

_COMMON = [
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


def policy(files_origin: str = "") -> str:
    """The content security policy of every page: nothing from elsewhere, no script but ours, no HTML from text.

    `files_origin` is where files are, if not with us.
    """
    files = f" {files_origin}" if files_origin else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            f"img-src 'self' data: blob:{files}",
            f"media-src 'self' blob:{files}",
            "worker-src 'self'",
            "font-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types pondage",
        )
    )


def prefix_of(call: Call) -> str:
    """The path before ours, which `public_url` may have; empty at the root."""
    return urlsplit(call.rooms.settings.public_url).path.rstrip("/")


def _elsewhere(call: Call) -> str:
    """The origin of files where it is another than the page's."""
    own, files = urlsplit(call.origins.run), urlsplit(call.origins.cdn)
    return "" if own[:2] == files[:2] else f"{files.scheme}://{files.netloc}"


async def show_page(call: Call) -> Response:
    """A page for people."""
    body = await asyncio.to_thread(page, prefix_of(call))
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        (b"content-security-policy", policy(_elsewhere(call)).encode("latin-1", "replace")),
        (b"permissions-policy", b"camera=(self), microphone=(self), geolocation=()"),
        *_COMMON,
    ]
    return Answer(200, body, headers)


async def show_asset(call: Call) -> Response:
    """A file of the pages.

    Raises:
        NotFound: of another build than the one that is served; the page then says that it is old.
    """
    build = await asyncio.to_thread(built)
    asset = build.assets.get(call.params["name"])
    if asset is None or call.params["build"] != build.id:
        raise NotFound("there is no such file in this build of the pages; reload the page")
    headers = [
        (b"content-type", asset.content_type.encode()),
        (b"cache-control", f"public, max-age={_YEAR}, immutable".encode()),
        (b"vary", b"accept-encoding"),
        *_COMMON,
    ]
    offered = {part.partition(";")[0].strip() for part in call.headers.get("accept-encoding", "").lower().split(",")}
    for coding, body in (("br", asset.brotli), ("gzip", asset.gzip)):
        if coding in offered:
            return Answer(200, body, [*headers, (b"content-encoding", coding.encode())])
    return Answer(200, asset.plain, headers)


async def lead_in(call: Call) -> Response:
    """The way from `/` to the pages."""
    return _led(call, "/ui/")


def for_people(call: Call) -> Response | None:
    """The playground of an endpoint whose address was opened in a browser; None for a call.

    A navigation is a GET that wants HTML first. `Sec-Fetch-Dest` would say it outright, and is missing where people
    need it: on plain HTTP in a local network.
    """
    if not call.headers.get("accept", "").startswith("text/html") or "authorization" in call.headers:
        return None
    if call.query.get("fal_jwt_token") is not None:
        return None
    return _led(call, "/ui/apps/" + quote(call.path.strip("/"), safe="/"))


def _led(call: Call, path: str) -> Response:
    # A path, not a URL: the browser stays on the host by which it came.
    headers = [(b"location", (prefix_of(call) + path).encode("latin-1", "replace")), (b"cache-control", b"no-store")]
    return Answer(302, b"", headers)
