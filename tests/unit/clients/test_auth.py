"""Credentials: which one is chosen, when tokens are renewed, and that none is ever shown."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from datetime import timedelta

import pytest
from pydantic import SecretStr

from reconciler.clients.auth import (
    DEVOPS_SCOPE,
    FABRIC_SCOPE,
    AzureIdentity,
    PatBasic,
    StaticBearer,
    devops_credential,
    fabric_credential,
)
from reconciler.clock import ManualClock
from reconciler.errors import AuthFailed, UsageError

from .helpers import everything_said


def jwt(**claims: str) -> str:
    """An unsigned token with these claims."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.sig"


@dataclass
class Issued:
    token: str
    expires_on: int


class Issuer:
    """A stand-in for the library's credential: issues numbered tokens valid for an hour."""

    def __init__(self, clock: ManualClock, *, fails: Exception | None = None) -> None:
        self.clock = clock
        self.fails = fails
        self.built = 0
        self.scopes: list[str] = []

    def build(self) -> Issuer:
        self.built += 1
        return self

    def get_token(self, *scopes: str) -> Issued:
        if self.fails:
            raise self.fails
        self.scopes += scopes
        expires = self.clock.now() + timedelta(hours=1)
        return Issued(f"issued-{len(self.scopes)}", int(expires.timestamp()))


def identity(issuer: Issuer, **options) -> AzureIdentity:
    """A credential whose tokens come from the issuer."""
    return AzureIdentity(
        issuer.build, scope="s/.default", description="test identity", clock=issuer.clock, **options
    )


async def test_a_fabric_token_from_the_environment_is_sent_as_bearer():
    """RECONCILER_FABRIC_TOKEN wins over everything else."""
    credential = fabric_credential({"RECONCILER_FABRIC_TOKEN": " abc \n"})
    assert "Bearer abc" == (await credential.header()).get_secret_value()
    assert "bearer token from RECONCILER_FABRIC_TOKEN" == credential.describe()


@pytest.mark.parametrize(
    ("environ", "header", "source"),
    [
        (
            {
                "RECONCILER_DEVOPS_TOKEN": "t",
                "AZURE_DEVOPS_EXT_PAT": "p",
                "SYSTEM_ACCESSTOKEN": "s",
            },
            "Bearer t",
            "RECONCILER_DEVOPS_TOKEN",
        ),
        (
            {"RECONCILER_DEVOPS_TOKEN": "", "AZURE_DEVOPS_EXT_PAT": "p", "SYSTEM_ACCESSTOKEN": "s"},
            f"Basic {base64.b64encode(b':p').decode()}",
            "AZURE_DEVOPS_EXT_PAT",
        ),
        (
            {"SYSTEM_ACCESSTOKEN": "s"},
            f"Basic {base64.b64encode(b':s').decode()}",
            "SYSTEM_ACCESSTOKEN",
        ),
    ],
)
async def test_the_first_azure_devops_variable_that_is_set_is_used(environ, header, source):
    """The order is token, PAT, job token; an empty variable counts as unset."""
    credential = devops_credential(environ)
    assert header == (await credential.header()).get_secret_value()
    assert source in credential.describe()


def test_without_variables_azure_identity_is_chosen_and_not_loaded():
    """Choosing costs nothing; the library is loaded when a token is needed."""
    credential = fabric_credential({}, mode="cli")
    assert isinstance(credential, AzureIdentity)
    assert "azure-identity (cli)" == credential.describe()
    assert credential.caller is None


@pytest.mark.parametrize("choose", [fabric_credential, devops_credential])
def test_an_unknown_auth_mode_is_wrong_usage(choose):
    """Even when a token makes the mode moot, a typing error is told."""
    with pytest.raises(UsageError, match="device-code"):
        choose({"RECONCILER_FABRIC_TOKEN": "x", "RECONCILER_DEVOPS_TOKEN": "x"}, mode="devicecode")


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "Bearer ", "t\u00f6ken", "nul\x00"])
def test_a_token_that_cannot_be_one_is_refused_without_showing_it(token):
    """Blanks and line breaks come from bad copying; the value is never repeated."""
    with pytest.raises(UsageError) as caught:
        fabric_credential({"RECONCILER_FABRIC_TOKEN": token})
    assert "words" not in everything_said(caught.value)
    assert "RECONCILER_FABRIC_TOKEN" in caught.value.message


async def test_a_pasted_bearer_prefix_is_dropped():
    """Tokens are often copied with the word Bearer."""
    credential = fabric_credential({"RECONCILER_FABRIC_TOKEN": "Bearer abc"})
    assert "Bearer abc" == (await credential.header()).get_secret_value()


