"""Text a service sent, made safe to show: no control characters, no secrets, bounded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from reconciler.errors import ClientError

__all__ = ["clean", "quote_segment"]

_LIMIT = 500
_USERINFO = re.compile(r"(?<=://)[^/\s?#]*@")
_TOKEN = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)


def clean(text: str, *, limit: int = _LIMIT, secrets: Iterable[str] = ()) -> str:
    """Return ``text`` on one line, printable, without credentials, at most ``limit`` long.

    Args:
        text: what the service said; it may hold terminal escapes or echo what was sent to it.
        limit: the most characters to return, the ellipsis included.
        secrets: values to mask wherever they occur.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = _USERINFO.sub("***@", text)
    text = _TOKEN.sub(r"\1 ***", text)
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def quote_segment(value: str) -> str:
    """Encode a name or id as exactly one segment of a URL path.

    Raises:
        ClientError: the value would change which resource the path means (empty, ``.``, ``..``).
    """
    if value in {"", ".", ".."}:
        raise ClientError(f"{value!r} cannot be the name or id of anything in a URL path")
    return quote(value, safe="")
