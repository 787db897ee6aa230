"""The HTTP side: the ASGI app (`app`), every route once (`routes`), and a module for each group of routes.

`call` is one exchange as handlers see it, with `Rooms`, what the gateway stands on. `access` says who calls, `address`
what a URL means, `submitting` makes a request of a call; `requests`, `streams` and `realtime` answer it. `crowd`,
`budget` and `turns` share connections, memory and time among callers; `connections` is all below the calls.
"""
