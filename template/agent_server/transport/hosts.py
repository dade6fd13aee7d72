"""Which names this server answers to.

A web page whose name is made to point at this machine (DNS rebinding) would otherwise read and
write as its user: to a browser, page and server are then one site.
"""

import re
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.types import Scope

from agent_server.errors import ApiError, bad_request
from agent_server.settings import setting

HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([\w.*-]+?)\.?)(?::\d{1,5})?", re.ASCII | re.IGNORECASE)


def refuse_host(scope: Scope) -> ApiError | None:
    """Return why a request may not be answered under the name in its Host header, if it may not."""
    sent = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    name = _name(sent[0]) if sent else ""
    if not name:
        return bad_request("Host: send the name of this server, and its port if it has one.")
    here = (scope.get("server") or ("",))[0]
    if _is_local(name, here) or _is_allowed(name):
        return None
    text = f"This server does not answer to the name {name!r}. If it is its own, add it to"
    return ApiError(421, "unknown_host", f"{text} the setting ALLOWED_HOSTS.")


def _name(host: str) -> str:
    """Return the name in `host` without its port, in lower case; "" if it is malformed."""
    found = HOST.fullmatch(host.strip())
    return (found[1] or found[2]).lower() if found else ""


def _is_local(name: str, here: str) -> bool:
    """Return whether `name` is this machine's; `here` is the address that was connected to."""
    if name == "localhost":
        return True
    if not (address := _address(name)):
        return False
    # What listens on the network is reached by any of its addresses, and by those of a router or a
    # container's host in front: probes of a platform do so. No page has an address for its name
    # unless it comes from there.
    reached = _address(here)
    return address.is_loopback or bool(reached and not reached.is_loopback)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(name)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_allowed(name: str) -> bool:
    allowed = (_name(host) or host for host in setting("ALLOWED_HOSTS").split(","))
    return any(fnmatchcase(name, pattern) for pattern in allowed)
