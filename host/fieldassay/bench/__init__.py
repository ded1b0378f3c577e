"""The technician's bench: boards on serial ports, their prompt, files, flashing and health."""
