"""Access tokens: what is in them, and the key that signs them.

Source: the claims of Microsoft Entra access tokens of version 1.0, which both services ask for
(docs, "Access token claims reference"). The times in a token follow the emulator's clock.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.emulator.http import CallerKind
from reconciler.emulator.private_files import write_private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = [
    "DEVOPS_AUDIENCE",
    "FABRIC_AUDIENCE",
    "FABRIC_AUDIENCES",
    "LIFETIME_S",
    "Issuer",
    "Subject",
    "access_claims",
]

FABRIC_AUDIENCE = "https://api.fabric.microsoft.com"
FABRIC_AUDIENCES = frozenset(
    {
        FABRIC_AUDIENCE,
        "https://analysis.windows.net/powerbi/api",
        "00000009-0000-0000-c000-000000000000",
    }
)
"""Fabric's own resource, and the Power BI service that it grew out of (docs)."""

DEVOPS_AUDIENCE = "499b84ac-1321-427f-aa17-267ca6975798"
"""Source: azure-devops-import.md section 6: the id, not a resource URI."""

LIFETIME_S = 3599
"""About an hour. Source: azure-devops-import.md section 6."""

_KEY_BITS = 2048


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a token is about.

    Attributes:
        object_id: Of the user or service principal; what role assignments name.
        app_id: Of the application that asked.
    """

    object_id: str
    app_id: str
    kind: CallerKind


def access_claims(subject: Subject, *, tenant: str, audience: str, now_s: float) -> dict[str, Any]:
    """Return the claims of an access token."""
    issued = int(now_s)
    claims: dict[str, Any] = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{tenant}/",
        "iat": issued,
        "nbf": issued,
        "exp": issued + LIFETIME_S,
        "appid": subject.app_id,
        "oid": subject.object_id,
        "sub": subject.object_id,
        "tid": tenant,
        "uti": uuid.uuid4().hex[:22],
        "ver": "1.0",
    }
    if subject.kind == "ServicePrincipal":
        return {**claims, "appidacr": "1", "idtyp": "app"}
    return {**claims, "appidacr": "0", "idtyp": "user", "scp": "user_impersonation"}


class Issuer:
    """Signs tokens and tells whether a token is one of its own.

    The key is made when it is first needed, and kept in a folder if there is one, so that tokens
    outlive a restart.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / "signing-key.pem"
        self._key: RSAPrivateKey | None = None

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a JWT with these claims."""
        import jwt  # noqa: PLC0415 - costs start-up time that only Entra is worth

        key = self._private_key()
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": _key_id(key)})

    def verify(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a token of ours, None for any other text.

        Times and audience are left to the caller, who knows the clock and the service.
        """
        import jwt  # noqa: PLC0415 - see sign

        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._private_key().public_key(),
                algorithms=["RS256"],
                options={
                    "verify_signature": True,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                    "verify_iss": False,
                    "verify_sub": False,
                },
            )
        except jwt.InvalidTokenError:
            return None
        return claims

    def public_jwk(self) -> dict[str, str]:
        """Return the public key as the key set lists it."""
        key = self._private_key()
        numbers = key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": _key_id(key),
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }

    def _private_key(self) -> RSAPrivateKey:
        if self._key is None:
            self._key = self._read_key() or self._make_key()
        return self._key

    def _read_key(self) -> RSAPrivateKey | None:
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - see sign
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see sign
            load_pem_private_key,
        )

        if self._file is None or not self._file.exists():
            return None
        key = load_pem_private_key(self._file.read_bytes(), password=None)
        return key if isinstance(key, rsa.RSAPrivateKey) else None

    def _make_key(self) -> RSAPrivateKey:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - see sign
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - see sign

        key = rsa.generate_private_key(public_exponent=65_537, key_size=_KEY_BITS)
        if self._file is not None:
            content = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            write_private(self._file, content)
        return key


def _number(value: int) -> str:
    content = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _key_id(key: RSAPrivateKey) -> str:
    """Return a name of the key that follows from the key."""
    modulus = _number(key.public_key().public_numbers().n)
    return hashlib.sha256(modulus.encode()).hexdigest()[:32]
