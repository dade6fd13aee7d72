"""Serves the page: its files compressed, and those that depend on what the owner chose."""

import gzip
import hashlib
import json
import re
import struct
import zlib
from collections.abc import Callable
from math import isqrt
from pathlib import Path
from string import Template

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.responses import FileResponse
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from agent_server.chat.branding import HERE, read_branding

PAGE = HERE / "page"
LOGO = HERE.parent / "logo.svg"
# Scripts that are no modules, and those that are seldom used.
CLASSIC = {"theme.js"}
SELDOM = {"code.js", "editing.js", "math.js", "memory.js", "temml.js", "transcript.js", "you.js"}
# What shows the first message (see rendering.js); an empty page does without.
RENDERING = {
    "dompurify.js",
    "formulas.js",
    "frames.js",
    "markdown.js",
    "marked.js",
    "marks.js",
    "parts.js",
}
# What makes a module of a published file that is none.
EXPORTS = {"vendor/temml.js": b"\nexport default temml;\n"}
# Comments that have lines of their own, and indentation: for those who read the files.
UNSENT = re.compile(r"^[ ]*(?:/\*(?:(?!\*/).)*\*/\n|//[^\n]*\n|\n)|^[ ]+", re.MULTILINE | re.DOTALL)
MADE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "brand.css": ("text/css", lambda: read_branding().style.encode()),
    "texts.js": ("text/javascript", lambda: _as_module(read_branding().words)),
    "manifest.webmanifest": (
        "application/manifest+json",
        lambda: read_branding().manifest.encode(),
    ),
    "logo.svg": ("image/svg+xml", LOGO.read_bytes),
    "touch-icon.png": ("image/png", lambda: _touch_icon(read_branding().accent)),
}


class PageFiles(StaticFiles):
    """The files of the page. Raises SettingsError if `page.toml` can't be used."""

    def __init__(self) -> None:
        super().__init__(directory=PAGE)
        read_branding()
        self._compressed: dict[str, bytes] = {}  # by their hash; of few files

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file."""
        if path in MADE:
            kind, make = MADE[path]
            return self._pack(make(), kind, scope)
        found = await super().get_response(path, scope)
        if not isinstance(found, FileResponse):
            return found
        body = Path(found.path).read_bytes()  # noqa: ASYNC240 - of this project: it is there at once
        own = path.endswith((".js", ".css")) and not path.startswith("vendor/")
        body = _compact(body) if own else body + EXPORTS.get(path, b"")
        return self._pack(body, found.media_type or "", scope)

    def show(self, request: Request) -> Response:
        """Return the page itself."""
        places = {**read_branding().shown, "preloads": _preloads("chat" in request.query_params)}
        text = Template((PAGE / "index.html").read_text("utf-8")).substitute(places)
        return self._pack(_compact(text.encode()), "text/html", request.scope)

    def _pack(self, body: bytes, kind: str, scope: Scope) -> Response:
        asked, digest = Headers(scope=scope), hashlib.sha256(body).hexdigest()[:32]
        headers = {"ETag": f'"{digest}"', "Vary": "Accept-Encoding"}
        if self.is_not_modified(Headers(headers), asked):
            return NotModifiedResponse(Headers(headers))
        if "gzip" in asked.get("accept-encoding", ""):
            if digest not in self._compressed:
                self._compressed[digest] = gzip.compress(body)
            body, headers["Content-Encoding"] = self._compressed[digest], "gzip"
        return Response(body, headers=headers, media_type=kind)


def _compact(body: bytes) -> bytes:
    return UNSENT.sub("", body.decode()).encode()


def _as_module(words: dict[str, str]) -> bytes:
    return f"export default {json.dumps(words, ensure_ascii=False)};\n".encode()


def _touch_icon(accent: str) -> bytes:
    """Return the accent with a white disc in it, as PNG: home screens take no SVG."""
    size, radius = 180, 50
    ground, white = bytes.fromhex(accent.removeprefix("#")), b"\xff\xff\xff"
    rows = bytearray()
    for y in range(size):
        half = isqrt(max(radius**2 - (y - size // 2) ** 2, 0))
        edge = ground * (size // 2 - half)
        rows += b"\0" + edge + white * (2 * half) + edge
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _preloads(messages: bool) -> str:
    """Return the links that let the browser fetch all modules at once, for `messages` if any."""
    later = CLASSIC | SELDOM | (set() if messages else RENDERING)
    names = [path.relative_to(PAGE).as_posix() for path in sorted(PAGE.rglob("*.js"))]
    modules = [name for name in names if Path(name).name not in later]
    link = '<link rel="modulepreload" href="static/{}">'
    return "".join(link.format(name) for name in [*modules, "texts.js"])
