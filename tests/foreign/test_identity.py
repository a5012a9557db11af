"""azure-identity, unmodified: its credentials get tokens from the emulator's Entra."""

from __future__ import annotations

import base64
import json
import time

import pytest
from foreign_bench import APPLICATION, PRINCIPAL, TENANT, Foreign, need


@pytest.fixture(autouse=True)
def _installed() -> None:
    need("azure.identity")


def _piece(content: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def test_a_secret_and_a_federated_token_get_tokens_for_both_services(foreign: Foreign):
    """Audience, expiry, tenant and identity stand in the token, whichever way it was got."""
    foreign.scenario({})
    assertion = {
        "iss": "https://token.example",
        "sub": "repo:x",
        "aud": "api://AzureADTokenExchange",
    }
    token_file = foreign.folder / "federated"
    token_file.write_text(f"{_piece({'alg': 'RS256'})}.{_piece(assertion)}.c2lnbmF0dXJl")
    found = foreign.run("identity", AZURE_FEDERATED_TOKEN_FILE=str(token_file))
    audiences = ["https://api.fabric.microsoft.com", "499b84ac-1321-427f-aa17-267ca6975798"]
    for way in ("secret", "federated"):
        assert audiences == [claims["aud"] for claims in found[way]]
        for claims in found[way]:
            assert (TENANT, APPLICATION, PRINCIPAL, "app") == (
                claims["tid"],
                claims["appid"],
                claims["oid"],
                claims["idtyp"],
            )
            assert 3000 < claims["exp"] - time.time() < 3700
    assert "AADSTS500011" in found["refused"]
