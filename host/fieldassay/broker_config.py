"""The configuration of a mosquitto that serves units over the network: TLS and certificates only.

Owns the folder that `fieldassay broker config` writes (configuration, access list, certificates
copied from the authority) and telling a running mosquitto to read it again. Starting mosquitto is
the operating system's work; the broker on loopback is `broker`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

from fieldassay_wire import topics

from fieldassay.authority import HOST_NAMES, SERVER, Authority
from fieldassay.broker import MAX_MESSAGE_BYTES
from fieldassay.errors import SetupError
from fieldassay.private_file import write_private

DEFAULT_TLS_PORT = 8883

# use_username_as_clientid: else a unit could take over another one's session by its client id.
# Persistence: with these settings 50 of 50 messages outlived a killed broker, with the default
# autosave none did. A power cut is not covered: what counts is the receipt, not the broker.
_CONFIG = """# Written by `fieldassay broker config`; changes are lost at the next call.
per_listener_settings false
listener {port}{address}
certfile {folder}/server.pem
keyfile {folder}/server.key
cafile {folder}/ca.pem
crlfile {folder}/crl.pem
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file {folder}/acl
set_tcp_nodelay true
max_packet_size {max_bytes}
max_keepalive 120
max_queued_messages 10000
persistent_client_expiration 2m
persistence true
persistence_location {folder}/data/
autosave_on_changes true
autosave_interval 1
pid_file {folder}/mosquitto.pid
log_type error
log_type warning
log_type notice
"""


def write(
    folder: Path, authority: Authority, port: int = DEFAULT_TLS_PORT, address: str = ""
) -> None:
    """Write everything mosquitto needs; safe to repeat.

    Args:
        folder: Where; mosquitto's user must be able to read it and to write in its `data`.
        authority: Whose certificates.
        port: To listen on.
        address: Of one network interface; empty for all.

    Raises:
        SetupError: `server_certificate_missing`, `broker_config_not_written`.
    """
    folder = folder.absolute()
    if not (authority.folder / f"{SERVER}.pem").exists():
        raise SetupError(
            "server_certificate_missing",
            "The authority has made no certificate for a broker.",
            "Type `fieldassay authority renew --broker NAME` with the name units use for it.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "data").mkdir(exist_ok=True, mode=0o700)
        text = _CONFIG.format(
            port=port,
            address=f" {address}" if address else "",
            folder=folder,
            max_bytes=MAX_MESSAGE_BYTES,
        )
        write_private(folder / "mosquitto.conf", text)
        _refresh(folder, authority)
    except OSError as error:
        raise _not_written(folder, error) from error


def refresh(folder: Path, authority: Authority) -> None:
    """Bring certificates, revocations and access list of an existing folder up to date.

    Raises:
        SetupError: `broker_folder_unknown`, `broker_config_not_written`.
    """
    if not (folder / "mosquitto.conf").exists():
        raise SetupError(
            "broker_folder_unknown",
            f"{folder} is no folder that `fieldassay broker config` wrote.",
            "Give the folder with the broker's mosquitto.conf.",
        )
    try:
        _refresh(folder, authority)
    except OSError as error:
        raise _not_written(folder, error) from error


def _refresh(folder: Path, authority: Authority) -> None:
    for name in ("ca.pem", "server.pem", "crl.pem", "server.key"):
        private = folder / f".{name}.new"
        private.unlink(missing_ok=True)
        shutil.copyfile(authority.folder / name, private, follow_symlinks=False)
        private.chmod(0o600 if name.endswith(".key") else 0o644)
        _keep_owner(folder, private)
        private.replace(folder / name)
    write_private(folder / "acl", access_list(revoked_names(authority)))
    for name in ("acl", "mosquitto.conf"):
        _keep_owner(folder, folder / name)


def _keep_owner(folder: Path, path: Path) -> None:
    """Files belong to whom the folder belongs: root may write for mosquitto's user."""
    owner = folder.stat()
    with contextlib.suppress(PermissionError):
        os.chown(path, owner.st_uid, owner.st_gid)


def revoked_names(authority: Authority) -> list[str]:
    """Units all of whose certificates are revoked."""
    rows = [row for row in authority.certificates() if row.kind == "unit"]
    live = {row.name for row in rows if row.revoked_ms is None}
    return sorted({row.name for row in rows} - live)


def access_list(revoked: Iterable[str] = ()) -> str:
    """The access list: a unit writes below `up` and reads below `down` of its own name only.

    A unit can write nothing below `down`, not even its own, so that no unit can leave a retained
    message there that another one, or itself, would choke on at each connection. A revoked name is
    denied by name too: the list of revoked certificates stops new connections, this one also those
    that are open.
    """
    lines = []
    for name in HOST_NAMES:
        lines += [f"user {name}", f"topic read {topics.UP_FILTER}"]
        lines += [f"topic write {topics.DOWN_FILTER}", ""]
    for name in revoked:
        lines += [f"user {name}", f"topic deny {topics.topic(name, 'state').rsplit('/', 2)[0]}/#"]
        lines += [""]
    lines += [
        f"pattern write {topics.UP_FILTER.replace('/+/', '/%u/', 1)}",
        f"pattern read {topics.DOWN_FILTER.replace('/+/', '/%u/', 1)}",
        "",
    ]
    return "\n".join(lines)


def reload(folder: Path) -> bool:
    """Have the mosquitto of this folder read lists and certificates again; False if none runs.

    Raises:
        SetupError: `broker_not_reloaded`.
    """
    try:
        pid = int((folder / "mosquitto.pid").read_text(encoding="ascii"))
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return False
    if name != "mosquitto":  # an old file; the number belongs to another program by now
        return False
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        raise SetupError(
            "broker_not_reloaded",
            f"The broker could not be told to read its files again: {error.strerror}.",
            "Type `sudo systemctl reload mosquitto`, or start it again.",
        ) from error
    return True


def _not_written(folder: Path, error: OSError) -> SetupError:
    return SetupError(
        "broker_config_not_written",
        f"The broker's files cannot be written to {folder}: {error.strerror}.",
        "Give a folder you may write to.",
    )
