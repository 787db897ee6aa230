"""Who runs what.

`accounts`, `slots`, `fates`, `plan` and `expectations` decide and touch nothing. `dispatcher` (requests to runners,
outcomes to the queue) carries it out with `commits`, `live_chunks` and `pump`; `supervisor` starts, watches and ends
the runners' processes by its `placement`. `fleet` holds the links to the runners and hands each frame on; `sessions`
and `channels` are the live ones between callers and runners.
"""
