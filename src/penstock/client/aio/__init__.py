"""The async client, written by hand. `penstock.client.blocking` is generated from it, but for `flow.py`."""
