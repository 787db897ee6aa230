"""What a gateway and a runner say to each other.

One connection, dialled by the runner (a Unix socket here, a WebSocket from afar); `packets` says how frames travel on
it. They are array-like tagged structs: a field may be added at the end, with a default; anything else is a new VERSION.

Large payloads are cut into slices of SLICE bytes (`FileSlice`, `SessionMessage.more`), of which at most
WINDOW may be unacknowledged per transfer, so that a heartbeat or a cancel never waits behind one.

Where a frame arrives: `pondage.fleet.fleet.LocalFleet._frame` gives each frame of a runner to the method that bears its
name (`Finished`: `finished`); `pondage.runner.main.Runner._received` has what a gateway sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal, cast

import msgspec

from pondage.wire.events import Entry, Outcome

VERSION = 5
SLICE = 256 * 1024
WINDOW = 8
MESSAGE_COST = 64
SOCKET_BUFFER = 2 * 1024 * 1024
"""Bytes that a socket may hold on its way, so that a large message takes few turns; the system may allow less."""

Mode = Literal["call", "stream", "session"]


class Frame(msgspec.Struct, array_like=True):
    """The base of all frames."""


# ---- runner to gateway


class Hello(Frame, tag="hello"):
    """The first frame. `running` names what the runner still has from before a reconnect: (request_id, attempt)."""

    version: int
    runner_id: str
    app: str
    pid: int
    token: str
    running: list[tuple[str, int]] = []


class EndpointInfo(msgspec.Struct, frozen=True):
    """One endpoint of an app, as the gateway and the documentation need it.

    `kind`: `call` answers once, `stream` yields chunks, `realtime` holds a session. `input_schema` and
    `output_schema` are JSON Schema (with `$defs`), or None where the function has no types.
    """

    path: str
    kind: Literal["call", "stream", "realtime"]
    description: str = ""
    input_schema: dict[str, object] | None = None
    output_schema: dict[str, object] | None = None
    buffering: int | None = None
    session_timeout: float | None = None
    max_batch_size: int = 1
    on_disconnect: Literal["keep", "cancel"] | None = None
    retry_streams: bool | None = None
    """None: as the app says."""
    cost: tuple[str, ...] = ()
    """The fields of the input whose product says how dear a request is."""
    billing: dict[str, object] | None = None
    """What it declares to bill by, as fal's `BillingComponents`."""


class AppInfo(msgspec.Struct, frozen=True):
    """What an app's class declares; the fleet plans by it. Durations in seconds. None: the server's default."""

    name: str
    endpoints: list[EndpointInfo]
    max_multiplexing: int = 1
    min_concurrency: int | None = None
    max_concurrency: int | None = None
    concurrency_buffer: int | None = None
    keep_alive: float | None = None
    request_timeout: float | None = None
    request_start_timeout: float | None = None
    startup_timeout: float | None = None
    termination_grace_period: float | None = None
    max_strikes: int | None = None
    retry_streams: bool = False
    num_gpus: int | None = None
    description: str = ""
    version: str = ""
    on_fault: Literal["wait", "fail"] | None = None
    """What becomes of waiting requests while the app cannot run; None: they wait."""
    payload_ttl: float | None = None
    """Seconds after its end for which a request's input and output are kept; None: as long as the request."""


class Ready(Frame, tag="ready"):
    """`setup()` has returned: the runner takes `info.max_multiplexing` requests at once."""

    info: AppInfo


class SetupFailed(Frame, tag="failed"):
    """Import or `setup()` failed: `reason` in one line for callers, `where` as file:line, `traceback` for operators."""

    reason: str
    where: str
    traceback: str
    on_fault: Literal["wait", "fail"] | None = None
    """What the class says of it, where there is a class."""


class Heartbeat(Frame, tag="beat"):
    """Every HEARTBEAT seconds, from a thread of its own: it renews all the leases of the runner."""

    memory: int = 0


class Entries(Frame, tag="entries"):
    """Log entries, progress and chunks of an attempt, in order. Chunks carry their own numbers."""

    request_id: str
    attempt: int
    entries: list[Entry]


class Again(StrEnum):
    """Whether an attempt that ended through no fault of its own should run again; if it cannot, its outcome stands.

    `ALONE`: something else in the process ended it; it runs again with no neighbour. `ELSEWHERE`: the device failed
    under it; it runs once more in another process, and this one is replaced.
    """

    NO = ""
    ALONE = "alone"
    ELSEWHERE = "elsewhere"


class Finished(Frame, tag="finished"):
    """The outcome of an attempt. Sent again after a reconnect until `Committed` has answered it.

    `retry`: the app asked for another attempt. `again`: see there.
    """

    request_id: str
    attempt: int
    outcome: Outcome
    retry: bool = False
    again: Again = Again.NO


class Preview(Frame, tag="look"):
    """A picture of an attempt's work: the bytes of a small image file. Shown, and kept nowhere."""

    request_id: str
    attempt: int
    data: bytes


class RunnerLog(Frame, tag="log"):
    """Output that belongs to no request."""

    entries: list[Entry]


class Poisoned(Frame, tag="poisoned"):
    """The runner could not stop a cancelled attempt: replace this process as soon as its neighbours are done."""

    request_id: str
    attempt: int
    reason: str


class FilePut(Frame, tag="put"):
    """Store a file; its bytes follow as `FileSlice`s with the same `ref`. Answered by `FileStored`."""

    ref: int
    request_id: str
    file_name: str
    content_type: str
    size: int | None = None
    lifecycle: str | None = None


