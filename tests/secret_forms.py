"""Every form a secret could be found in, worked out without the product's own code."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

__all__ = ["found_in"]


def _forms(secret: str) -> set[bytes]:
    raw = secret.encode()
    texts = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        quote(secret, safe="").lower(),
        html.escape(secret),
        repr(secret)[1:-1],
        raw.hex(),
    }
    for before in range(3):
        for text in (base64.b64encode, base64.urlsafe_b64encode):
            # What does not depend on what stands before and after it.
            encoded = text(b"." * before + raw + b"...").decode()
            start, end = -(-before * 4 // 3), (before + len(raw)) * 4 // 3
            texts.add(encoded[start:end])
    return {text.encode() for text in texts}


def found_in(content: bytes, secrets: dict[str, str]) -> list[str]:
    """Name the secrets that stand in ``content``, with the form they stand in."""
    return [
        f"{name} as {form!r}"
        for name, secret in secrets.items()
        for form in sorted(_forms(secret))
        if form in content
    ]
