"""Credentials: who calls, as a complete ``Authorization`` header value.

A credential never shows its secret: ``describe`` says where it came from, ``caller`` is a stable
name for comparing plans. azure-identity is imported only when it is really used, because loading
it costs noticeable start-up time and most CI runs bring a token.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from pydantic import SecretStr

from reconciler.clients.secrets import NO_SECRETS, Secrets, secrets_of
from reconciler.clients.text import clean
from reconciler.clock import Clock, SystemClock
from reconciler.errors import AuthFailed, UsageError

__all__ = [
    "AUTH_MODES",
    "DEVOPS_SCOPE",
    "FABRIC_SCOPE",
    "AzureIdentity",
    "Credential",
    "PatBasic",
    "StaticBearer",
    "TokenSource",
    "devops_credential",
    "fabric_credential",
    "identity_source",
]

FABRIC_SCOPE = "https://api.fabric.microsoft.com/.default"
DEVOPS_SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"
"""Source: azure-devops-import.md section 6 (docs): the application id, not a resource URI."""

AUTH_MODES = ("environment", "workload", "managed", "cli", "interactive", "device-code")

_EARLY_S = 300.0
"""A token is renewed this long before it expires, so that no call starts with a dying one."""

_JUST_FETCHED_S = 10.0
"""Refreshes asked for within this time of the last one share it: one 401 wave, one refresh."""

_SALT = b"fabric-reconciler caller v1:"


class Credential(Protocol):
    """Something that can sign a request."""

    async def header(self, *, refresh: bool = False) -> SecretStr:
        """Return the whole ``Authorization`` value; ``refresh`` asks for a new token.

        Raises:
            AuthFailed: no token can be had.
        """
        ...

    def describe(self) -> str:
        """Say where the credential comes from, without any of its secret."""
        ...

    @property
    def caller(self) -> str | None:
        """A stable, non-secret name of the identity; None while it is not known."""
        ...

    @property
    def caller_is_app(self) -> bool | None:
        """Whether it is a service principal or managed identity; None: the token does not say."""
        ...


class StaticBearer:
    """A bearer token handed in from outside; it cannot be renewed."""

    def __init__(self, token: SecretStr, *, source: str) -> None:
        self._token = SecretStr(_usable(token.get_secret_value(), source))
        self._source = source
        self._caller = _caller_of(self._token.get_secret_value())

    async def header(self, *, refresh: bool = False) -> SecretStr:
        """Return ``Bearer …``; a refresh has nothing to renew."""
        return SecretStr(f"Bearer {self._token.get_secret_value()}")

    def describe(self) -> str:
        """Say where the token was found."""
        return f"bearer token from {self._source}"

    @property
    def caller(self) -> str:
        """The identity the token names, or a digest of the token."""
        return self._caller

    @property
    def caller_is_app(self) -> bool | None:
        """What the token's claims say of it."""
        return _is_app(self._token.get_secret_value())


class PatBasic:
    """A personal access token, or a pipeline's job token, sent as the basic password.

    Source: azure-devops-import.md section 6 (docs): any user name, ``:`` + token.
    """

    def __init__(self, token: SecretStr, *, source: str) -> None:
        self._token = SecretStr(_usable(token.get_secret_value(), source))
        self._source = source
        self._caller = _caller_of(self._token.get_secret_value())

    async def header(self, *, refresh: bool = False) -> SecretStr:
        """Return ``Basic …``; a refresh has nothing to renew."""
        pair = f":{self._token.get_secret_value()}".encode()
        return SecretStr(f"Basic {base64.b64encode(pair).decode()}")

    def describe(self) -> str:
        """Say where the token was found."""
        return f"personal access token from {self._source}"

    @property
    def caller(self) -> str:
        """The identity the token names, or a digest of the token."""
        return self._caller

    @property
    def caller_is_app(self) -> bool | None:
        """What the token's claims say of it."""
        return _is_app(self._token.get_secret_value())


class _AccessToken(Protocol):
    @property
    def token(self) -> str: ...

    @property
    def expires_on(self) -> int: ...


class TokenSource(Protocol):
    """The part of an azure-identity credential that is used here."""

    def get_token(self, *scopes: str) -> _AccessToken:
        """Return an object with ``token`` and ``expires_on`` (Unix seconds)."""
        ...


