"""Where the lock is: the value of ``--lock``."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["BlobTarget", "blob_target"]

# Source: naming of storage accounts and containers (docs). A name with dots is a whole host, for
# clouds other than the public one.
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}|[a-z0-9][a-z0-9.-]*\.[a-z]+")
_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}")
_PUBLIC = "blob.core.windows.net"


@dataclass(frozen=True, slots=True)
class BlobTarget:
    """A container of a storage account."""

    account: str
    container: str

    @property
    def url(self) -> str:
        """The address of the account."""
        host = self.account if "." in self.account else f"{self.account}.{_PUBLIC}"
        return f"https://{host}"

    @property
    def name(self) -> str:
        """The name of the account alone."""
        return self.account.partition(".")[0]

    @property
    def flag(self) -> str:
        """The value of ``--lock``, as the user wrote it."""
        return f"azblob://{self.account}/{self.container}"


def blob_target(text: str) -> BlobTarget | None:
    """Return the container that the value of ``--lock`` names, None for ``local``.

    Raises:
        ValueError: it is neither.
    """
    if text == "local":
        return None
    scheme, _, rest = text.partition("://")
    account, slash, container = rest.rstrip("/").partition("/")
    if (
        scheme != "azblob"
        or not slash
        or not _ACCOUNT.fullmatch(account)
        or not _CONTAINER.fullmatch(container)
    ):
        raise ValueError(f"{text!r} is neither local nor azblob://ACCOUNT/CONTAINER")
    return BlobTarget(account, container)
