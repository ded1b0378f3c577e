"""Calibrating a unit: lamp lines, shift standards, line width, response, linearity. Pure."""
