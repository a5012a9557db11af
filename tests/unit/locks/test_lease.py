"""How long a lease may be believed in, and what ``--lock`` may say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from typing_extensions import override

from reconciler.clock import ManualClock
from reconciler.errors import LockFailed, UsageError
from reconciler.locks.choose import LockPlace
from reconciler.locks.holder import LockHolder, file_name
from reconciler.locks.lease import LEASE_S, LeaseWatch
from reconciler.locks.target import BlobTarget, blob_target

from .stepped import a_holder


def test_a_lease_is_believed_in_until_shortly_before_it_ends():
    """Guards the fence's own clock: a request that is on its way must arrive in time."""
    clock = ManualClock()
    watch = LeaseWatch(clock)
    assert "it was never taken" == watch.problem()
    watch.confirmed(watch.now())
    clock.advance(LEASE_S - 5.1)
    assert "" == watch.problem()
    clock.advance(0.2)
    assert "its lease could not be renewed for 55 s" == watch.problem()


def test_what_counts_is_when_the_renewal_was_asked_for():
    """Guards against a slow answer: the service's minute began before it arrived."""
    clock = ManualClock()
    watch = LeaseWatch(clock)
    asked = watch.now()
    clock.advance(56)
    watch.confirmed(asked)
    assert "could not be renewed for 56 s" in watch.problem()


def test_a_lost_lease_stays_lost_and_the_first_reason_is_told():
    """Guards that a run does not begin to write again after it was told to stop."""
    watch = LeaseWatch(ManualClock())
    watch.lose("somebody broke its lease")
    watch.lose("another")
    watch.confirmed(watch.now())
    assert "somebody broke its lease" == watch.problem()


def test_the_reason_of_the_last_failed_renewal_is_told():
    """Guards that a run which stops because of an outage says so."""
    clock = ManualClock()
    watch = LeaseWatch(clock)
    watch.confirmed(watch.now())
    watch.failed("503 ServerBusy")
    clock.advance(60)
    assert "its lease could not be renewed for 60 s (503 ServerBusy)" == watch.problem()


def test_a_machine_that_slept_does_not_trust_its_monotonic_clock():
    """Guards laptops: the monotonic clock stands still during sleep, the lease does not."""

    class Slept(ManualClock):
        asleep = timedelta()

        @override
        def now(self):
            return super().now() + self.asleep

    clock = Slept()
    watch = LeaseWatch(clock)
    watch.confirmed(watch.now())
    clock.asleep = timedelta(hours=8)
    assert "could not be renewed for 28800 s" in watch.problem()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("azblob://contoso/locks", "https://contoso.blob.core.windows.net"),
        ("azblob://contoso/locks/", "https://contoso.blob.core.windows.net"),
        (
            "azblob://contoso.blob.core.usgovcloudapi.net/locks",
            "https://contoso.blob.core.usgovcloudapi.net",
        ),
    ],
)
def test_an_account_is_a_name_or_a_host(text, url):
    """Guards clouds other than the public one."""
    target = blob_target(text)
    assert isinstance(target, BlobTarget)
    assert (url, "contoso", "locks") == (target.url, target.name, target.container)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Local",
        "azblob://contoso",
        "azblob://contoso/",
        "azblob://contoso/a/b",
        "azblob://Contoso/locks",
        "azblob://contoso/LOCKS",
        "azblob://co@evil/locks",
        "azblob://contoso:key@host/locks",
        "azblob://contoso/lo--cks",
        "https://contoso.blob.core.windows.net/locks",
        "s3://contoso/locks",
    ],
)
def test_anything_else_is_no_place_for_a_lock(text):
    """Guards --lock against what would lock somewhere else than meant."""
    with pytest.raises(ValueError, match=r"neither local nor azblob://ACCOUNT/CONTAINER"):
        blob_target(text)


def test_a_holder_survives_being_written_down():
    """Guards the fields that a refusal is made of."""
    holder = a_holder("Sales ä")
    assert holder == LockHolder.of(holder.fields())
    assert LockHolder.of({**holder.fields(), "id": "../../etc"}) is None
    assert LockHolder.of({**holder.fields(), "pid": "many"}) is None
    assert LockHolder.of({}) is None


def test_file_names_are_safe_and_their_own():
    """Guards what an estate's name may do to a path."""
    assert "sales" == file_name("sales")
    assert "Sales_EU-" == file_name("Sales EU")[:9]
    names = ["a/b", "a b", "a_b", "..", ".", "x" * 300, "x" * 301, "Ä", "a%20b"]
    made = [file_name(n) for n in names]
    assert len(names) == len(set(made))
    assert all(
        len(m) < 150 and "/" not in m and not m.startswith(".") and m.isascii() for m in made
    )


class _NoToken:
    """A credential that is not set up."""

    def get_token(self, *scopes):
        """Fail as azure-identity does."""
        raise ValueError("no tenant id")


def place(where: str, **environ: str) -> LockPlace:
    """Return a place without a usable credential."""
    return LockPlace(where, environ, _NoToken)


KEY = "c2VjcmV0LWtleQ=="


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("nonsense", "is not a connection string of a storage account"),
        (f"AccountName=other;AccountKey={KEY}", "is for the storage account other, and --lock"),
        (
            f"AccountName=contoso;AccountKey={KEY};BlobEndpoint=http://blobs.example/contoso",
            "uses plain http to blobs.example",
        ),
    ],
)
async def test_a_connection_string_that_does_not_fit_is_refused_and_never_shown(text, phrase):
    """Guards against locking in the wrong account, and against keys in messages or in clear."""
    with pytest.raises(UsageError) as refused:
        await place("azblob://contoso/locks", AZURE_STORAGE_CONNECTION_STRING=text).find("x")
    assert phrase in str(refused.value)
    assert KEY not in str(refused.value) + refused.value.remedy


async def test_a_caller_who_is_not_signed_in_is_told_how():
    """Guards that a credential which is not set up is no bug of ours."""
    with pytest.raises(LockFailed) as failed:
        await place("azblob://contoso/locks").find("x")
    said = "cannot lock in azblob://contoso/locks: no token from azure-identity: no tenant id"
    assert said == str(failed.value)
    assert "sign in (for instance az login)" in failed.value.remedy
    assert 1 == failed.value.exit_code


async def test_without_the_extra_the_message_names_it(monkeypatch):
    """Guards the one optional dependency of a lock."""
    monkeypatch.setitem(__import__("sys").modules, "azure.storage.blob.aio", None)
    with pytest.raises(LockFailed) as failed:
        await place("azblob://contoso/locks").find("x")
    assert "needs the package azure-storage-blob" in str(failed.value)
    assert "pip install 'fabric-reconciler[azblob]'" == failed.value.remedy
