"""The blocking client, generated from `pondage.client.aio` by scripts/generate_sync_client.py, but for `flow.py`."""
