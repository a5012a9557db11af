"""A lock among machines: a lease on a blob in Azure Storage, one blob for each estate.

A lease lasts a minute and is renewed every twenty seconds and before every write. The service
gives it to one holder only, so a run that renewed it may write; one that could not, stops. A run
that is killed loses it within a minute by itself. Sources, of Lease Blob, Set Blob Metadata and
Get Blob Properties (docs; exercised against Azurite): the caller may choose the id of a lease;
a lease that has run out can still be renewed while nobody else took it, and one that was broken,
released or taken cannot (409); a read that names an id which is not the lease's is 412.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar
from urllib.parse import quote, unquote

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobClient, BlobLeaseClient, ContainerClient

from reconciler.clock import Clock
from reconciler.errors import LockFailed, LockHeld
from reconciler.locks.holder import LockHolder, file_name
from reconciler.locks.lease import LEASE_S, RENEW_S, RETRY_S, LeaseWatch
from reconciler.locks.lock import held, lost, wait_for
from reconciler.locks.target import BlobTarget

__all__ = ["BlobLock", "find_blob", "force_unlock_blob"]

_log = logging.getLogger(__name__)

T = TypeVar("T")

_FOLDER = "reconciler-locks/"
_TRIES = 3
_LOOKS = 20
_LOOK_S = 0.1
_RELEASE_S = 10.0
_LONGEST_REASON = 300


class BlobLock:
    """The lock of one estate, as a lease.

    Args:
        holder: who wants it; the lease gets its ``lock_id``.
        container: the SDK's client; closed by ``release``.
        target: the same container as the user wrote it.
    """

    def __init__(
        self, holder: LockHolder, *, container: ContainerClient, target: BlobTarget, clock: Clock
    ) -> None:
        self._wanted = holder
        self._container = container
        self._target = target
        self._clock = clock
        self._blob: BlobClient = container.get_blob_client(_blob_name(holder.estate))
        self._lease = BlobLeaseClient(self._blob, lease_id=holder.lock_id)
        self._watch = LeaseWatch(clock)
        self._one_at_a_time = asyncio.Lock()
        self._begun = 0
        self._keeper: asyncio.Task[None] | None = None
        self._asked = False

    async def acquire(self, *, timeout_s: float, on_wait: Callable[[str], None]) -> None:
        """Take the lease and start to renew it; see :class:`~reconciler.locks.lock.Lock`."""
        try:
            await wait_for(self._attempt, self._clock, timeout_s=timeout_s, on_wait=on_wait)
        except BaseException:
            await self.release()
            raise
        self._keeper = asyncio.create_task(self._keep())

    async def renew(self) -> None:
        """Renew the lease, and see that it may be relied upon.

        Several writes that ask at once share one request, but never one that was under way
        before they asked.
        """
        mine = self._begun + 1
        async with self._one_at_a_time:
            if self._begun < mine:
                await self._renew_once()
        if problem := self._watch.problem():
            raise lost(self._wanted.estate, problem)

    async def release(self) -> None:
        """Give the lease back; where that fails it ends by itself within a minute."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        try:
            async with asyncio.timeout(_RELEASE_S):
                if self._asked:
                    await self._lease.release()
        except (AzureError, TimeoutError) as error:
            _log.debug("the lease was not given back: %s", _reason(error))
        finally:
            self._keeper, self._asked = None, False
            await self._container.close()

    async def holder(self) -> LockHolder | None:
        """Return who holds the lease, waiting a moment for a run that has only just taken it."""
        for _ in range(_LOOKS):
            properties = await self._ask(self._blob.get_blob_properties)
            if not _is_leased(properties):
                return None
            found = _holder_of(properties.metadata)
            if found is not None and await self._is_of(found):
                return found
            await self._clock.sleep(_LOOK_S)
        return None

    async def _is_of(self, holder: LockHolder) -> bool:
        """Tell whether the lease is this holder's: a killed run leaves its name behind."""
        try:
            await self._blob.get_blob_properties(lease=holder.lock_id)
        except HttpResponseError as error:
            if error.status_code == 412:
                return False
            raise _failed(self._target, error) from error
        except AzureError as error:
            raise _failed(self._target, error) from error
        return True

    async def _attempt(self) -> LockHeld | None:
        asked = self._watch.now()
        try:
            await self._ask(self._take)
        except _Taken:
            self._asked = False
            return held(self._wanted.estate, await self.holder(), self._target.flag)
        self._watch.confirmed(asked)
        return None

    async def _take(self) -> None:
        """Take the lease and write down whose it is; makes the blob when it is missing."""
        self._asked = True
        try:
            await self._lease.acquire(lease_duration=LEASE_S)
        except ResourceNotFoundError as error:
            if _code(error) != "BlobNotFound":
                raise
            with contextlib.suppress(ResourceExistsError):  # another run made it just now
                await self._blob.upload_blob(b"", overwrite=False)
            await self._lease.acquire(lease_duration=LEASE_S)
        fields = {k: quote(v, safe=" @:+-.") for k, v in self._wanted.fields().items()}
        await self._blob.set_blob_metadata(fields, lease=self._lease)

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call that may be repeated; an outage of a moment is waited out.

        Raises:
            _Taken: the lease is another's.
            LockFailed: anything else.
        """
        tried = 0
        while True:
            try:
                return await call()
            except AzureError as error:
                tried += 1
                if isinstance(error, HttpResponseError) and error.status_code in {409, 412}:
                    raise _Taken from error
                if tried == _TRIES or not _may_pass(error):
                    raise _failed(self._target, error) from error
            await self._clock.sleep(float(tried))

    async def _keep(self) -> None:
        wait_s = RENEW_S
        while True:
            await self._clock.sleep(wait_s)
            async with self._one_at_a_time:
                ok = await self._renew_once()
            wait_s = RENEW_S if ok else RETRY_S

    async def _renew_once(self) -> bool:
        self._begun += 1
        asked = self._watch.now()
        try:
            await self._lease.renew()
        except AzureError as error:
            if why := _gone(error):
                self._watch.lose(why)
            else:
                self._watch.failed(_reason(error))
            return False
        self._watch.confirmed(asked)
        return True


class _Taken(Exception):
    """The lease is another's."""


