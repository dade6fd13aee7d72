"""Keeps other web sites out: security headers on every response, and no cross-site writes."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_server.errors import ApiError, to_body

# Only what this server serves, and no HTML from text that has not been sanitised.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types dompurify"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The page's files must be of the same release, and a user's data in no shared cache.
    "Cache-Control": "private, no-cache",
}
READING = ("GET", "HEAD", "OPTIONS")


class Security:
    """ASGI middleware that guards an app."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse writes that another site may have started; let the app answer the rest."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = _refusal(Request(scope))
        answer = JSONResponse(to_body(refusal), refusal.status_code) if refusal else self.app
        await answer(scope, receive, send_guarded)


def _refusal(request: Request) -> ApiError | None:
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
