"""What stands between the network and the routes: who may ask, how much, and the headers.

Refuses other host names (DNS rebinding), cross-site and non-JSON writes, and large bodies; adds the
security headers; turns whatever breaks into the one error form. Knows nothing of the routes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fieldassay.errors import FieldassayError

log = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
MAX_BODY_BYTES = 16 * 1024
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class WebError(FieldassayError):
    """A request cannot be served; carries the HTTP status."""

    def __init__(self, status: int, code: str, what: str, do_next: str) -> None:
        super().__init__(code, what, do_next)
        self.status = status


INTERNAL = WebError(
    500,
    "internal_error",
    "The host made a mistake while answering; the record itself is not affected.",
    "Try again; if it stays, send the log of the host to the maintainers.",
)


TOO_LARGE = WebError(
    413,
    "body_too_large",
    f"The body is larger than {MAX_BODY_BYTES} bytes.",
    "Send only the fields that the command has.",
)


def _host_name(host: str) -> str:
    """The name without the port; an IPv6 address keeps its brackets."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


class Shield:
    """The outermost ASGI layer of ours.

    Args:
        app: What it guards.
        hosts: Host names (without port) under which the page may be asked for.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = LOOPBACK) -> None:
        self._app = app
        self._hosts = frozenset(name.lower() for name in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, _limited(receive), send_with_headers)
        except WebError as error:
            if started:
                raise
            await _answer(error, send_with_headers)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if started:
                raise
            await _answer(INTERNAL, send_with_headers)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _host_name(host) not in self._hosts:
            raise WebError(
                421,
                "host_not_served",
                "The page was asked for under a name it does not serve.",
                "Open the address that the host printed when it started.",
            )
        if scope["method"] in SAFE_METHODS:
            return
        origin = headers.get("origin")
        cross_site = headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        if cross_site or (origin is not None and urlsplit(origin).netloc != host):
            raise WebError(
                403,
                "cross_site_request",
                "Another web page tried to send a command.",
                "Send commands from the page of this host only.",
            )
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise WebError(
                415,
                "json_required",
                "The body is not marked as JSON.",
                "Send it with the header Content-Type: application/json.",
            )
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length[:12]) > MAX_BODY_BYTES:
            raise TOO_LARGE


def _limited(receive: Receive) -> Receive:
    """Count the body as it comes: a chunked request has no length in its header."""
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY_BYTES:
            raise HTTPException(413)  # the one exception that FastAPI lets through while it reads
        return message

    return counted


async def _answer(error: WebError, send: Send) -> None:
    body = json.dumps({"error": error.as_dict()}).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": error.status, "headers": head})
    await send({"type": "http.response.body", "body": body})
