"""Bring names and places from spec and services into one form before they are compared.

Names compare the way the services compare them: organization, project and repository without
case, branch and directory with it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["same_name", "same_source", "strip_userinfo"]


def same_name(a: str, b: str) -> bool:
    """Compare names without case, as organizations, projects and repositories are."""
    return a.casefold() == b.casefold()


def same_source(a: str, b: str) -> bool:
    """Tell whether two URLs name one source repository.

    Scheme and host without case, trailing slash, ``.git`` and user info are ignored; the path is
    case-sensitive. For comparison only: never send the normalised form.
    Source: azure-devops-import.md section 3, last paragraph.
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


def _comparable(url: str) -> tuple[str | int | None, ...]:
    stripped = strip_userinfo(url.strip())
    try:
        parts = urlsplit(stripped)
    except ValueError:
        return (stripped,)
    try:
        port = parts.port
    except ValueError:
        port = None
    path = parts.path.rstrip("/").removesuffix(".git").rstrip("/")
    return parts.scheme.lower(), (parts.hostname or "").lower(), port, path, parts.query
