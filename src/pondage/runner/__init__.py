"""The child process that has loaded one app and executes its requests.

`main` is its life: load, say hello, serve, drain. `link` is the connection to the gateway, `execute` gives requests to
the app's functions, `attempt` is one of them, `stream`, `session` and `batch` are their kinds; `outcomes` makes a
closed set of results of whatever a function does. `capture` tells whose output is whose, `files` carries bytes.
"""
