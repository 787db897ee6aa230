"""The async client, written by hand. `pondage.client.blocking` is generated from it, but for `flow.py`."""
