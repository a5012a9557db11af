"""Enough of Microsoft Entra for client libraries to get tokens.

Source: the Microsoft identity platform's documentation of the OAuth 2.0 client credentials flow,
its certificate and federated variants, of the refresh of tokens and of OpenID Connect discovery
(docs); section 6 of azure-devops-import.md. Neither applications nor their secrets are known here:
any well-formed client is right (assumed). A fault on service ``entra`` makes one wrong.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from reconciler.emulator.entra.tokens import (
    DEVOPS_AUDIENCE,
    FABRIC_AUDIENCE,
    FABRIC_AUDIENCES,
    LIFETIME_S,
    Subject,
    access_claims,
)
from reconciler.emulator.http import Answer, Call, CallerKind, Problem, Refused, Route

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = [
    "DEFAULT_CLIENT",
    "DEFAULT_TENANT",
    "ROUTES",
    "access_token",
    "entra_problem",
    "refresh_token",
]

DEFAULT_TENANT = "2f3a1c6e-5f0b-4c43-9d0e-6a7f0c1b2d3e"
DEFAULT_CLIENT = "9f6d1a2c-7b1e-4b1c-8a53-0c4f4c7f2b10"

_DIRECTORY = uuid.UUID("5be2f9cc-27b0-4a4e-9d0a-0f1f8f8c9d51")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_REFRESH = "refresh"
_SIGN_IN_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
_ALIASES = (
    "login.microsoftonline.com",
    "login.windows.net",
    "login.microsoft.com",
    "sts.windows.net",
)


def _refuse(world: World, status: int, error: str, number: int, text: str) -> Refused:
    """Return the exception that ends the call with an OAuth error."""
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    time = world.clock.now().strftime("%Y-%m-%d %H:%M:%SZ")
    body = {
        "error": error,
        "error_description": (
            f"AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} "
            f"Timestamp: {time}"
        ),
        "error_codes": [number],
        "timestamp": time,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"{world.urls.entra_url}/error?code={number}",
    }
    return Refused(Answer(status, body))


_PROBLEMS = {
    "malformed_body": (400, "invalid_request"),
    "no_route": (404, "invalid_request"),
    "wrong_method": (405, "invalid_request"),
    "too_large": (413, "invalid_request"),
    "blocked": (429, "temporarily_unavailable"),
    "unexpected": (500, "server_error"),
}


def entra_problem(_world: World, problem: Problem, _headers: Mapping[str, str]) -> Answer:
    """Word what went wrong around a handler as an OAuth error."""
    status, error = _PROBLEMS.get(problem.kind, (401, "invalid_client"))
    return Answer(status, {"error": error, "error_description": problem.message})


async def discover_instance(world: World, call: Call) -> Answer:
    """Tell that an authority is a known cloud; libraries ask before they send a secret."""
    endpoint = urlsplit(call.query.get("authorization_endpoint", ""))
    tenant = next((piece for piece in endpoint.path.split("/") if piece), "common")
    root = world.urls.entra_url
    return Answer(
        200,
        {
            "tenant_discovery_endpoint": f"{root}/{tenant}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [
                {
                    "preferred_network": _ALIASES[0],
                    "preferred_cache": _ALIASES[1],
                    "aliases": list(_ALIASES),
                }
            ],
        },
    )


async def describe(world: World, call: Call) -> Answer:
    """Answer with the OpenID configuration of a tenant."""
    tenant = call.params["tenant"]
    root = f"{world.urls.entra_url}/{tenant}"
    return Answer(
        200,
        {
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": [
                "client_secret_post",
                "private_key_jwt",
                "client_secret_basic",
            ],
            "jwks_uri": f"{root}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "token"],
            "scopes_supported": sorted(_SIGN_IN_SCOPES),
            "issuer": f"https://login.microsoftonline.com/{_tenant_id(tenant)}/v2.0",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
        },
    )


async def list_keys(world: World, _call: Call) -> Answer:
    """Answer with the public keys that tokens are signed with."""
    return Answer(200, {"keys": [world.issuer.public_jwk()]})


def _tenant_id(tenant: str) -> str:
    """Return the id of a tenant that may be given by one of its domains."""
    if _GUID.fullmatch(tenant):
        return tenant.lower()
    return str(uuid.uuid5(_DIRECTORY, tenant.lower()))


async def give_token(world: World, call: Call) -> Answer:
    """Give an access token for client credentials or a refresh token."""
    form = dict(parse_qsl(call.raw.decode("utf-8", "replace"), keep_blank_values=True))
    tenant = _tenant_id(call.params["tenant"])
    grant = form.get("grant_type", "")
    if grant == "client_credentials":
        subject = _application(world, form, tenant, call)
        audience = _audience(world, form.get("scope", ""), default=False)
        return Answer(200, _given(world, subject, tenant=tenant, audience=audience))
    if grant == "refresh_token":
        subject = _refreshed(world, form)
        audience = _audience(world, form.get("scope", ""), default=True)
        body = _given(world, subject, tenant=tenant, audience=audience)
        body["scope"] = f"{audience}/.default"
        body["refresh_token"] = refresh_token(world, subject, tenant=tenant)
        return Answer(200, body)
    if not grant:
        text = "The request body must contain the following parameter: 'grant_type'."
        raise _refuse(world, 400, "invalid_request", 900144, text)
    text = f"The app requested an unsupported grant type '{grant}'."
    raise _refuse(world, 400, "unsupported_grant_type", 70003, text)


def _given(world: World, subject: Subject, *, tenant: str, audience: str) -> dict[str, Any]:
    return {
        "token_type": "Bearer",
        "expires_in": LIFETIME_S,
        "ext_expires_in": LIFETIME_S,
        "access_token": access_token(world, subject, tenant=tenant, audience=audience),
    }


def access_token(
    world: World, subject: Subject, *, audience: str, tenant: str = DEFAULT_TENANT
) -> str:
    """Return an access token that is valid from now on."""
    claims = access_claims(subject, tenant=tenant, audience=audience, now_s=world.clock.timestamp())
    return world.issuer.sign(claims)


def refresh_token(world: World, subject: Subject, *, tenant: str = DEFAULT_TENANT) -> str:
    """Return a refresh token of a user; it does not expire within a run."""
    claims = {
        "aud": _REFRESH,
        "oid": subject.object_id,
        "appid": subject.app_id,
        "kind": subject.kind,
        "tid": tenant,
    }
    return world.issuer.sign(claims)


def _application(world: World, form: Mapping[str, str], tenant: str, call: Call) -> Subject:
    """Return the service principal of an application that proves who it is."""
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    if not client_id:
        client_id, secret = _basic(call.headers.get("Authorization", ""))
    if not _GUID.fullmatch(client_id):
        text = f"Application with identifier '{client_id}' was not found in the directory."
        raise _refuse(world, 400, "unauthorized_client", 700016, text)
    if "client_assertion" in form:
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            text = "The request body must contain a known 'client_assertion_type'."
            raise _refuse(world, 400, "invalid_request", 900144, text)
        _check_assertion(world, form["client_assertion"])
    elif not secret:
        text = (
            "The request body must contain the following parameter: 'client_assertion' or "
            "'client_secret'."
        )
        raise _refuse(world, 401, "invalid_client", 7000218, text)
    return Subject(_object_id(world, client_id, tenant), client_id.lower(), "ServicePrincipal")


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def _object_id(world: World, client_id: str, tenant: str) -> str:
    """Return the object id of an application's service principal.

    A scenario that names the application (``principals: [{appId: ...}]``) decides.
    """
    for principal in world.fabric.principals.values():
        if (principal.app_id or "").lower() == client_id.lower():
            return principal.id
    return str(uuid.uuid5(_DIRECTORY, f"{tenant}/{client_id.lower()}"))


def _check_assertion(world: World, assertion: str) -> None:
    """Check the shape of a client assertion; whoever signed it is trusted (assumed)."""
    pieces = assertion.split(".")
    decoded = [_json_piece(piece) for piece in pieces[:2]]
    claims = decoded[1] if len(pieces) == 3 else None
    if claims is None or decoded[0] is None:
        text = "JWT token is invalid or malformed."
        raise _refuse(world, 401, "invalid_client", 50027, text)
    for name in ("iss", "sub", "aud"):
        if not claims.get(name):
            text = f"The assertion is missing the claim '{name}'."
            raise _refuse(world, 401, "invalid_client", 50027, text)


def _json_piece(piece: str) -> dict[str, Any] | None:
    try:
        found = json.loads(base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4)))
    except (ValueError, binascii.Error):
        return None
    return found if isinstance(found, dict) else None


def _refreshed(world: World, form: Mapping[str, str]) -> Subject:
    claims = world.issuer.verify(form.get("refresh_token", ""))
    if claims is None or claims.get("aud") != _REFRESH:
        text = "The provided grant has expired or is invalid."
        raise _refuse(world, 400, "invalid_grant", 70008, text)
    kind: CallerKind = "ServicePrincipal" if claims["kind"] == "ServicePrincipal" else "User"
    app_id = form.get("client_id") or str(claims["appid"])
    return Subject(str(claims["oid"]), app_id, kind)


def _audience(world: World, scope: str, *, default: bool) -> str:
    """Return the resource that scopes are about."""
    wanted = [piece for piece in scope.split() if piece.lower() not in _SIGN_IN_SCOPES]
    if not wanted:
        if default:
            return FABRIC_AUDIENCE
        text = "The request body must contain the following parameter: 'scope'."
        raise _refuse(world, 400, "invalid_request", 900144, text)
    resource, _, permission = wanted[0].rpartition("/")
    # Client credentials ask for everything that was granted; a user may name one permission.
    if not default and permission != ".default":
        text = f"The provided value for scope {scope} is not valid."
        raise _refuse(world, 400, "invalid_scope", 1002012, text)
    resource = resource.rstrip("/").lower()
    if resource not in FABRIC_AUDIENCES | {DEVOPS_AUDIENCE}:
        text = f"The resource principal named {resource} was not found in the tenant."
        raise _refuse(world, 400, "invalid_resource", 500011, text)
    return resource


ROUTES = [
    Route("GET", "/common/discovery/instance", discover_instance, "entra.instance"),
    Route("GET", "/{tenant}/v2.0/.well-known/openid-configuration", describe, "entra.openid"),
    Route("GET", "/{tenant}/discovery/v2.0/keys", list_keys, "entra.keys"),
    Route("POST", "/{tenant}/oauth2/v2.0/token", give_token, "entra.token", effect=False),
]
