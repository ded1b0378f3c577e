"""Who may import whom: read from the source with ast, so the architecture cannot rot unseen."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

CORE = [
    "spectrum", "verdict", "errors", "frame", "calibration", "substances", "library", "kernel",
    "align", "bands", "drift", "explain", "decide", "identify", "mixtures", "naming", "quality",
    "preprocess", "scatter", "formats", "hazards",
    "library_file", "library_header", "library_encode", "library_sources", "library_readers",
    "substance_names", "library_gates", "library_import", "library_join",
    "library_check", "library_faults", "library_pairs", "library_add", "library_append",
    "library_transfer", "library_transfer_check", "library_adapt", "bundle",
    "plausible", "pixels", "prepared", "spots", "replay", "families",
    "calibrate", "fitness",
]  # fmt: skip
IMPURE = {
    "socket", "os", "time", "datetime", "sqlite3", "pathlib", "subprocess", "threading", "asyncio",
    "random", "tempfile", "shutil", "glob", "urllib", "http", "logging",
}  # fmt: skip
RIM = {
    "config", "store", "store_reader", "ingest", "web", "cli", "commands", "live", "units",
    "service", "link", "broker", "library_build", "pinned", "database", "supervisor", "evaluate",
    "release", "bench",
    "authority", "broker_config", "private_file", "provision", "label", "equip", "hardware_file",
    "duty", "unit_states", "certificate", "residual_plot",
}  # fmt: skip


def imports(path: Path) -> set[str]:
    """Dotted names a file imports, function bodies included; `from a import b` gives a and a.b."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    never_run = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if node in never_run:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ("." * node.level) + (node.module or "")
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def tops(path: Path) -> set[str]:
    return {name.lstrip(".").split(".")[0] for name in imports(path)}


def core_files(root: Path) -> list[Path]:
    base = root / "host" / "fieldassay"
    files = []
    for name in CORE:
        single, package = base / f"{name}.py", base / name
        found = [single] if single.exists() else sorted(package.rglob("*.py"))
        assert found, f"{name} is in the list of core modules but does not exist"
        files += found
    return files


def test_the_reader_sees_imports(tmp_path: Path) -> None:
    probe = tmp_path / "probe.py"
    probe.write_text(
        "def f():\n    from os import environ\n    import a.b\nfrom . import c\n"
        "if TYPE_CHECKING:\n    import typing\n"
    )
    assert imports(probe) == {"os", "os.environ", "a.b", ".", "..c"}
    assert {"os", "a"} <= tops(probe)


def test_wire_imports_only_what_both_worlds_have(root: Path) -> None:
    for path in (root / "device" / "fieldassay_wire").rglob("*.py"):
        manifest = {"json"} if path.name == "bundle.py" else set()
        extra = tops(path) - {"struct", "hashlib", "fieldassay_wire", ""} - manifest
        local = {p.stem for p in path.parent.glob("*.py")}
        assert not {n for n in extra if n not in local}, f"{path} imports {extra}"


def test_device_and_host_never_meet(root: Path) -> None:
    for path in (root / "device").rglob("*.py"):
        assert not tops(path) & {"fieldassay", "fieldassay_sim"}, path
    device = {p.stem for p in (root / "device").glob("*.py")} | {"boards", "detectors"}
    for path in (root / "host").rglob("*.py"):
        absolute = {n.split(".")[0] for n in imports(path) if not n.startswith(".")}
        own = absolute & (device - set(sys.stdlib_module_names))
        assert not own, f"{path} imports {own}"


def test_nothing_imports_the_simulator(root: Path) -> None:
    for folder in ("host", "device"):
        for path in (root / folder).rglob("*.py"):
            assert "fieldassay_sim" not in tops(path), path


def test_the_simulator_knows_only_the_wire(root: Path) -> None:
    for path in (root / "sim").rglob("*.py"):
        assert "fieldassay" not in tops(path), path


def test_the_core_is_pure(root: Path) -> None:
    """PurePath is text with dots and slashes; everything else in pathlib touches the disk."""
    for path in core_files(root):
        found = tops(path) & IMPURE
        if {n for n in imports(path) if n.startswith("pathlib")} == {"pathlib", "pathlib.PurePath"}:
            found -= {"pathlib"}
        assert not found, f"{path}: {found}"


def test_the_core_does_not_open_files(root: Path) -> None:
    for path in core_files(root):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "open", f"{path}:{node.lineno} opens a file"


def test_the_rim_imports_the_core_and_never_back(root: Path) -> None:
    for path in core_files(root):
        ours = {n.split(".")[1] for n in imports(path) if n.startswith("fieldassay.")}
        assert not ours & RIM, f"{path}: {ours & RIM}"


@pytest.mark.parametrize(("name", "only"), [("fieldassay._kernel", "kernel"), ("cffi", None)])
def test_only_the_bindings_touch_the_kernel(root: Path, name: str, only: str | None) -> None:
    for path in (root / "host").rglob("*.py"):
        if path.parent.name != only:
            assert not {n for n in imports(path) if n == name or n.startswith(name + ".")}, path


def test_only_config_reads_the_environment(root: Path) -> None:
    for path in (root / "host").rglob("*.py"):
        if path.name == "config.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            reads = isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
            assert not reads, f"{path}:{node.lineno} reads the environment"
        assert not imports(path) & {"os.environ", "os.getenv"}, path


def test_only_topics_knows_a_topic_string(root: Path) -> None:
    for folder in ("host", "device", "sim"):
        for path in (root / folder).rglob("*.py"):
            if path.name == "topics.py":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    assert "fieldassay/1" not in node.value, f"{path}:{node.lineno}"
