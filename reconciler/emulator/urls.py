"""Where the services answer, as clients are told.

Behind the proxy clients know the real host names only, so every URL that an answer hands out
depends on the host that was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Urls", "handed_out", "handing_out"]


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the services answer; no trailing slashes.

    Attributes:
        fabric_url: ``{fabric_url}/v1/...``.
        location_url: The same service under another host name, as in ``Location`` headers of
            long-running operations (source: fabric-api.md section 2.1, recorded).
        entra_url: ``{entra_url}/{tenant}/oauth2/v2.0/token``.
    """

    fabric_url: str = ""
    location_url: str = ""
    devops_url: str = ""
    github_url: str = ""
    control_url: str = ""
    entra_url: str = ""


_CURRENT: ContextVar[Urls | None] = ContextVar("emulator_urls", default=None)


@contextmanager
def handing_out(urls: Urls | None) -> Iterator[None]:
    """Let answers made inside the block name these URLs; None for the emulator's own."""
    token = _CURRENT.set(urls)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def handed_out() -> Urls | None:
    """Return the URLs of the request that is being answered, None for the emulator's own."""
    return _CURRENT.get()
