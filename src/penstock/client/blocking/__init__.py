"""The blocking client, generated from `penstock.client.aio` by scripts/generate_sync_client.py, but for `flow.py`."""
