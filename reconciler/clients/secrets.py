"""The secrets of a run, so that no text of a service or a library can carry one further.

A service may repeat what was sent to it, as it is or encoded; so may an exception of a library.
Whatever comes from there goes through here before it enters a message.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

from typing_extensions import override

__all__ = ["MASK", "NO_SECRETS", "Secrets", "secrets_of"]

MASK = "***"

_VARIABLES = (
    "RECONCILER_FABRIC_TOKEN",
    "RECONCILER_DEVOPS_TOKEN",
    "AZURE_DEVOPS_EXT_PAT",
    "SYSTEM_ACCESSTOKEN",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_PASSWORD",
    "AZURE_STORAGE_CONNECTION_STRING",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "IDENTITY_HEADER",
    "MSI_SECRET",
)
"""What this tool and azure-identity read secrets from."""

_KEY = re.compile(r"(?:AccountKey|SharedAccessSignature)=([^;]+)", re.IGNORECASE)
_SHORTEST_ENCODED = 6
"""An encoded form of fewer characters would be found where it is none."""


class Secrets:
    """Known secret values, and every form in which one of them may come back."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for value in values:
            forms |= _forms(value)
        # The longest first: a secret may be a part of another one.
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    @override
    def __repr__(self) -> str:
        return "Secrets(***)"

    def masked(self, text: str) -> str:
        """Return ``text`` with every known secret replaced, in any of its forms."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)


NO_SECRETS = Secrets()


def secrets_of(environ: Mapping[str, str], names: Iterable[str] = ()) -> Secrets:
    """Return the secrets that an environment holds.

    Args:
        names: variables that the spec refers to, besides those this tool knows.
    """
    values: set[str] = set()
    for name in (*_VARIABLES, *names):
        value = environ.get(name, "")
        # The value as it is written may differ from what is sent: tokens are stripped of both.
        for form in (value, value.strip(), re.sub(r"(?i)^bearer\s+", "", value.strip())):
            values.add(form)
        if name == "AZURE_STORAGE_CONNECTION_STRING":
            values.update(found.strip() for found in _KEY.findall(value))
    return Secrets(values - {""})


def _forms(value: str) -> set[str]:
    """Return a secret as it is, as JSON escapes it, in a URL, and within a base64 text."""
    if not value:
        return set()
    escaped = json.dumps(value)[1:-1]
    encoded = {
        escaped,
        escaped.replace("/", "\\/"),
        json.dumps(value, ensure_ascii=False)[1:-1],
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        *_within_base64(value.encode("utf-8", "surrogatepass")),
    }
    encoded |= {re.sub(r"%[0-9A-F]{2}", lambda m: m[0].lower(), form) for form in encoded}
    return {value} | {form for form in encoded if len(form) >= _SHORTEST_ENCODED}


def _within_base64(raw: bytes) -> set[str]:
    """Return what base64 makes of ``raw`` wherever it begins, as in ``base64(user:secret)``.

    Characters that depend on the neighbours too are left out.
    """
    found: set[str] = set()
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw).decode()
        whole = (before + len(raw)) * 8 // 6
        core = text[-(-before * 8 // 6) : whole]
        found |= {core, core.replace("+", "-").replace("/", "_")}
    return found
