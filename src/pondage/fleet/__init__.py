"""Who runs what: the dispatcher, the runners' links, their supervision."""
