"""What is left after a run: journals, database, deliveries. Read once, then judged by the auditor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import msgspec

from pondage.database.folder import DATABASE
from pondage.files.blobs import Sums
from pondage.queue.counts import Usage
from pondage.queue.stored import unpack_entries
from pondage.torture import journals
from pondage.torture.counted import Counted, read_counted, read_requests
from pondage.wire.events import Completed, Stale


class Ack(msgspec.Struct, frozen=True):
    """A request that the server acknowledged, as its caller wrote it down."""

    request_id: str
    n: int
    kind: str
    key: str
    webhook: bool = False


class Seen(msgspec.Struct, frozen=True):
    """An outcome that a caller saw. `execution` is empty for errors and streams."""

    request_id: str
    status: int
    error: str = ""
    execution: str = ""
    right: bool = True


class StreamSeen(msgspec.Struct, frozen=True):
    """The pieces of a stream that a caller saw, in order: (execution, number)."""

    request_id: str
    count: int
    pieces: list[tuple[str, int]]


class Run(msgspec.Struct, frozen=True):
    """One execution, as the runner's journal has it."""

    request_id: str
    attempt: int
    execution: str
    runner: str


class Row(msgspec.Struct, frozen=True):
    """A request in the database. `kind` is empty while it has no outcome."""

    request_id: str
    kind: str
    status: int
    error: str
    attempt: int
    completed: int
    """How many `completed` events its log has."""
    attempts: list[int]
    """The attempt numbers of its events, in their order."""
    execution: str
    webhook: bool


class FaultSeen(msgspec.Struct, frozen=True):
    kind: str
    kills: bool
    seconds: float
    recovery: float | None = None


class Damage(msgspec.Struct, frozen=True):
    what: str
    refused: bool
    said: str = ""


class Evidence(msgspec.Struct):
    """All of it."""

    acks: list[Ack] = []
    seen: list[Seen] = []
    streams: list[StreamSeen] = []
    files_wrong: list[str] = []
    stored: set[str] = set()
    """URLs of uploads that were acknowledged."""
    reread: dict[str, bool] = {}
    """Of those, the ones that were read at the end, and whether they were whole."""
    troubles: list[str] = []
    """What the client raised that neither an outcome nor a server that is down explains."""
    runs: list[Run] = []
    runners: int = 0
    rows: dict[str, Row] = {}
    counted: Counted = msgspec.field(default_factory=Counted)
    added_up: Usage = msgspec.field(default_factory=Usage)
    """What the requests themselves add up to."""
    owed: list[str] = []
    """Ids of requests with a delivery that is still owed, or was given up."""
    delivered: dict[str, int] = {}
    """How often the receiver accepted a delivery of a request."""
    faults: list[FaultSeen] = []
    damages: list[Damage] = []
    hostile: dict[str, int] = {}
    """How many connections of hostile callers did what."""


def gather(folder: Path) -> Evidence:
    """Read everything in the scratch folder of a run that has ended.

    Raises:
        apsw.Error: the database cannot be read.
    """
    evidence = Evidence()
    notes = folder / "journals"
    for line in journals.read(notes / "callers.jsonl"):
        _caller(evidence, line)
    for path in sorted(notes.glob("runner-*.jsonl")):
        evidence.runners += 1
        for line in journals.read(path):
            if line["k"] == "begin":
                evidence.runs.append(Run(line["request_id"], line["attempt"], line["execution"], path.stem))
    for line in journals.read(notes / "receiver.jsonl"):
        if not line["refused"]:
            evidence.delivered[line["request_id"]] = evidence.delivered.get(line["request_id"], 0) + 1
    for line in journals.read(notes / "torturer.jsonl"):
        if line["k"] == "fault":
            evidence.faults.append(msgspec.convert(line, FaultSeen))
        elif line["k"] == "damage":
            evidence.damages.append(msgspec.convert(line, Damage))
        elif line["k"] == "hostile":
            evidence.hostile = line["done"]
        elif line["k"] == "mended" and not line["right"]:
            evidence.files_wrong.append("a file that was mended")
    read_database(evidence, folder / "data" / DATABASE)
    evidence.files_wrong += wrong_files(folder / "data" / DATABASE, folder / "data" / "files")
    return evidence


def _caller(evidence: Evidence, line: dict[str, Any]) -> None:
    match line["k"]:
        case "ack":
            evidence.acks.append(msgspec.convert(line, Ack))
        case "result":
            evidence.seen.append(msgspec.convert(line, Seen))
        case "stream":
            evidence.streams.append(msgspec.convert(line, StreamSeen))
        case "trouble":
            evidence.troubles.append(line["what"])
        case "stored":
            evidence.stored.add(line["url"])
        case "reread":
            evidence.reread[line["url"]] = line["right"]
        case "file":
            if not line["right"]:
                evidence.files_wrong.append(line["request_id"])


def read_database(evidence: Evidence, path: Path) -> None:
    """Take in the requests and deliveries of a database that nobody serves."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        events: dict[int, tuple[list[int], int]] = {}
        for seq, attempt, entries in connection.execute(
            "SELECT seq, attempt, entries FROM events ORDER BY seq, first_n"
        ):
            attempts, completed = events.get(seq, ([], 0))
            told = unpack_entries(entries)
            # Evidence of a late write may name an attempt that never was: its claim was not committed.
            late = all(isinstance(entry, Stale) for entry in told)
            ended = sum(isinstance(entry, Completed) for entry in told)
            events[seq] = (attempts if late else [*attempts, attempt], completed + ended)
        for seq, request_id, kind, status, error, attempt, body, webhook in connection.execute(
            "SELECT seq, id, kind, status, coalesce(error_type, error), attempt, body, webhook FROM finished"
        ):
            attempts, completed = events.get(seq, ([], 0))
            # The last `completed` is a column of the row.
            evidence.rows[request_id] = Row(
                request_id, kind, status, error or "", attempt, completed + 1, attempts, _execution(body),
                webhook is not None,
            )  # fmt: skip
        for request_id, attempt, webhook in connection.execute("SELECT id, attempt, webhook FROM requests"):
            double = evidence.rows.get(request_id)
            evidence.rows[request_id] = Row(
                request_id, double.kind if double else "", 0, "unfinished", attempt, 2 if double else 0, [], "",
                webhook is not None,
            )  # fmt: skip
        rows = connection.execute("SELECT request_id FROM deliveries WHERE state <> 'done'")
        evidence.owed = [request_id for (request_id,) in rows]
        evidence.counted, evidence.added_up = read_counted(connection), read_requests(connection)
    finally:
        connection.close()


def wrong_files(database: Path, files: Path) -> list[str]:
    """Keys that a database names and whose bytes are not in the folder as they were summed up when they came."""
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        rows: list[Any] = connection.execute(
            "SELECT key, digest FROM blobs WHERE doomed_at IS NULL ORDER BY key"
        ).fetchall()
    finally:
        connection.close()
    return [key for key, digest in rows if _digest(files / "blobs" / key[:2] / key) != digest]


def _digest(path: Path) -> str:
    """Of a stored file; empty where there is none."""
    if not path.exists():
        return ""
    sums = Sums()
    sums.add(path.read_bytes())
    return sums.blob("").digest


def _execution(body: bytes) -> str:
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return ""
    return str(document.get("execution", "")) if isinstance(document, dict) else ""
