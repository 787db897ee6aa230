"""Penstock: generative models behind a durable queue, on your own machines."""

__version__ = "0.1.0"
