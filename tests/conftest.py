"""Fixtures every test may use: outside programs, real spectra, the built library, a home folder.

Tests that need a program outside the Python environment are marked `needs("name")` and skip, saying
why, where it is missing. With FIELDASSAY_CI=1 a skip is a failure at the end of the run.
"""

from __future__ import annotations

import datetime
import importlib.util
import ipaddress
import os
import platform
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
CI = os.environ.get("FIELDASSAY_CI") == "1"
HOME_AT_START = os.environ.get("FIELDASSAY_HOME")
NO_DATA = "no real spectra"
MICROBIT = "/usr/share/firmware-microbit-micropython/firmware.hex"  # runs in qemu-system-arm

# CI tries the same examples each time, so that it judges the change and not its luck; at a desk
# every run tries new ones.
settings.register_profile("ci", derandomize=True)
if CI:
    settings.load_profile("ci")


def _micropython() -> str | None:
    chosen = os.environ.get("FIELDASSAY_MICROPYTHON")
    if chosen:
        return chosen if Path(chosen).exists() else None
    beside = Path(sys.executable).parent / "micropython"
    return str(beside) if beside.exists() else shutil.which("micropython")


def _which(*names: str) -> str | None:
    for name in names:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if found:
            return found
    return None


def find_tool(name: str) -> str | None:
    """Path of an outside program by the name used in `needs(...)`, or None."""
    finders = {
        "micropython": _micropython,
        "mosquitto": lambda: _which("mosquitto"),
        "chromium": lambda: _which("chromium", "chromium-browser", "google-chrome"),
        "gcc": lambda: _which("gcc", "cc"),
        "microbit-micropython": lambda: MICROBIT if Path(MICROBIT).exists() else None,
        "clang": lambda: _which("clang", "clang-14", "clang-16", "clang-19"),
    }
    return finders[name]() if name in finders else _which(name)


HOW_TO_GET = {
    "micropython": "pip install 'fieldassay[sim]' (x86-64 Linux, Apple silicon) or set "
    "FIELDASSAY_MICROPYTHON",
    "mosquitto": "apt-get install mosquitto",
    "chromium": "apt-get install chromium",
    "gcc": "apt-get install gcc",
    "clang": "apt-get install clang",
    "objdump": "apt-get install binutils",
    "aarch64-linux-gnu-gcc": "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    "qemu-aarch64": "apt-get install qemu-user",
    "qemu-system-arm": "apt-get install qemu-system-arm",
    "microbit-micropython": "apt-get install firmware-microbit-micropython",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("needs"):
            for tool in mark.args:
                if find_tool(tool) is None:
                    how = HOW_TO_GET.get(tool, f"install {tool}")
                    reason = f"{tool} is not on this machine ({platform.machine()}): {how}"
                    item.add_marker(pytest.mark.skip(reason=reason))


def _skipped_without_excuse(reporter: pytest.TerminalReporter) -> list[pytest.TestReport]:
    """Skips that CI must not have; the real spectra are no program that it could install."""
    return [r for r in reporter.stats.get("skipped", []) if NO_DATA not in str(r.longrepr)]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if CI and exitstatus == 0:
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and _skipped_without_excuse(reporter):
            session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CI and (skipped := _skipped_without_excuse(terminalreporter)):
        terminalreporter.write_line(
            f"FIELDASSAY_CI=1 and {len(skipped)} test(s) were skipped: CI must run them all.",
            red=True,
        )


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def tool() -> object:
    """Find a program's path: `tool("mosquitto")`; use together with needs("mosquitto")."""

    def path_of(name: str) -> str:
        found = find_tool(name)
        assert found is not None, f"{name} is missing: mark the test with needs({name!r})"
        return found

    return path_of


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real spectra outside the project (FIELDASSAY_DATA); skips where absent."""
    path = Path(os.environ.get("FIELDASSAY_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"{NO_DATA} at {path}: set FIELDASSAY_DATA to the folder that has them")
    return path


@pytest.fixture(scope="session")
def library_path() -> Path:
    """The default reference library, built once per machine as `make library` does."""
    from fieldassay.library_build import ensure_library

    with pytest.MonkeyPatch.context() as patch:  # whatever a test did to FIELDASSAY_HOME
        patch.delenv("FIELDASSAY_HOME", raising=False)
        if HOME_AT_START is not None:
            patch.setenv("FIELDASSAY_HOME", HOME_AT_START)
        return Path(ensure_library())


@pytest.fixture(scope="session")
def sources_dir(library_path: Path) -> Path:
    """The reference CSV files the library was made from; the simulator reads its samples there."""
    return library_path.parent.parent / "sources" / "wp_enlighten-4.3.4"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty FIELDASSAY_HOME for this test."""
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("FIELDASSAY_HOME", str(path))
    return path


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with a private authority and a server for 127.0.0.1.

    Files: ca.pem, ca.der, server.pem, server.key.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def key() -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.datetime.now(datetime.UTC)

    def build(subject: str, public: object) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("test authority"))
            .public_key(public)  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    authority, server = key(), key()
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    ca = (
        build("test authority", authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(authority, hashes.SHA256())
    )
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = (
        build("127.0.0.1", server.public_key())
        .add_extension(address, critical=False)
        .sign(authority, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (tmp_path / "ca.pem").write_bytes(ca.public_bytes(pem))
    (tmp_path / "ca.der").write_bytes(ca.public_bytes(serialization.Encoding.DER))
    (tmp_path / "server.pem").write_bytes(leaf.public_bytes(pem))
    (tmp_path / "server.key").write_bytes(
        server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return tmp_path


@pytest.fixture(scope="session", autouse=True)
def _no_leftover_spec() -> None:
    """Fail early with one sentence when the package is not installed at all."""
    if importlib.util.find_spec("fieldassay") is None:
        pytest.exit("fieldassay is not installed: run `make setup`", returncode=2)
