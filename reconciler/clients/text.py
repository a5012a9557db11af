"""Text a service sent, made safe to show: no control characters, no secrets, bounded."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import quote, urlsplit

from reconciler.errors import ClientError

__all__ = ["clean", "host_of", "is_loopback", "path_of", "quote_segment", "without_userinfo"]

_LIMIT = 500
_USERINFO = re.compile(r"(?<=://)[^/\s?#]*@")
_TOKEN = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)


def clean(text: str, *, limit: int = _LIMIT) -> str:
    """Return ``text`` on one line, printable, without credentials, at most ``limit`` long.

    Args:
        text: what the service said; it may hold terminal escapes or echo what was sent to it.
            Known secrets are masked before, see ``clients/secrets.py``.
        limit: the most characters to return, the ellipsis included.
    """
    text = _USERINFO.sub("***@", text)
    text = _TOKEN.sub(r"\1 ***", text)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def without_userinfo(url: str) -> str:
    """Return a URL without the user name and password in it."""
    return _USERINFO.sub("", url)


def host_of(url: str) -> str:
    """Return the host a service's URL names, "" when it is no URL."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Tell whether a host of a URL is this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def path_of(url: str) -> str:
    """Return the path of a service's URL, "" when it is no URL."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def quote_segment(value: str) -> str:
    """Encode a name or id as exactly one segment of a URL path.

    Raises:
        ClientError: the value would change which resource the path means (empty, ``.``, ``..``).
    """
    if value in {"", ".", ".."}:
        raise ClientError(f"{value!r} cannot be the name or id of anything in a URL path")
    return quote(value, safe="")
