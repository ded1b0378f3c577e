"""The private certificate authority of one installation: who may speak to its broker.

Owns the folder `authority` in the home folder (ca.key, ca.pem, crl.pem, issued.json, and key and
certificate of broker and host), what stands in certificates, and revocation. Private files are
readable by their owner only. Keys of units are made here and kept nowhere but on the unit. What
the broker does with the files is `broker_config`; seal keys of units are `units`.

Certificates follow RFC 5280; EC P-256 because MicroPython's mbedTLS builds have it.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from fieldassay_wire import topics

from fieldassay.errors import SetupError
from fieldassay.private_file import write_private

AUTHORITY_DAYS = 3650
SERVER_DAYS = 825
UNIT_DAYS = 400  # a unit comes to a technician's desk once a year
BACKDATED = timedelta(days=1)  # for clocks that are behind
# No unit can have these names: a dot is not allowed in one.
HOST_NAMES = ("fieldassay.host", "fieldassay.host.status")
SERVER = "server"
_PEM, _DER = serialization.Encoding.PEM, serialization.Encoding.DER


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the authority remembers of a certificate; times are UTC, ms since 1970."""

    serial: int
    name: str
    kind: str  # "server", "host" or "unit"
    not_after_ms: int
    revoked_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its private key, in the encodings that MicroPython reads."""

    certificate: Certificate
    cert_der: bytes
    key_der: bytes  # SEC1

    def __repr__(self) -> str:  # never the key
        return f"Issued({self.certificate.name!r}, serial={self.certificate.serial:x})"


class Authority:
    """An opened authority; make one with `create`, open it with `open`."""

    def __init__(
        self, folder: Path, key: ec.EllipticCurvePrivateKey, cert: x509.Certificate
    ) -> None:
        self.folder = folder
        self._key = key
        self._cert = cert

    @classmethod
    def create(
        cls, folder: Path, name: str, now: datetime, days: int = AUTHORITY_DAYS
    ) -> Authority:
        """Make key and certificate of a new authority, and an empty list of revocations.

        Args:
            folder: Where; made, closed to other users.
            name: What its certificate calls it.
            now: UTC.
            days: How long it lives.

        Raises:
            SetupError: `authority_exists`.
        """
        if (folder / "ca.key").exists():
            raise SetupError(
                "authority_exists",
                f"There is an authority in {folder} already; units trust it.",
                "Use it, or give another home folder with --home.",
            )
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        cert = (
            _builder(subject, subject, key.public_key(), now - BACKDATED, now, days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        made = cls(folder, key, cert)
        (folder / "ca.pem").write_bytes(cert.public_bytes(_PEM))
        made._save([])
        made._write_crl(now)
        write_private(folder / "ca.key", _key_pem(key))  # last: with it the authority exists
        return made

    @classmethod
    def open(cls, folder: Path) -> Authority:
        """Open an authority.

        Raises:
            SetupError: `authority_missing`, `authority_damaged`.
        """
        if not (folder / "ca.key").exists():
            raise SetupError(
                "authority_missing",
                f"There is no certificate authority in {folder}.",
                "Make it with `fieldassay authority init --broker NAME`.",
            )
        try:
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
            cert = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError("the key is not of an elliptic curve")
            if key.public_key() != cert.public_key():
                raise ValueError("key and certificate do not belong together")
            authority = cls(folder, key, cert)
            authority.certificates()
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise SetupError(
                "authority_damaged",
                f"The certificate authority in {folder} cannot be used: {error}.",
                "Restore the folder from a copy; without it no certificate can be made or revoked.",
            ) from error
        return authority

    @property
    def ca_der(self) -> bytes:
        """The authority's own certificate, as units want it."""
        return self._cert.public_bytes(_DER)

    @property
    def ca_pem(self) -> Path:
        """The authority's own certificate, as hosts and brokers want it."""
        return self.folder / "ca.pem"

    @property
    def host_pairs(self) -> tuple[tuple[Path, Path], ...]:
        """Certificate and key of the host's two connections."""
        return tuple((self.folder / f"{n}.pem", self.folder / f"{n}.key") for n in HOST_NAMES)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the authority's certificate, hex."""
        return self._cert.fingerprint(hashes.SHA256()).hex()

    @property
    def not_after(self) -> datetime:
        """When the authority itself ends."""
        return self._cert.not_valid_after_utc

    def certificates(self) -> list[Certificate]:
        """Everything that was issued, oldest first."""
        text = (self.folder / "issued.json").read_text(encoding="utf-8")
        return [
            Certificate(**{**row, "serial": int(row["serial"], 16)}) for row in json.loads(text)
        ]

    def issue_server(self, names: Sequence[str], now: datetime, days: int = SERVER_DAYS) -> None:
        """Make key and certificate of the broker: server.key, server.pem.

        It is valid from the day the authority was made: a unit that lost its clock takes that day
        or a later one for now, and must not find the broker's certificate to be of the future.

        Args:
            names: Every host name and address by which units reach the broker.
            now: UTC.
            days: How long it is valid.

        Raises:
            SetupError: `server_name_bad`.
        """
        start = self._cert.not_valid_before_utc
        extra: list[x509.ExtensionType] = [
            x509.SubjectAlternativeName([_alternative(name) for name in names]),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        ]
        self._write_pair(SERVER, self._issue("server", names[0], extra, start, now, days))

    def issue_host(self, now: datetime, days: int = SERVER_DAYS) -> None:
        """Make keys and certificates of the host's two connections: NAME.key, NAME.pem."""
        for name in HOST_NAMES:
            extra = [x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])]
            self._write_pair(name, self._issue("host", name, extra, now - BACKDATED, now, days))

    def issue_unit(self, name: str, now: datetime, days: int = UNIT_DAYS) -> Issued:
        """Make key and certificate of a unit; the key is kept by the caller alone.

        Raises:
            SetupError: `certificate_name_bad`.
        """
        if not topics.valid_unit(name):
            raise SetupError(
                "certificate_name_bad",
                f"{name!r} is not a name for a unit.",
                "Use 1 to 32 lower-case letters, digits and hyphens.",
            )
        extra = [x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])]
        return self._issue("unit", name, extra, now - BACKDATED, now, days)[0]

    def revoke(self, name: str, now: datetime, keep_serial: int | None = None) -> int:
        """Revoke every certificate of this name and write the list; how many there were.

        Args:
            name: Of a unit, or one of HOST_NAMES.
            now: UTC.
            keep_serial: The one that stays, after a rotation.
        """
        rows = self.certificates()
        hit = [r.name == name and r.revoked_ms is None and r.serial != keep_serial for r in rows]
        marked = [
            Certificate(r.serial, r.name, r.kind, r.not_after_ms, _ms(now)) if found else r
            for r, found in zip(rows, hit, strict=True)
        ]
        self._save(marked)
        self._write_crl(now)
        return sum(hit)

    def refresh_crl(self, now: datetime) -> None:
        """Write the list of revocations anew."""
        self._write_crl(now)

    def _issue(
        self,
        kind: str,
        name: str,
        extra: Sequence[x509.ExtensionType],
        start: datetime,
        now: datetime,
        days: int,
    ) -> tuple[Issued, ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(
            _name(name), self._cert.subject, key.public_key(), start, now, days, self.not_after
        ).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(ca=False), critical=True)
        for extension in extra:
            builder = builder.add_extension(extension, critical=False)
        cert = builder.sign(self._key, hashes.SHA256())
        row = Certificate(cert.serial_number, name, kind, _ms(cert.not_valid_after_utc))
        self._save([*self.certificates(), row])
        der = key.private_bytes(
            _DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        return Issued(row, cert.public_bytes(_DER), der), key, cert

    def _write_pair(
        self, stem: str, made: tuple[Issued, ec.EllipticCurvePrivateKey, x509.Certificate]
    ) -> None:
        _, key, cert = made
        write_private(self.folder / f"{stem}.key", _key_pem(key))
        (self.folder / f"{stem}.pem").write_bytes(cert.public_bytes(_PEM))

    def _save(self, rows: Sequence[Certificate]) -> None:
        table = [{**asdict(row), "serial": f"{row.serial:x}"} for row in rows]
        write_private(self.folder / "issued.json", json.dumps(table, indent=1) + "\n")

    def _write_crl(self, now: datetime) -> None:
        # It ends with the authority: an expired list would lock every unit out, and the broker
        # reads it from a file beside it, so its age says nothing.
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._cert.subject)
            .last_update(now - BACKDATED)
            .next_update(max(self.not_after, now + BACKDATED))
        )
        for row in self.certificates():
            if row.revoked_ms is not None:
                when = datetime.fromtimestamp(row.revoked_ms / 1000, UTC)
                builder = builder.add_revoked_certificate(
                    x509.RevokedCertificateBuilder()
                    .serial_number(row.serial)
                    .revocation_date(when)
                    .build()
                )
        crl = builder.sign(self._key, hashes.SHA256())
        write_private(self.folder / "crl.pem", crl.public_bytes(_PEM).decode())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    start: datetime,
    now: datetime,
    days: int,
    latest: datetime | None = None,
) -> x509.CertificateBuilder:
    end = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end if latest is None else min(end, latest))
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name.encode("ascii").decode())
    except ValueError as error:
        raise SetupError(
            "server_name_bad",
            f"{name!r} is neither an address nor a host name in ASCII.",
            "Give the name or address that units use for the broker.",
        ) from error


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _ms(when: datetime) -> int:
    return round(when.timestamp() * 1000)