class AzureIdentity:
    """A token from azure-identity, cached until five minutes before it expires.

    The library's synchronous credentials are used in a thread: its asynchronous ones need a
    second HTTP stack.

    Args:
        make: builds the library's credential; called again on a refresh when ``renewable``,
            because the library offers no other way around its own cache.
        renewable: False for credentials that would ask a person again.
        secrets: what the library signs in with, and might repeat in an error.
    """

    def __init__(
        self,
        make: Callable[[], TokenSource],
        *,
        scope: str,
        description: str,
        clock: Clock | None = None,
        renewable: bool = True,
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self._make = make
        self._scope = scope
        self._description = description
        self._clock = clock or SystemClock()
        self._renewable = renewable
        self._secrets = secrets
        self._source: TokenSource | None = None
        self._token: SecretStr | None = None
        self._expires_s = 0.0
        self._fetched_s = 0.0
        self._caller: str | None = None
        self._lock = asyncio.Lock()

    async def header(self, *, refresh: bool = False) -> SecretStr:
        """Return ``Bearer …``, fetching a token when there is none, it is old, or on request."""
        async with self._lock:
            if self._token is None or self._is_old() or (refresh and not self._is_new()):
                await self._fetch(rebuild=refresh and self._renewable)
            token = self._token.get_secret_value() if self._token else ""
        return SecretStr(f"Bearer {token}")

    def describe(self) -> str:
        """Say which kind of credential it is."""
        return self._description

    @property
    def caller(self) -> str | None:
        """The identity of the last token; None before the first one."""
        return self._caller

    @property
    def caller_is_app(self) -> bool | None:
        """What the last token's claims say of it."""
        return _is_app(self._token.get_secret_value()) if self._token else None

    def _is_old(self) -> bool:
        return self._expires_s - _EARLY_S <= _epoch_s(self._clock.now())

    def _is_new(self) -> bool:
        return self._clock.monotonic_s() - self._fetched_s < _JUST_FETCHED_S

    async def _fetch(self, *, rebuild: bool) -> None:
        if rebuild:
            self._source = None
        answer = await _in_daemon(self._get_token)
        self._token = SecretStr(answer.token)
        self._expires_s = float(answer.expires_on)
        self._fetched_s = self._clock.monotonic_s()
        self._caller = _caller_of(answer.token)

    def _get_token(self) -> _AccessToken:
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - costs start-up time

        try:
            if self._source is None:
                self._source = self._make()
            return self._source.get_token(self._scope)
        except (AzureError, ValueError, OSError) as error:
            raise AuthFailed(
                f"no token from {self._description}: {clean(self._secrets.masked(str(error)))}",
                status=401,
                remedy="Sign in (for instance `az login`), set up that credential, or choose "
                f"another with --auth {'|'.join(AUTH_MODES)}.",
            ) from error


def fabric_credential(
    environ: Mapping[str, str], *, mode: str | None = None, clock: Clock | None = None
) -> Credential:
    """Choose the credential for Fabric: ``RECONCILER_FABRIC_TOKEN``, else azure-identity.

    Raises:
        UsageError: ``mode`` is unknown, or the token cannot be one.
    """
    _check_mode(mode)
    if token := _env(environ, "RECONCILER_FABRIC_TOKEN"):
        return StaticBearer(token, source="RECONCILER_FABRIC_TOKEN")
    return _azure_identity(environ, mode, FABRIC_SCOPE, clock)


def devops_credential(
    environ: Mapping[str, str], *, mode: str | None = None, clock: Clock | None = None
) -> Credential:
    """Choose the credential for Azure DevOps.

    The first that is set of ``RECONCILER_DEVOPS_TOKEN`` (bearer), ``AZURE_DEVOPS_EXT_PAT`` and
    ``SYSTEM_ACCESSTOKEN`` (basic), else azure-identity.

    Raises:
        UsageError: ``mode`` is unknown, or the token cannot be one.
    """
    _check_mode(mode)
    if token := _env(environ, "RECONCILER_DEVOPS_TOKEN"):
        return StaticBearer(token, source="RECONCILER_DEVOPS_TOKEN")
    for name in ("AZURE_DEVOPS_EXT_PAT", "SYSTEM_ACCESSTOKEN"):
        if token := _env(environ, name):
            return PatBasic(token, source=name)
    return _azure_identity(environ, mode, DEVOPS_SCOPE, clock)


def identity_source(
    environ: Mapping[str, str], *, mode: str | None = None
) -> Callable[[], TokenSource]:
    """Return what makes the azure-identity credential that ``--auth`` names, for other scopes.

    Raises:
        UsageError: ``mode`` is unknown.
    """
    _check_mode(mode)
    return lambda: _make_azure_credential(environ, mode)


def _check_mode(mode: str | None) -> None:
    if mode is not None and mode not in AUTH_MODES:
        raise UsageError(f"unknown --auth {mode!r}; choose one of {', '.join(AUTH_MODES)}")


def _azure_identity(
    environ: Mapping[str, str], mode: str | None, scope: str, clock: Clock | None
) -> AzureIdentity:
    return AzureIdentity(
        lambda: _make_azure_credential(environ, mode),
        scope=scope,
        description=f"azure-identity ({mode or 'default chain'})",
        clock=clock,
        renewable=mode not in {"interactive", "device-code"},
        secrets=secrets_of(environ),
    )


def _make_azure_credential(environ: Mapping[str, str], mode: str | None) -> TokenSource:
    import azure.identity as library  # noqa: PLC0415 - costs start-up time

    # What fails is in the error that is raised; the library would print it a second time.
    logging.getLogger("azure.identity").addHandler(logging.NullHandler())
    match mode:
        case None:
            return library.DefaultAzureCredential()
        case "environment":
            return library.EnvironmentCredential()
        case "workload":
            return library.WorkloadIdentityCredential()
        case "managed":
            return library.ManagedIdentityCredential(client_id=_plain(environ, "AZURE_CLIENT_ID"))
        case "cli":
            return library.AzureCliCredential()
        case "interactive":
            return library.InteractiveBrowserCredential()
        case "device-code":
            return library.DeviceCodeCredential(prompt_callback=_show_device_code)
        case _:
            raise UsageError(f"unknown --auth {mode!r}")


def _show_device_code(uri: str, code: str, _expires: datetime) -> None:
    """Ask on stderr: the library's own prompt would spoil JSON on stdout."""
    sys.stderr.write(f"To sign in, open {uri} and enter the code {code}\n")
    sys.stderr.flush()


def _env(environ: Mapping[str, str], name: str) -> SecretStr | None:
    """Read a secret; empty counts as not set, as CI systems export unset variables so."""
    value = environ.get(name, "").strip()
    return SecretStr(value) if value else None


def _plain(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name, "").strip() or None


def _usable(token: str, source: str) -> str:
    """Drop a pasted ``Bearer`` and refuse what cannot stand in a header, without showing it."""
    value = re.sub(r"^bearer(\s+|$)", "", token.strip(), flags=re.IGNORECASE)
    if not value or not all("!" <= char <= "~" for char in value):
        raise UsageError(
            f"{source} does not hold a usable token: it is empty or has blanks, line breaks or "
            "other characters that no token has"
        )
    return value


def _caller_of(token: str) -> str:
    """Name the identity behind a token.

    The claims are read without verifying them: they only label plans, they grant nothing.
    """
    claims = _jwt_claims(token)
    for name in ("oid", "appid", "azp", "nameid", "sub"):
        value = claims.get(name)
        if isinstance(value, str) and value:
            return f"{'appid' if name == 'azp' else name}:{clean(value, limit=100)}"
    return f"token:{hashlib.sha256(_SALT + token.encode()).hexdigest()[:8]}"


def _is_app(token: str) -> bool | None:
    """Tell an application from a person, where the token says.

    Source: Microsoft's access token claims reference, docs: ``idtyp`` is ``app`` in tokens of
    applications, and ``scp`` stands only in tokens that act for a person.
    """
    claims = _jwt_claims(token)
    kind = claims.get("idtyp")
    if kind in ("app", "user"):
        return bool(kind == "app")
    return False if claims.get("scp") else None


def _jwt_claims(token: str) -> Mapping[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        text = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = json.loads(text)
    except (binascii.Error, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


async def _in_daemon(work: Callable[[], _AccessToken]) -> _AccessToken:
    """Run blocking work in a thread that ends with the process.

    A pool's thread would be waited for at the end, and a sign-in that hangs with it.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_AccessToken] = loop.create_future()

    def tell(answer: _AccessToken | None, error: BaseException | None) -> None:
        if done.done():  # nobody waits any more
            return
        if answer is not None:
            done.set_result(answer)
        else:
            done.set_exception(error or AuthFailed("no token", status=401))

    def run() -> None:
        answer, failure = None, None
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, answer, failure)

    threading.Thread(target=run, name="sign-in", daemon=True).start()
    return await done


def _epoch_s(moment: datetime) -> float:
    return moment.timestamp()
