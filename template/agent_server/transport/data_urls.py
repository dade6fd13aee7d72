"""URLs of images and files, which may hold the whole file: `data:image/png;base64,iVBO...`."""

import binascii
import re

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
