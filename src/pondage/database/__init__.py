"""One SQLite file and its one writer: group commit, readers, migrations.

The queue, files, webhooks and keys keep their tables here.
"""
