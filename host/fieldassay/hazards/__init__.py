"""Hazard cards, what to do next to each verdict: TOML files here, read by `cards`."""
