"""Reaching the container that holds the leases: who signs in, and to where."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlsplit

from reconciler.errors import LockFailed, UsageError
from reconciler.locks.target import BlobTarget

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken
    from azure.storage.blob.aio import ContainerClient

__all__ = ["TokenSource", "open_container"]

_VARIABLE = "AZURE_STORAGE_CONNECTION_STRING"
"""As the Azure CLI names it."""

# Repeating is the lock's own affair, by the run's clock.
_OPTIONS: dict[str, Any] = {"retry_total": 0, "connection_timeout": 5, "read_timeout": 10}


class _Token(Protocol):
    @property
    def token(self) -> str: ...

    @property
    def expires_on(self) -> int: ...


class TokenSource(Protocol):
    """The part of an azure-identity credential that is used here."""

    def get_token(self, *scopes: str) -> _Token:
        """Return an object with ``token`` and ``expires_on`` (Unix seconds)."""
        ...


def open_container(
    target: BlobTarget, *, environ: Mapping[str, str], credential: Callable[[], TokenSource]
) -> ContainerClient:
    """Return a client for the container; nothing is sent yet.

    Args:
        credential: makes a credential when there is no connection string.

    Raises:
        LockFailed: the SDK is not installed.
        UsageError: the connection string is no good, or for another account.
    """
    try:
        from azure.storage.blob.aio import ContainerClient  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise LockFailed(
            f"--lock {target.flag} needs the package azure-storage-blob, which is not installed",
            remedy="pip install 'fabric-reconciler[azblob]'",
        ) from error
    # What fails is in the error that is raised; the library would print it a second time.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    text = environ.get(_VARIABLE, "").strip()
    if not text:
        return ContainerClient(
            target.url, target.container, credential=_InThread(credential), **_OPTIONS
        )
    try:
        client = ContainerClient.from_connection_string(text, target.container, **_OPTIONS)
        account, url = client.account_name, client.primary_endpoint
    except (ValueError, KeyError, IndexError):  # its text holds a key
        raise UsageError(
            f"{_VARIABLE} is not a connection string of a storage account",
            remedy="copy it from the account's access keys, or unset it and sign in",
        ) from None
    _check(target, account or "", url)
    return client


def _check(target: BlobTarget, account: str, url: str) -> None:
    """Refuse to lock somewhere else than asked for, or to send a key in the clear."""
    if account != target.name:
        raise UsageError(
            f"{_VARIABLE} is for the storage account {account or 'of an address'}, and --lock "
            f"names {target.name}",
            remedy="let both name the same account, or unset the variable and sign in",
        )
    parts = urlsplit(url)
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise UsageError(f"{_VARIABLE} uses plain http to {parts.hostname}; use https")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _InThread:
    """A credential of azure-identity for the SDK's event loop.

    The library's own asynchronous credentials cannot be made from the same choices.
    """

    def __init__(self, make: Callable[[], TokenSource]) -> None:
        self._make = make
        self._source: TokenSource | None = None

    async def get_token(self, *scopes: str, **_options: object) -> AccessToken:
        """Return a token; the library caches it."""
        return await asyncio.to_thread(self._get, scopes)

    def _get(self, scopes: tuple[str, ...]) -> AccessToken:
        from azure.core.credentials import AccessToken  # noqa: PLC0415 - an extra
        from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415 - an extra

        try:
            if self._source is None:
                self._source = self._make()
            found = self._source.get_token(*scopes)
        except (ValueError, OSError) as error:  # what a credential that is not set up raises
            raise ClientAuthenticationError(str(error)) from error
        return AccessToken(found.token, found.expires_on)

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self.close()
