"""One file per experiment; `fieldassay.evaluate.EXPERIMENTS` is the registry."""
