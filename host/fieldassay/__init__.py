"""fieldassay: identify drugs, precursors and cutting agents from Raman spectra, honestly.

The core (spectrum, calibration, preprocess, library, match, decide, identify, hazards, formats) is
pure: bytes, arrays and times come in as arguments. Files, sockets, clocks and the database live in
the rim (store, ingest, broker, web, commands). `tests/host/test_dependencies.py` enforces it.
"""

__version__ = "0.1.0"
