"""Keeps other web sites out: no cross-site writes, known names only, and security headers."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_server.errors import ApiError, bad_request
from agent_server.settings import in_databricks_app
from agent_server.transport.hosts import refuse_host
from agent_server.transport.refusal import refuse

# Only what this server serves, and no HTML from text that has not been sanitised.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types dompurify"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The page's files must be of the same release, and a user's data in no shared cache.
    "Cache-Control": "private, no-cache",
}
# What no browser shows as a document of its own needs nothing that speaks of documents.
PARTS = ("text/javascript", "text/css")
OF_DOCUMENTS = ("Content-Security-Policy", "Referrer-Policy")
READING = ("GET", "HEAD", "OPTIONS")


class Security:
    """ASGI middleware that guards an app."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what another site may have started, or what can be read in two ways."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _guard(MutableHeaders(scope=message))
            await send(message)

        if refusal := _refusal(scope):
            return await refuse(refusal, scope, receive, send_guarded)
        await self.app(scope, receive, send_guarded)


def _guard(headers: MutableHeaders) -> None:
    is_part = headers.get("content-type", "").startswith(PARTS)
    for name, value in HEADERS.items():
        if not (is_part and name in OF_DOCUMENTS):
            headers[name] = value


def _refusal(scope: Scope) -> ApiError | None:
    # In an app, the platform's proxy knows the names, and sends requests on.
    unknown = None if in_databricks_app() else refuse_host(scope)
    return _ambiguous(scope) or unknown or _cross_site(Request(scope))


def _ambiguous(scope: Scope) -> ApiError | None:
    """Return the refusal of a request that a proxy in front may have taken for two."""
    headers = Headers(scope=scope)
    for name in ("host", "content-length", "transfer-encoding"):
        if len(headers.getlist(name)) > 1:
            return bad_request(f"{name.title()}: was sent more than once.")
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None and (length is not None or scope["http_version"] == "1.0"):
        return bad_request("Transfer-Encoding: send it alone, without Content-Length.")
    if coding not in (None, "chunked"):
        return bad_request("Transfer-Encoding: must be chunked.")
    if length is not None and not (length.isascii() and length.isdecimal()):
        return bad_request("Content-Length: must be a whole number.")
    return None


def _cross_site(request: Request) -> ApiError | None:
    headers = request.headers
    if request.method in READING:
        return None
    if not _from_here(headers):
        return ApiError(403, "cross_site", "Another web site may not write here.")
    # Browsers let other sites send any other content type without a CORS preflight.
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    if kind != "application/json" and not (empty and not kind):
        return ApiError(415, "not_json", f"Send Content-Type: application/json, not {kind!r}.")
    return None


def _from_here(headers: Headers) -> bool:
    # Browsers say where a request comes from, and a page can't forge it; programs send nothing.
    # Another subdomain of the same site is somebody else's app.
    if site := headers.get("sec-fetch-site"):
        return site in ("same-origin", "none")
    # Over plain HTTP, browsers send only this.
    return "origin" not in headers or urlsplit(headers["origin"]).netloc == headers.get("host")
