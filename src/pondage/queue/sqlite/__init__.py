"""The queue on one machine: one SQLite file, one gateway."""

from pondage.queue.sqlite.engine import SqliteQueue

__all__ = ["SqliteQueue"]
