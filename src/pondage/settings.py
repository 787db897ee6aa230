"""Every timeout, limit and retry of the server, named in one place (docs/settings.md lists them; a test compares).

A setting comes from, weakest first: the default here, `pondage.toml` in the working folder (or `--config`), the
environment (`PONDAGE_` and the name in capitals), a flag. `Settings` is made once, in the composition root, and
handed down frozen.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pondage import durations
from pondage.errors import SetupError


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in seconds (or text such as `"90s"`, `"7d"`), sizes in bytes, unless a docstring says otherwise."""

    # where
    host: str = "127.0.0.1"
    """Listen on this address. Any but loopback turns auth on; the first start makes a key."""
    port: int = 8000
    """TCP port; 0 lets the system choose."""
    data: str = "./pondage-data"
    """Data folder: the database, files, and the note of a running gateway. One gateway at a time."""
    files: str = ""
    """Where uploads and outputs are stored: `<data>/files` if empty, else `s3://bucket/prefix`, `gs://…`, `az://…`."""
    owner: str = "local"
    """Owner of apps whose name has no owner."""
    domain: str = ""
    """Also answer on `DOMAIN`, `queue.DOMAIN` and `rest.DOMAIN`; empty for path prefixes only. Turns auth on."""
    public_url: str = ""
    """URL that callers use where a proxy stands in front. It may have a path (`https://host/path`), which the proxy
    strips. Empty: taken from each request. Turns auth on, unless it is on loopback."""
    trusted_proxies: str = "127.0.0.1,::1"
    """Proxies whose X-Forwarded-Proto and X-Forwarded-Host headers are trusted: addresses, comma-separated."""
    cors: str = ""
    """Web origins that may call, comma-separated; `*` for any, which turns auth on; empty for loopback origins only."""
    tls_cert: str = ""
    """Serve https with this PEM certificate chain."""
    tls_key: str = ""
    """Private key of `tls_cert`, PEM."""
    tls_dev: bool = False
    """Serve https with a certificate made on this machine, for development."""
    tls_folder: str = ""
    """Folder of that authority; empty for `pondage/tls` in the user's configuration folder."""

    # logs
    access_log: str = ""
    """File that gets a line for every call; `-` is standard output, `stderr` standard error, `none` nothing. Empty: as
    `none`, but as `stderr` under `--log-json` without `--quiet`."""
    traces: str = ""
    """OTLP receiver that gets traces over HTTP, like http://127.0.0.1:4318; needs the extra [otel]. Empty for none."""
    audit_rate: float = 20.0
    """Most log lines a second about refused calls, and as many about operators' actions."""

    # callers
    max_input_bytes: int = 16 * 1024 * 1024
    """Largest request body, 32 MiB at the most; more is 413."""
    max_header_bytes: int = 64 * 1024
    """Largest head of a request, its address and headers; more is 431."""
    header_timeout: float = 30.0
    """Time that a caller has to send the head of a request."""
    body_rate: int = 500
    """Fewest bytes of a request's body a second; one that is slower for `body_timeout` is 408."""
    body_timeout: float = 30.0
    """How long a body may be slower than `body_rate` before it is 408."""
    write_timeout: float = 60.0
    """Disconnect a caller that reads nothing of its answer for this long."""
    unread_bytes: int = 1024 * 1024
    """After answering early, read at most this much more of the body; then close the connection."""
    unread_timeout: float = 5.0
    """And at most for this long."""
    held_bytes: int = 96 * 1024**2
    """Memory for large bodies that are not whole and large answers that are not read, of all callers; beyond it the
    newest wait."""
    held_bytes_per_key: int = 48 * 1024**2
    """Such memory of one key; half of it for callers without one."""
    held_wait: float = 30.0
    """How long a caller waits for such memory; then its call is 503, and a session is closed with 1013."""
    max_connections: int = 16_384
    """Most connections; more are 503. Never more than three quarters of the files that the process may open."""
    max_keyless_connections: int = 4096
    """Most connections that have shown no key yet: for one more, the oldest that does nothing is closed."""
    max_connections_per_address: int = 4096
    """Most connections from one address that is no trusted proxy; more are 503."""
    max_connections_per_key: int = 8192
    """Most connections that use one key; a call on one more is 429."""
    max_queue_length: int = 1_000_000
    """Most requests of one app that may wait; more is 429."""
    max_queue_length_per_key: int = 250_000
    """Most requests of one key that may wait, of all apps together; more are 429."""
    max_queue_bytes_per_key: int = 8 * 1024**3
    """Most bytes of the inputs of one key's requests that have not ended; one that has to wait beyond them is 429."""
    max_sessions_per_key: int = 2048
    """Most WebSockets of one key that sessions or calls go over; one more is 429."""
    max_uploads_per_key: int = 10_000
    """Most upload URLs of one key that were not used yet; more are 429."""
    max_listeners_per_key: int = 100
    """Most `pondage webhooks listen` of one key; one more is 429."""
    max_wait: float = 300.0
    """Longest blocked read that `Prefer: wait` may ask for."""
    keep_alive_interval: float = 4.0
    """A comment is sent on an event stream after so long without an event (Java clients give up after 10)."""
    resume_window: float = 60.0
    """For so long after a start one repeat of each `run` that the stop or crash before cut off gets that request's
    result, instead of running it again."""
    idempotency_window: float = 86_400.0
    """How long an Idempotency-Key is remembered."""
    token_max_age: float = 3600.0
    """Longest life of a short-lived token."""
    status_log_limit: int = 1000
    """Most log entries in one status answer; the newest are shown, the rest is paged."""

    # requests
    start_timeout: float | None = None
    """Time a request may wait for a runner, unless the caller or the app says; None for ever."""
    run_timeout: float = 3600.0
    """Time one attempt may run, unless the app says."""
    max_strikes: int = 3
    """End a request with an error after it has spoiled this many attempts."""
    retention: float = 7 * 86_400.0
    """Keep finished requests for this long."""
    rollup_minutes_kept: float = 2 * 86_400.0
    """How long counts by the minute are kept."""
    rollup_hours_kept: float = 90 * 86_400.0
    """How long counts by the hour, and the kinds of errors, are kept."""
    usage_kept: float = 400 * 86_400.0
    """How long the usage of keys by the day is kept."""
    retention_bytes: int = 20 * 1024**3
    """Most bytes of finished requests that are kept; the oldest go first."""
    sweep_interval: float = 1.0
    """How often start limits and retention are looked at."""

    operation_step: int = 25
    """Requests that an operation by filter touches in one transaction; callers wait for one of these at the most."""

    write_patience: float = 10.0
    """While nothing can be written (a full disk), a caller who waits for an outcome gets 507 after so long; the request
    stays, and its result comes once there is room."""
    least_free_bytes: int = 64 * 1024**2
    """`/readyz` fails while the data folder's disk has less free space."""

    # runners
    heartbeat: float = 2.0
    """A runner's heartbeat."""
    lease: float = 10.0
    """A runner that is silent for this long loses its attempts."""
    reconnect: float = 30.0
    """How long a runner outlives its gateway, and how long a new gateway waits for it."""
    grace: float = 30.0
    """Time that running requests get to finish at a stop."""
    cancel_grace: float = 5.0
    """Time a cancelled attempt gets to stop before its process is killed and the app reloads."""
    startup_timeout: float = 600.0
    """Time `setup()` may take, unless the app says."""
    fault_patience: float = 10.0
    """Time that a direct call, or a request with `on_fault="fail"`, waits for an app that does not import or whose
    `setup()` fails; then it is 500 with the reason. Other requests wait on, and their status says why."""
    crash_backoff: float = 1.0
    """Wait before restarting a runner that failed to start; it doubles each time."""
    crash_backoff_max: float = 60.0
    """Longest such wait."""
    max_starting: int = 0
    """Most runners that set up at once; 0 for one for each processor, at least 4. Apps that have failed get a quarter
    of them, and a setup counts for its first 30 s."""
    idle_keep_alive: float = 60.0
    """How long a runner beyond `min_concurrency` stays without work, unless the app says."""
    chunk_buffer_bytes: int = 4 * 1024 * 1024
    """Partial output of one request: uncommitted beyond it, the generator is paused; unread beyond it, a reader goes on
    from the log. A session's results: unread beyond it, its function is paused."""
    max_log_line: int = 16 * 1024
    """Cut longer lines of output. At most 4 MiB."""
    max_log_entries: int = 100_000
    """Log entries that one attempt may write; the rest is counted and dropped."""
    runner_log_lines: int = 1000
    """Newest lines of an app's runners that belong to no request, kept in memory for `pondage runners logs`."""

    # sessions
    session_idle: float = 300.0
    """Close a realtime session after this long without a message, unless the endpoint says."""
    session_wait: float = 90.0
    """How long a session waits for a slot."""
    session_max_message: int = 16 * 1024 * 1024
    """Largest realtime message."""
    session_buffer: int = 60
    """Unprocessed inputs that a session holds; beyond it the oldest are dropped."""
    session_buffer_bytes: int = 32 * 1024 * 1024
    """Bytes of such inputs; beyond it the oldest are dropped as well."""
    session_ping: float = 20.0
    """A session's caller is pinged so often, and is gone when it has not answered for as long again."""

    # files
    max_file_bytes: int = 50 * 1024**3
    """Largest file."""
    files_quota: int = 0
    """Most bytes of all files together; 0 for no limit."""
    file_retention: float = 30 * 86_400.0
    """How long a file is kept that names no expiry; 0 for ever."""
    upload_ttl: float = 3600.0
    """How long an upload URL works."""
    multipart_ttl: float = 86_400.0
    """How long an unfinished multipart upload is kept."""
    allow_private_urls: bool = False
    """Whether input URLs may lead to private addresses. Loopback is never fetched without it."""
    fetch_timeout: float = 60.0
    """Time to fetch an input URL."""
    fetch_max_bytes: int = 2 * 1024**3
    """Largest input that is fetched, or comes as a data URI."""
    fetch_cache_bytes: int = 1024**3
    """Fetched inputs that each runner keeps on its disk for later requests; 0 for none. One is used again only where
    its sender says that it has not changed."""
    max_image_pixels: int = 178_956_970
    """An image with more pixels is refused before it is decoded."""
    max_image_bytes: int = 512 * 1024 * 1024
    """An image that would take more memory is refused before it is decoded; one in colours takes 4 bytes a pixel."""

    # webhooks
    webhook_private: bool | None = None
    """Whether webhooks may go to private addresses; None: to loopback only, while the server asks for no key."""
    webhook_first_timeout: float = 15.0
    """Time a receiver has for the first try."""
    webhook_timeout: float = 30.0
    """Time a receiver has for later tries."""
    webhook_schedule: tuple[float, ...] = (
        0.0,
        2.0,
        6.0,
        15.0,
        40.0,
        120.0,
        300.0,
        600.0,
        1200.0,
        2400.0,
        3600.0,
    )
    """When tries are due, counted from the end of the request; afterwards the last gap repeats."""
    webhook_window: float = 3 * 3600.0
    """Give up a delivery after this long; it may be days."""
    webhook_least_tries: int = 10
    """But never before so many tries, however long its host was left alone."""
    webhook_jitter: float = 0.1
    """Each gap is lengthened at random by up to this share of itself."""
    webhook_per_host: int = 8
    """Tries that may be under way to one host."""
    webhook_concurrency: int = 128
    """Tries that may be under way in all."""
    webhook_breaker: int = 10
    """After this many failures in a row, pause deliveries to that host."""
    webhook_breaker_pause: float = 30.0
    """For how long."""
    webhook_slow: float = 2.0
    """A host whose last answer took longer, or was a failure, shares half of the concurrency with others like it."""
    webhook_progress_interval: float = 1.0
    """Least time between two deliveries of one request's progress."""
    webhook_listener_ttl: float = 3600.0
    """How long deliveries are held for a `pondage webhooks listen` that is not connected."""
    webhook_body_kept: int = 64 * 1024
    """How much of a receiver's answer is kept in the log, for operators."""
    webhook_body_shown: int = 1024
    """How much of it is shown to a key without the scope `operate`."""