class FileGet(Frame, tag="get"):
    """Read one of the server's own files by its URL. Answered by `FileStored` (type and size), then `FileSlice`s.

    A private file is read for the caller of `request_id`, and by nobody else without a signed URL.
    """

    ref: int
    url: str
    request_id: str = ""


# ---- gateway to runner


class Welcome(Frame, tag="welcome"):
    """The answer to `Hello`. Durations in seconds. `own_hosts`: URLs on these hosts are the server's own files.

    Those from `max_log_line` on are the settings of the same names, and default to theirs.
    """

    version: int
    heartbeat: float
    lease: float
    reconnect: float
    cancel_grace: float
    own_hosts: list[str] = []
    allow_private_urls: bool = False
    max_file_bytes: int = 0
    max_log_line: int = 16 * 1024
    max_log_entries: int = 100_000
    chunk_buffer_bytes: int = 4 * 1024 * 1024
    session_idle: float = 300.0
    session_buffer: int = 60
    session_buffer_bytes: int = 32 * 1024 * 1024
    fetch_timeout: float = 60.0
    fetch_max_bytes: int = 2 * 1024**3
    fetch_cache_bytes: int = 1024**3
    max_image_pixels: int = 178_956_970
    max_image_bytes: int = 512 * 1024 * 1024


class Execute(Frame, tag="execute"):
    """One attempt. `input` is the caller's JSON, unparsed; `timeout` in seconds; `base_url` how the caller came."""

    request_id: str
    attempt: int
    path: str
    mode: Mode
    input: bytes
    headers: dict[str, str]
    base_url: str
    timeout: float | None = None
    caller: str = ""


class Cancel(Frame, tag="cancel"):
    """Stop an attempt. `reason` is `client_cancelled`, `request_timeout`, `client_disconnected` or `stale`.

    `soft`: tell it, and interrupt what is on the loop, but nothing in a thread; it may take as long as it likes.
    """

    request_id: str
    attempt: int
    reason: str
    soft: bool = False


class Committed(Frame, tag="committed"):
    """What the runner may forget: the outcome of the attempt (`done`), or its chunks up to number `chunks`."""

    request_id: str
    attempt: int
    done: bool = False
    chunks: int = 0


class Drain(Frame, tag="drain"):
    """No more work comes. Finish what runs, hand it in, tear down and exit; after `grace` seconds you are ended."""

    grace: float


class Credentials(Frame, tag="credentials"):
    """A short-lived token for calls of the app to its own server, in the place of the one before."""

    token: str


class FileStored(Frame, tag="stored"):
    """The answer to `FilePut` and `FileGet`: the file's URL, or `error` with its `error_type`."""

    ref: int
    url: str = ""
    content_type: str = ""
    size: int = 0
    error: str | None = None
    error_type: str | None = None


# ---- both ways


class FileSlice(Frame, tag="slice"):
    """Bytes of a file, in order. The receiver answers each with `FileMore`."""

    ref: int
    data: bytes
    last: bool = False


class FileMore(Frame, tag="more"):
    """`n` slices were taken in; as many more may be sent."""

    ref: int
    n: int = 1


class SessionMessage(Frame, tag="smsg"):
    """A message of a session, as the caller framed it. `more` says that another slice of the same message follows."""

    request_id: str
    data: bytes
    text: bool = False
    more: bool = False


class SessionMore(Frame, tag="smore"):
    """The caller has taken in so many bytes of the session's messages, each counted with `MESSAGE_COST` on top.

    The runner has at most `Welcome.chunk_buffer_bytes` under way and holds the function beyond it. The gateway answers
    when a quarter of that has been taken, so that small exchanges cost no frame.
    """

    request_id: str
    n: int


def session_messages(request_id: str, data: bytes, text: bool) -> list[SessionMessage]:
    """A message in slices, none of which is copied out of it before it is packed."""
    if len(data) <= SLICE:
        return [SessionMessage(request_id, data, text)]
    view = memoryview(data)
    return [
        # packed as bytes are
        SessionMessage(request_id, cast(bytes, view[begin : begin + SLICE]), text, begin + SLICE < len(data))
        for begin in range(0, len(data), SLICE)
    ]


class SessionClose(Frame, tag="sclose"):
    """The session is over, on either side. `code` is a WebSocket close code."""

    request_id: str
    code: int = 1000
    reason: str = ""


FromRunner = (
    Hello
    | Ready
    | SetupFailed
    | Heartbeat
    | Entries
    | Finished
    | Preview
    | RunnerLog
    | Poisoned
    | FilePut
    | FileGet
    | FileSlice
    | FileMore
    | SessionMessage
    | SessionClose
)
FromGateway = (
    Welcome
    | Execute
    | Cancel
    | Committed
    | Drain
    | Credentials
    | FileStored
    | FileSlice
    | FileMore
    | SessionMessage
    | SessionMore
    | SessionClose
)

_encode = msgspec.msgpack.Encoder().encode
_decode_from_runner = msgspec.msgpack.Decoder(list[FromRunner]).decode
_decode_from_gateway = msgspec.msgpack.Decoder(list[FromGateway]).decode


def pack(frames: Sequence[Frame]) -> bytes:
    """A packet's body: the frames in order."""
    return _encode(frames)


def from_runner(packet: bytes | memoryview) -> list[FromRunner]:
    """The frames of a packet that a runner sent.

    Raises:
        msgspec.MsgspecError: the bytes are no frames of this version.
    """
    try:
        return _decode_from_runner(packet)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error


def from_gateway(packet: bytes | memoryview) -> list[FromGateway]:
    """The frames of a packet that a gateway sent.

    Raises:
        msgspec.MsgspecError: the bytes are no frames of this version.
    """
    try:
        return _decode_from_gateway(packet)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error
