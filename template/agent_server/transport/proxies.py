"""The proxies that the environment names: this machine is never asked through one."""

import os
import re
from importlib.util import find_spec
from urllib.parse import urlsplit

from agent_server.settings import SettingsError, on_this_machine, workspace_configured

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")  # or in lower case
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def settle_proxies() -> None:
    """Let every library reach this machine directly, and unset proxies that can't be used.

    Raises SettingsError, which names such a proxy, if something outside may be asked.
    """
    named = [name for name in os.environ if name.upper() in VARIABLES and os.environ[name]]
    for name in named:
        if why := _fault(os.environ[name]):
            if _asks_outside():
                shown = re.sub(r"//.*@", "//", os.environ[name])  # without a password
                raise SettingsError(f"{name}={shown} can't be used: {why}")
            del os.environ[name]
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = [host.strip() for host in known.split(",") if host.strip()]
    if named and "*" not in hosts:
        direct = [*hosts, *LOOPBACK]
        if on_this_machine(base := os.environ.get("OPENAI_BASE_URL", "")):
            direct.append(urlsplit(base).hostname or "")
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(dict.fromkeys(direct))


def _asks_outside() -> bool:
    base = os.environ.get("OPENAI_BASE_URL", "")
    return workspace_configured() or bool(base and not on_this_machine(base))


def _fault(value: str) -> str:
    """Return why the libraries could not use a proxy, and what to do; nothing if they can."""
    import httpx  # only where there is a proxy: it takes a while

    try:
        url = httpx.Proxy(value if "://" in value else f"http://{value}").url
    except (ValueError, httpx.InvalidURL):
        url = httpx.URL("")
    if not url.host:
        return "it must be like http://proxy.example.com:8080. Correct it, or unset it."
    if url.scheme.startswith("socks") and not find_spec("socksio"):
        return "the package socksio is missing. Run `uv add socksio`, or name an HTTP proxy."
    return ""