@pytest.mark.parametrize(
    ("token", "caller"),
    [
        (jwt(oid="o-1", appid="a-1"), "oid:o-1"),
        (jwt(appid="a-1"), "appid:a-1"),
        (jwt(azp="a-2"), "appid:a-2"),
        (jwt(nameid="n-1"), "nameid:n-1"),
    ],
)
def test_a_jwt_names_its_caller(token, caller):
    """The object id is preferred, then the application."""
    assert caller == StaticBearer(SecretStr(token), source="S").caller
    assert caller == PatBasic(SecretStr(token), source="S").caller


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "a.!!!.c", jwt(), f"x.{'e30'}.y"])
def test_an_opaque_token_gives_a_stable_digest(token):
    """Two runs with one token are one caller; the token cannot be read back."""
    first = PatBasic(SecretStr(token), source="S").caller
    assert first == PatBasic(SecretStr(token), source="other").caller
    assert first.startswith("token:")
    assert 8 == len(first.removeprefix("token:"))
    assert first != PatBasic(SecretStr(token + "x"), source="S").caller


def test_no_credential_shows_its_token():
    """Repr and describe are safe to log."""
    for credential in (
        StaticBearer(SecretStr("hush-hush"), source="S"),
        PatBasic(SecretStr("hush-hush"), source="S"),
    ):
        assert "hush" not in repr(credential) + credential.describe() + repr(vars(credential))


async def test_a_token_is_kept_until_five_minutes_before_it_expires():
    """One token serves many calls; a dying one is replaced in time."""
    clock = ManualClock()
    issuer = Issuer(clock)
    credential = identity(issuer)
    headers = [(await credential.header()).get_secret_value()]
    clock.advance(3600 - 301)
    headers.append((await credential.header()).get_secret_value())
    clock.advance(2)
    headers.append((await credential.header()).get_secret_value())
    assert ["Bearer issued-1", "Bearer issued-1", "Bearer issued-2"] == headers
    assert ["s/.default", "s/.default"] == issuer.scopes


async def test_a_refresh_builds_the_library_credential_anew():
    """The library's own cache would give back the refused token."""
    clock = ManualClock()
    issuer = Issuer(clock)
    credential = identity(issuer)
    await credential.header()
    clock.advance(60)
    assert "Bearer issued-2" == (await credential.header(refresh=True)).get_secret_value()
    assert 2 == issuer.built


async def test_a_refresh_never_asks_a_person_again():
    """Interactive credentials renew within the same sign-in."""
    clock = ManualClock()
    issuer = Issuer(clock)
    credential = identity(issuer, renewable=False)
    await credential.header()
    clock.advance(60)
    await credential.header(refresh=True)
    assert 1 == issuer.built
    assert 2 == len(issuer.scopes)


async def test_many_refused_calls_share_one_refresh():
    """Ten 401s at once cause one new token, not ten."""
    clock = ManualClock()
    issuer = Issuer(clock)
    credential = identity(issuer)
    await credential.header()
    clock.advance(60)
    await asyncio.gather(*(credential.header(refresh=True) for _ in range(10)))
    assert 2 == len(issuer.scopes)


@pytest.mark.parametrize(
    "failure", [ValueError("tenant is wrong\nsee\x1b[1m log"), OSError("no az")]
)
async def test_a_sign_in_that_fails_is_an_authentication_error_with_a_remedy(failure):
    """Library errors never surface as tracebacks."""
    credential = identity(Issuer(ManualClock(), fails=failure))
    with pytest.raises(AuthFailed) as caught:
        await credential.header()
    assert "az login" in caught.value.remedy
    assert "\x1b" not in caught.value.message


async def test_the_real_library_without_any_setup_fails_cleanly(monkeypatch):
    """EnvironmentCredential without variables reports what is missing, offline."""
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_USERNAME"):
        monkeypatch.delenv(name, raising=False)
    credential = fabric_credential({}, mode="environment")
    with pytest.raises(AuthFailed) as caught:
        await credential.header()
    assert "environment" in caught.value.message


def test_the_scopes_are_those_of_the_services():
    """Azure DevOps is asked for by application id, never by URL."""
    assert "https://api.fabric.microsoft.com/.default" == FABRIC_SCOPE
    assert "499b84ac-1321-427f-aa17-267ca6975798/.default" == DEVOPS_SCOPE


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"idtyp": "app"}, True),
        ({"idtyp": "user"}, False),
        ({"scp": "user_impersonation"}, False),
        ({"oid": "o"}, None),
    ],
)
def test_a_token_tells_an_application_from_a_person(claims, expected):
    """Only what the token says counts; one that says nothing is nobody's."""
    credential = fabric_credential({"RECONCILER_FABRIC_TOKEN": jwt(**claims)})
    assert expected is credential.caller_is_app
