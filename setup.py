"""Builds the C kernel with the wheel; everything else is in pyproject.toml."""

from setuptools import setup

setup(cffi_modules=["native/ffi_build.py:ffi"])
