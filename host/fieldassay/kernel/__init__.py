"""Bindings to the C kernel, each with a numpy twin that is its oracle: the only importers of it."""
