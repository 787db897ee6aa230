"""The protocol as data: no I/O, no clock of its own, importable everywhere."""
