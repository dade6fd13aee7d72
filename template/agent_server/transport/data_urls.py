"""URLs of images and files, which may hold the whole file: `data:image/png;base64,iVBO...`."""

import binascii
import re
from collections.abc import Iterable

from agent_server.settings import limit

FILE_PARTS = ("input_image", "input_file", "file")  # in the API, and in the AI SDK
IMAGES = ("image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp")
HEAD = re.compile(r"data:([\w.+-]+/[\w.+-]+)(;[\w.+=-]+)*;base64", re.IGNORECASE | re.ASCII)
WEB_URL = re.compile(r"https://[^\s/?#]\S{0,2000}", re.IGNORECASE)


def media_type(url: str) -> str:
    """Return the media type of what a data: URL holds, or nothing for any other URL."""
    head = HEAD.fullmatch(url.partition(",")[0])
    return head[1].lower() if head else ""


def check_file(url: str) -> str:
    """Return `url`; raises ValueError if it does not hold a file."""
    if not media_type(url):
        raise ValueError("must be the file as a data: URL, with its media type, in base64")
    try:
        binascii.a2b_base64(url.partition(",")[2], strict_mode=True)
    except ValueError:
        raise ValueError("must be a data: URL in valid base64") from None
    return url


def check_image(url: str) -> str:
    """Return `url`; raises ValueError if it is not that of an image that models take."""
    if WEB_URL.fullmatch(url):
        return url
    if media_type(url) not in IMAGES:
        raise ValueError("must be a PNG, JPEG, GIF or WebP as a data: URL, or an https: URL of one")
    return check_file(url)


def check_parts(messages: Iterable[object]) -> None:
    """Raise ValueError if messages, as a client sent them, have too many parts beside files.

    LangChain takes a quarter of a millisecond for each of them, in every call of the model.
    """
    contents = [message.get("content") for message in messages if isinstance(message, dict)]
    lists = [content for content in contents if isinstance(content, list)]
    if sum(map(len, filter(_has_files, lists))) > (most := limit("MAX_FILE_PARTS")):
        text = f"must have at most {most} parts in messages with files"
        raise ValueError(f"{text} (the limit MAX_FILE_PARTS)")


def _has_files(content: list[object]) -> bool:
    return any(isinstance(part, dict) and part.get("type") in FILE_PARTS for part in content)
