"""Who is let in: any token, or only Entra's own for the right service and still valid.

Source: fabric-api.md section 3.4 and azure-devops-import.md section 6.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from reconciler.emulator.entra.tokens import DEVOPS_AUDIENCE, FABRIC_AUDIENCES
from reconciler.emulator.http import Caller, CallerScheme, ProblemKind, caller_of

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["admit"]

_DEVOPS = frozenset({DEVOPS_AUDIENCE})
_AUDIENCES = {"fabric": FABRIC_AUDIENCES, "azdo": _DEVOPS, "git": _DEVOPS}


def admit(world: World, service: str, authorization: str | None) -> Caller | ProblemKind:
    """Return who sends a request to a service, or why nobody is let in.

    With ``--auth entra``, Azure DevOps also takes an Entra token as a basic password, and any other
    basic password as a personal access token, which the emulator has no list of (assumed). GitHub
    has credentials of its own and takes any.
    """
    caller = caller_of(authorization)
    if caller is None:
        return "unauthorized"
    audiences = _AUDIENCES.get(service)
    if world.options.auth != "entra" or audiences is None:
        return caller
    scheme, token = caller.scheme, _token(authorization or "")
    if scheme == "basic":
        if service == "fabric":
            return "unauthorized"
        if token.count(".") != 2:
            return caller
    return _checked(world, token, audiences, scheme)


def _token(authorization: str) -> str:
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    try:
        user, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return password or user


def _checked(
    world: World, token: str, audiences: frozenset[str], scheme: CallerScheme
) -> Caller | ProblemKind:
    claims = world.issuer.verify(token)
    if claims is None or str(claims.get("aud", "")).rstrip("/") not in audiences:
        return "token_invalid"
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or expires <= world.clock.timestamp():
        return "token_expired"
    app = claims.get("idtyp") == "app"
    return Caller(id=str(claims["oid"]), kind="ServicePrincipal" if app else "User", scheme=scheme)
