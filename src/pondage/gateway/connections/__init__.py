"""Callers' connections, down to the bytes: all that reaches into uvicorn's and websockets' private parts is here.

`port` is the listening socket and `server` the HTTP server on it; `connection` gives an HTTP connection its limits and
its turn; `sockets` carries the messages of sessions, with `frames` as the bytes of WebSocket frames; `transport` puts
small writes together.
"""
