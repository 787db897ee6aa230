"""The listening socket, and how many files and sockets this process may have open."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
import sys

from pondage.errors import SetupError
from pondage.settings import Settings

BACKLOG = 4096
"""Connections that wait until the gateway accepts them."""


def listen(settings: Settings) -> socket.socket:
    """The listening socket.

    Raises:
        SetupError: the address is no address of this machine, or taken.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's delay off only where it reads TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise SetupError(f"port {settings.port} is in use; choose another with --port, or 0 for any") from error
        raise SetupError(f"cannot listen on {settings.host} port {settings.port}: {error}") from error
    listening.setblocking(False)
    return listening


def openable() -> int:
    """How many files and sockets this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def open_more(wanted: int) -> None:
    """Allow the process so many files and sockets, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
