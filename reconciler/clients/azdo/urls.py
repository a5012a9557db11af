"""Comparing and showing repository URLs; never used to build one that is called."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

__all__ = ["same_source", "strip_userinfo"]


def same_source(a: str, b: str) -> bool:
    """Tell whether two URLs name the same repository.

    Scheme and host compare without case; a trailing slash, ``.git`` and userinfo do not count;
    the path is case-sensitive. Source: azure-devops-import.md section 3, end.
    """
    return _comparable(a) == _comparable(b)


def strip_userinfo(url: str) -> str:
    """Return ``url`` without user name and password; other text is returned as it is."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    # Not urlsplit: a password may hold characters that make it fail or split elsewhere.
    cut = min((i for i in map(rest.find, "/?#") if i >= 0), default=len(rest))
    return f"{scheme}://{rest[:cut].rpartition('@')[2]}{rest[cut:]}"


def _comparable(url: str) -> str:
    stripped = strip_userinfo(url.strip())
    try:
        parts = urlsplit(stripped)
    except ValueError:
        return stripped
    path = parts.path.rstrip("/").removesuffix(".git").rstrip("/")
    return urlunsplit((parts.scheme.lower(), parts.netloc.lower(), path, parts.query, ""))
