"""The wheel holds every file of host, simulator and firmware: the lists in pyproject.toml do."""

from __future__ import annotations

import tomllib
from pathlib import PurePosixPath

import pytest


@pytest.fixture(scope="module")
def setuptools(root):
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]


def folder_of(package, package_dir):
    """Where setuptools looks for a package: the longest listed parent decides."""
    parts = package.split(".")
    for size in range(len(parts), 0, -1):
        if ".".join(parts[:size]) in package_dir:
            return str(PurePosixPath(package_dir[".".join(parts[:size])], *parts[size:]))
    return package.replace(".", "/")


def test_every_file_of_the_source_folders_is_in_a_listed_package(root, setuptools):
    packages = {p: folder_of(p, setuptools["package-dir"]) for p in setuptools["packages"]}
    made = ("__pycache__", ".so")  # by Python and by the build
    files = [
        str(path.relative_to(root))
        for top in ("device", "host", "sim")
        for path in (root / top).rglob("*")
        if path.is_file() and path.parent.name not in made and path.suffix not in made
    ]
    assert len(files) > 100
    left_out = [name for name in files if not _shipped(name, packages, setuptools["package-data"])]
    assert left_out == ["device/mypy.ini"]


def _shipped(name, packages, package_data):
    path = PurePosixPath(name)
    if path.suffix == ".py":
        return str(path.parent) in packages.values()
    return any(
        path.relative_to(folder).match(glob)
        for package, globs in package_data.items()
        for folder in (packages[package],)
        if path.is_relative_to(folder)
        for glob in globs
    )
