"""Browser page and HTTP API of the host: reads through `store` and `identify`, owns no data."""
