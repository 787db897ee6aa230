"""The texts of `penstock env`, one per client; docs/pointing.md is made of them."""
