"""azure-identity: tokens for both services, by a secret and by a federated token."""

import base64
import json
import sys
from os import environ

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, WorkloadIdentityCredential

SCOPES = (
    "https://api.fabric.microsoft.com/.default",
    "499b84ac-1321-427f-aa17-267ca6975798/.default",
)


def claims(credential, scope):
    """Return what a token says."""
    payload = credential.get_token(scope).token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


by_secret = ClientSecretCredential(
    environ["AZURE_TENANT_ID"], environ["AZURE_CLIENT_ID"], environ["AZURE_CLIENT_SECRET"]
)
federated = WorkloadIdentityCredential()
found = {
    "secret": [claims(by_secret, scope) for scope in SCOPES],
    "federated": [claims(federated, scope) for scope in SCOPES],
    "refused": "",
}
try:
    by_secret.get_token("https://graph.microsoft.com/.default")
except ClientAuthenticationError as error:
    found["refused"] = error.message
sys.stdout.write(json.dumps(found))
