# How the unit gets a connection: TCP, optionally TLS, never a wait without a deadline. Owns the
# one typed error of everything about MQTT. Boards call connect_tcp from open_socket; bringing the
# network up (Wi-Fi, cable) is theirs.

import asyncio
import errno
import select
import socket
import time

from micropython import const

_DER = ("ca_der_hex", "cert_der_hex", "key_der_hex")
_EPIPE = const(32)  # MicroPython's errno does not name it


# code: "network" (no connection), "tls", "closed" (by the peer), "timeout", "malformed" (bytes
# that are not MQTT), "too_large" (packet over the limit), "refused" (by the broker), "payload"
# (the source gave other bytes than announced).
class MqttError(Exception):
    def __init__(self, code, what, do_next="Nothing: the unit connects again by itself."):
        super().__init__(what)
        self.code = code
        self.what = what
        self.do_next = do_next


def network_error(error):
    text = str(error)
    if "MBEDTLS" in text or "ertificate" in text or isinstance(error, ValueError):
        return MqttError("tls", "TLS: " + text, "Check the broker's certificate and the unit's CA.")
    if error.args and error.args[0] in (errno.ECONNRESET, _EPIPE, errno.ENOTCONN):
        return MqttError("closed", "connection lost: " + text)
    return MqttError("network", "network: " + text)


# A context that accepts only servers with a certificate of this CA for the host's name, and shows
# the unit's own certificate where it has one. Everything is DER; the key as SEC1. Certificates have
# dates: see clock_trust.py.
def tls_context(ca_der, cert_der=b"", key_der=b""):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED  # type: ignore[attr-defined]  # not in the stubs
    try:
        context.load_verify_locations(cadata=ca_der)
        if cert_der:
            context.load_cert_chain(cert_der, key_der)
    except ValueError as error:
        raise network_error(error) from None
    return context


# The context that these settings ask for, None for plain TCP. Takes the certificates out of the
# settings: the context has its own copy, and the heap needs the room.
def tls_of(broker):
    if not broker["tls"]:
        return None
    given = [bytes.fromhex(broker.pop(name)) for name in _DER]
    return tls_context(given[0], given[1], given[2])


# Coroutine: a connected, non-blocking socket with TCP_NODELAY, for boards' open_socket.
# tls_context None is plain TCP; with TLS the handshake runs inside the first reads and writes,
# under their deadlines. OSError on failure. Resolving a name is the one step that may block (by
# the board's own limit); a numeric address does not.
async def connect_tcp(host, port, tls_context, timeout_ms):
    deadline = time.ticks_add(time.ticks_ms(), timeout_ms)
    failure = OSError(errno.EHOSTUNREACH)
    for info in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        sock = socket.socket(info[0], info[1], info[2])
        try:
            await _connect(sock, info[-1], deadline)
            if tls_context is not None:
                sock = tls_context.wrap_socket(
                    sock, server_hostname=host, do_handshake_on_connect=False
                )
                sock.setblocking(False)
            return sock
        except Exception as e:
            sock.close()
            if not isinstance(e, OSError):
                raise
            failure = e
        except BaseException:  # cancelled
            sock.close()
            raise
    raise failure


async def _connect(sock, address, deadline):
    sock.setblocking(False)
    try:
        sock.setsockopt(6, 1, 1)  # TCP_NODELAY; not every port has it
    except (OSError, AttributeError):
        pass
    try:
        sock.connect(address)
    except OSError as e:
        if e.args[0] not in (errno.EINPROGRESS, errno.EAGAIN):
            raise
    poller = select.poll()
    poller.register(sock, select.POLLOUT)
    while True:
        for _, event in poller.poll(0):
            if event & (select.POLLERR | select.POLLHUP):
                raise OSError(errno.ECONNREFUSED)
            return
        if past(deadline, time.ticks_ms()):
            raise OSError(errno.ETIMEDOUT)
        await asyncio.sleep_ms(2)


# Is this ticks deadline over?
def past(deadline, now):
    return time.ticks_diff(deadline, now) < 0
