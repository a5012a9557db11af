"""Bring names and places from spec and services into one form before they are compared.

Names compare the way the services compare them: organization, project and repository without
case, branch and directory with it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["same_name", "same_source"]


def same_name(a: str, b: str) -> bool:
    """Compare names without case, as organizations, projects and repositories are."""
    return a.casefold() == b.casefold()


def same_source(a: str, b: str) -> bool:
    """Tell whether two URLs name one source repository.

    Scheme and host without case, trailing slash, ``.git`` and user info are ignored; the path is
    case-sensitive. For comparison only: never send the normalised form.
    Source: azure-devops-import.md section 3, last paragraph.
    """
    return _source_key(a) == _source_key(b)


def _source_key(url: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(url.strip())
    try:
        port = parts.port
    except ValueError:
        port = None
    path = parts.path.rstrip("/").removesuffix(".git")
    return parts.scheme.lower(), (parts.hostname or "").lower(), port, path
