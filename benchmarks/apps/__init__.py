"""The same small app behind each server."""
