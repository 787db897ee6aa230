"""Every time limit, size and retry of the client, in one place. Seconds and bytes.

They are constants of the module: what a caller may change is a parameter of the call (`timeout`, `start_timeout`,
`client_timeout`, `interval`) or of the client (`default_timeout`, `max_attempts`).
"""

from __future__ import annotations

from typing import Final

DEFAULT_TIMEOUT: Final = 120.0
"""One exchange that is no `run` and no blocked wait: submit, status, cancel, token (PROTOCOL 9.6)."""

CONNECT_TIMEOUT: Final = 10.0
"""Opening a connection."""

MAX_CONNECTIONS: Final = 1000
"""Connections that one client holds at once; more calls wait for a free one."""

KEEP_ALIVE: Final = 60.0
"""An idle connection is kept for so long."""

MAX_ATTEMPTS: Final = 10
"""Tries of one call that may be repeated, the first included. With the back-off below they span about 45 seconds, so
that a gateway may restart meanwhile."""

FIRST_CONTACT_ATTEMPTS: Final = 3
"""The same, as long as the server has never answered this client: then a wrong address is the likelier reason."""

BACKOFF: Final = 0.25
"""The wait before the second try; it doubles."""

BACKOFF_MAX: Final = 10.0
"""The longest wait between two tries, and the longest `Retry-After` that is obeyed at once."""

RETRY_AFTER_MAX: Final = 60.0
"""A server that asks for a longer pause is not waited for; its answer is raised."""

JITTER: Final = 0.5
"""A wait is multiplied by a random factor between `1 - JITTER` and 1, so that callers do not come back together."""

BLOCKED_WAIT: Final = 50.0
"""`Prefer: wait` of one blocked read: below the minute after which balancers cut silent connections."""

BLOCKED_MARGIN: Final = 20.0
"""How much longer than its `Prefer: wait` a blocked read may take."""

POLL_INTERVAL: Final = 0.1
"""Between two status calls where the server offers nothing better (PROTOCOL 4.8)."""

STREAM_IDLE: Final = 30.0
"""An event stream without a byte for so long is dead and opened again; Pondage sends a comment every 4 seconds."""

CANCEL_TIMEOUT: Final = 5.0
"""The cancel that follows a time limit may take so long in all; then the time limit is raised anyway."""

MIN_START_TIMEOUT: Final = 1.0
"""`start_timeout` must be more (PROTOCOL 9.5)."""

MAX_EVENT: Final = 64 * 1024 * 1024
"""The largest block of an event stream."""

MULTIPART_THRESHOLD: Final = 100 * 1024 * 1024
"""A file of more bytes goes up in parts (PROTOCOL 7.1)."""

PART_SIZE: Final = 10 * 1024 * 1024
"""Bytes of one part."""

PART_CONCURRENCY: Final = 4
"""Parts of one file, and files of one input, that are under way at once."""

UPLOAD_TIMEOUT: Final = 600.0
"""One small file, or one part."""

UPLOAD_PIECE: Final = 256 * 1024
"""Bytes that are read from a file at a time, and after which `on_progress` is told."""

CDN_TOKEN_MARGIN: Final = 30.0
"""A token of fal's CDN is renewed so long before it expires."""

REALTIME_OPEN_TIMEOUT: Final = 90.0
"""The handshake of a session, during which a runner may start (PROTOCOL 6.1)."""

REALTIME_CLOSE_TIMEOUT: Final = 5.0
"""The closing handshake of a session."""

REALTIME_PING: Final = 20.0
"""Between two pings of an open session, and the longest silence after one."""

REALTIME_BUFFER: Final = 64
"""Messages that wait to be sent while a session is not open; of more the oldest are dropped."""

REALTIME_THROTTLE: Final = 0.064
"""Between two inputs of a session, unless it says: about 15 a second, as in fal's Swift client (PROTOCOL 6.5)."""

REALTIME_RESULTS: Final = 1024
"""Results that wait for the iterator of a session; beyond it nothing more is read from the socket."""

REALTIME_ATTEMPTS: Final = 8
"""Tries to open a session again before its error is final."""

TOKEN_EXPIRATION: Final = 120
"""Life of a realtime token (PROTOCOL 2.1)."""

TOKEN_REFRESH: Final = 0.9
"""A token is renewed when this share of its life is over."""

MAX_BUFFERING: Final = 60
"""The largest `max_buffering` (PROTOCOL 6.1)."""
