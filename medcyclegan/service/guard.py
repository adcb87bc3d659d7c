"""Who may use the page, and what a browser may do with it: in front of every request.

The Host header must be one of our names (else a page of another site could pass for us by its name
server). Beyond loopback a token is asked for: as ``Authorization: Bearer``, or by the log-in form,
which gives a cookie. What changes anything needs the CSRF token of a page of ours, unless the
bearer token is given, which no browser sends by itself.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medcyclegan.service.settings import WebSettings

COOKIE = "medcyclegan"
SESSION_S = 12 * 3600
CSRF_HEADER = "x-csrf-token"
# What is answered without a token: nothing of them tells of patients or the queue.
_OPEN_PATHS = ("/healthz", "/login", "/static/")
_SAFE_METHODS = ("GET", "HEAD")
_POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:",
        "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    )
)  # fmt: skip
# "no-referrer" would make browsers send "Origin: null" with the log-in form.
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True)
class Secrets:
    """The token of the settings, and the CSRF token of this process."""

    token: str
    csrf: str

    def is_token(self, given: str) -> bool:
        """Compare in a time that tells nothing."""
        return bool(self.token) and hmac.compare_digest(self.token.encode(), given.encode())

    def new_session(self) -> str:
        """Return the value of a cookie that is good for some hours."""
        until = str(int(time.time()) + SESSION_S)
        return f"{until}.{self._signed(until)}"

    def is_session(self, cookie: str) -> bool:
        """Whether a cookie is one of ours and not too old."""
        until, _, signature = cookie.partition(".")
        is_ours = hmac.compare_digest(self._signed(until).encode(), signature.encode())
        return is_ours and until.isdecimal() and int(until) > time.time()

    def _signed(self, text: str) -> str:
        key = hashlib.sha256(b"medcyclegan session" + self.token.encode()).digest()
        return hmac.new(key, text.encode(), "sha256").hexdigest()


def new_secrets(settings: WebSettings) -> Secrets:
    """Return the secrets of a process."""
    return Secrets(settings.token, secrets.token_urlsafe(24))


class Guard:
    """ASGI middleware: lets a request through, or answers it; adds headers to every answer."""

    def __init__(self, app: ASGIApp, settings: WebSettings, known: Secrets) -> None:
        self._app, self._known = app, known
        self._names = settings.known_names
        self._is_tls = settings.tls is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(MutableHeaders(scope=message))
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _add_headers(self, headers: MutableHeaders) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("cache-control", "no-store")
        if self._is_tls:
            headers.setdefault("strict-transport-security", "max-age=31536000")

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that is not let through."""
        headers, path = Headers(scope=scope), scope["path"]
        if not self._is_our_name(headers.get("host", "")):
            return _refused(421, "This is not one of the service's names; see --http-name.")
        bearer = self._known.is_token(headers.get("authorization", "").removeprefix("Bearer "))
        is_open = path.startswith(_OPEN_PATHS)
        if self._known.token and not (bearer or is_open or self._has_session(headers)):
            if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
                return RedirectResponse("/login", status_code=303)
            return _refused(401, "A token is needed.", {"www-authenticate": "Bearer"})
        if scope["method"] not in _SAFE_METHODS and not bearer:
            if not _is_same_origin(headers):
                return _refused(403, "The request came from a page of another site.")
            given = headers.get(CSRF_HEADER, "")
            if path != "/login" and not hmac.compare_digest(
                given.encode(), self._known.csrf.encode()
            ):
                return _refused(
                    403,
                    "The page is older than the service: load it again. A script needs a token "
                    "(--token-file of serve), sent as 'Authorization: Bearer TOKEN'.",
                )
        return None

    def _is_our_name(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return name is not None and name.lower() in self._names

    def _has_session(self, headers: Headers) -> bool:
        return self._known.is_session(cookie_parser(headers.get("cookie", "")).get(COOKIE, ""))


def _is_same_origin(headers: Headers) -> bool:
    """Whether a browser says that the request is of a page of ours; other programs say nothing."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host", "")


def _refused(status: int, said: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": said}, status_code=status, headers=headers)
