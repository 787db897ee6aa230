"""Webhooks: what is owed to whom (`outbox`), sent by `sender` with `post`, signed with `keys`.

`interface` is what the gateway may ask; `service` is that, put together. `schedule`, `breaker` and `hosts` decide when
a receiver is tried again and touch nothing; `listeners` are the terminals that stand in for a receiver.
"""