LARGEST = {"max_input_bytes": 32 * 1024**2, "max_log_line": 4 * 1024**2}
"""What a packet between gateway and runner (64 MiB) carries beside all else."""

_RATES = frozenset({"audit_rate", "webhook_jitter"})
"""The settings with a decimal point that are no durations."""

FIELDS: dict[str, type] = {f.name: f.type for f in msgspec.structs.fields(Settings)}

DURATIONS = {name for name, type_ in FIELDS.items() if "float" in str(type_)} - _RATES
_NULLS = ("null", "none")
"""What a variable or a flag may say for None."""


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> tuple[Settings, dict[str, str]]:
    """Make the settings, and say where each value came from (`default`, a file, a variable, `flag`).

    Args:
        flags: values given on the command line; None values count as not given.
        environ: the environment, `os.environ` by default.
        config: a TOML file; by default `pondage.toml` in the working folder, if it is there.

    Raises:
        SetupError: a value does not fit; the message names the setting, the value, its source and what fits.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    sources = dict.fromkeys(FIELDS, "default")

    def take(name: str, value: Any, source: str, *, lax: bool) -> None:
        if name not in FIELDS:
            raise SetupError(f"there is no setting {name!r} ({source}); docs/settings.md lists them")
        try:
            values[name] = msgspec.convert(_with_seconds(name, value), FIELDS[name], strict=not lax)
        except (msgspec.ValidationError, ValueError) as error:
            raise SetupError(f"{name} = {value!r} ({source}): {error}") from error
        if name in LARGEST and values[name] > LARGEST[name]:
            raise SetupError(f"{name} = {value!r} ({source}): at most {LARGEST[name]}, since it goes in one piece")
        sources[name] = source

    path = config or Path("pondage.toml")
    if config or path.is_file():
        try:
            document = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise SetupError(f"cannot read {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SetupError(f"{path} is not TOML: {error}") from error
        for name, value in document.items():
            take(name, value, str(path), lax=False)
    for name in FIELDS:
        variable = f"PONDAGE_{name.upper()}"
        if variable in environ:
            take(name, environ[variable], variable, lax=True)
    for name, value in (flags or {}).items():
        if value is not None:
            take(name, value, "flag", lax=True)
    return Settings(**values), sources


def _with_seconds(name: str, value: Any) -> Any:
    """`value` with the durations in it, such as `7d`, as seconds; the rest as it is.

    Raises:
        ValueError: it is no duration, or no list in JSON.
    """
    if isinstance(value, str) and value.startswith("["):
        value = msgspec.json.decode(value)
    if name not in DURATIONS:
        return value
    if isinstance(value, list):
        return [_with_seconds(name, item) for item in value]
    return durations.seconds(value) if isinstance(value, str) and value.lower() not in _NULLS else value


def dev_folder(settings: Settings, environ: Mapping[str, str] | None = None) -> Path:
    """Where the authority of `--tls-dev` lives: the setting `tls_folder`, else the user's configuration folder."""
    if settings.tls_folder:
        return Path(settings.tls_folder)
    values = os.environ if environ is None else environ
    return Path(values.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "pondage" / "tls"
