"""The durable queue: the only source of truth about requests. `interface` says what an engine does; `sqlite` is one."""
