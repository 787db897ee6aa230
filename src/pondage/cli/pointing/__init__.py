"""The texts of `pondage env`, one per client; docs/pointing.md is made of them."""