async def find_blob(
    lock_id: str, container: ContainerClient, target: BlobTarget
) -> tuple[LockHolder | None, list[LockHolder]]:
    """Return the holder with this id, and all that hold a lease here.

    Raises:
        LockFailed: the container cannot be read.
    """
    found: list[LockHolder] = []
    try:
        async for blob in container.list_blobs(name_starts_with=_FOLDER, include=["metadata"]):
            holder = _holder_of(blob.metadata)
            if holder is not None and _is_leased(blob):
                found.append(holder)
    except AzureError as error:
        raise _failed(target, error) from error
    return next((h for h in found if h.lock_id == lock_id), None), found


async def force_unlock_blob(
    holder: LockHolder, container: ContainerClient, target: BlobTarget
) -> bool:
    """End the lease of this holder and no other's; the run stops before its next write.

    Returns:
        False when the lease was not this holder's any more.

    Raises:
        LockFailed: the service refused for another reason.
    """
    blob = container.get_blob_client(_blob_name(holder.estate))
    try:
        # Releasing by its id cannot hit a lease that another run has taken in the meantime.
        await BlobLeaseClient(blob, lease_id=holder.lock_id).release()
    except AzureError as error:
        if _gone(error):
            return False
        raise _failed(target, error) from error
    return True


def _blob_name(estate: str) -> str:
    return f"{_FOLDER}{file_name(estate)}"


def _is_leased(blob: BlobProperties) -> bool:
    # A lease that is being broken keeps others out until its time is over.
    return str(blob.lease.state) in {"leased", "breaking"}


def _holder_of(metadata: Mapping[str, str] | None) -> LockHolder | None:
    return LockHolder.of({k: unquote(v) for k, v in (metadata or {}).items()})


def _gone(error: AzureError) -> str:
    """Say why a lease cannot be renewed ever again, ``""`` when it may be tried again."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status == 404:
        return "its blob was deleted"
    if status not in {409, 412}:
        return ""
    if "Broken" in _code(error):
        return "somebody broke its lease"
    return "somebody released its lease (force-unlock), or another run has taken it"


def _may_pass(error: AzureError) -> bool:
    if isinstance(error, ClientAuthenticationError):
        return False
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return error.status_code in {408, 429} or error.status_code >= 500
    return True


def _code(error: AzureError) -> str:
    """Return the service's own code; the SDK adds it to its errors, as text or as an enum."""
    code = getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))


def _reason(error: BaseException) -> str:
    """Say what went wrong in one line; never more than status and code of what a service sent."""
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return f"{error.status_code} {_code(error) or error.reason or ''}".strip()
    text = " ".join(str(error).split())
    text = text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"
    if isinstance(error, ClientAuthenticationError):
        return f"no token from azure-identity: {text}"
    return f"{type(error).__name__}: {text}"


def _failed(target: BlobTarget, error: AzureError) -> LockFailed:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if _code(error) == "ContainerNotFound":
        remedy = (
            f"make it once: az storage container create --name {target.container} "
            f"--account-name {target.name} --auth-mode login"
        )
    elif status in {401, 403}:
        remedy = (
            "give the caller the role Storage Blob Data Contributor on the container, or choose "
            "another with --auth or AZURE_STORAGE_CONNECTION_STRING"
        )
    elif isinstance(error, ClientAuthenticationError):
        remedy = (
            "sign in (for instance az login), choose another credential with --auth, or set "
            "AZURE_STORAGE_CONNECTION_STRING"
        )
    else:
        remedy = "check the name of the account and the network, then apply again"
    return LockFailed(f"cannot lock in {target.flag}: {_reason(error)}", remedy=remedy)
