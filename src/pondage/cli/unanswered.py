"""Why no answer came, in one sentence each: nothing listens, no such host, a certificate, a proxy, a file's host.

"Nothing answers" is said only where that is known.
"""

from __future__ import annotations

import socket
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from pondage.cli import reach
from pondage.client.errors import ConnectionError
from pondage.wire.masking import masked


class Reason(NamedTuple):
    """A code for `pondage explain`, what happened, and what to do."""

    code: str
    text: str
    hint: str


def reason(error: ConnectionError, server: str | None) -> Reason:
    """Why `error` happened.

    Args:
        error: what the client raised; its causes are what the HTTP library and the system said.
        server: what `--server` says.
    """
    address = reach.address(server)
    asked = error.origin or origin(address.url)
    shown, causes = masked(asked), _causes(error)
    theirs = asked != origin(address.url)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            said = cause.verify_message or "it is signed by no authority that this machine trusts"
            return Reason("server.certificate", f"the certificate of {shown} is not trusted: {said}", trust())
    if (proxy := _proxy(asked)) is not None:
        host = urlsplit(asked).hostname
        text = f"{shown} is asked through the proxy {masked(proxy)}, and no answer came: {_said(causes)}"
        return Reason("server.proxy", text, f"without the proxy: export NO_PROXY={host}")
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        hint = f"try http://{urlsplit(asked).netloc}" if theirs else f"try --server http://{urlsplit(asked).netloc}"
        return Reason("server.tls", f"{shown} answers, but not with https: {_said(causes)}", hint)
    if theirs:
        text = f"the file's host {shown} does not answer: {_said(causes)}"
        return Reason("files.unreachable", text, "its server gave this address; is that server's --public-url right?")
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        text = f"there is no host {urlsplit(asked).hostname} ({address.source})"
        return Reason("server.unknown_host", text, "check the name; other address: --server URL")
    if error.broke:
        text = f"{shown} took the connection and closed it without an answer: {_said(causes)}"
        return Reason(
            "server.no_answer", text, "does it want https? try --server https://…          check: pondage doctor"
        )
    hint = "start one: pondage serve app.py          other address: --server URL          check: pondage doctor"
    return Reason("server.unreachable", f"nothing answers at {masked(address.url)} ({address.source})", hint)


def trust() -> str:
    """What to set so that https is trusted: this machine's own authority where there is one."""
    from pondage.settings import dev_folder, load

    own = dev_folder(load()[0]) / "ca.pem"
    if own.is_file():
        return f"a server with --tls-dev? then: export SSL_CERT_FILE={own}"
    return "name the authority that signed it: export SSL_CERT_FILE=/path/ca.pem"


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    return "/".join(url.split("/", 3)[:3])


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in found:
        found.append(at)
        at = at.__cause__ or at.__context__
    return found


def _said(causes: list[BaseException]) -> str:
    """What the library or the system said, which is the second cause; ours is the first."""
    return next((str(cause) for cause in causes[1:] if str(cause)), "no reason was given")


def _proxy(asked: str) -> str | None:
    """The proxy that the environment names for a URL, which the HTTP library goes by too."""
    from urllib.request import getproxies, proxy_bypass

    parts, proxies = urlsplit(asked), getproxies()
    if proxy_bypass(parts.netloc):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")
