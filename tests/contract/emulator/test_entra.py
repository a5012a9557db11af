"""The emulator's Entra: discovery, tokens, and who is let in with them."""

import base64
import json

import httpx
import jwt
import pytest
from jwt.algorithms import RSAAlgorithm

TENANT = "7d0c6b0e-0000-4000-8000-00000000000a"
CLIENT = "b1d4b5a0-0000-4000-8000-00000000000b"
FABRIC = "https://api.fabric.microsoft.com"
DEVOPS = "499b84ac-1321-427f-aa17-267ca6975798"
SECRET = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": "s"}
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def piece(content):
    """Return one part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


@pytest.fixture
async def entra(start_emulator):
    """An emulator that checks tokens."""
    return await start_emulator(auth="entra")


@pytest.fixture
async def client():
    """A client without credentials."""
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


async def ask(client, emulator, tenant=TENANT, **form):
    """Ask for a token."""
    return await client.post(f"{emulator.urls.entra_url}/{tenant}/oauth2/v2.0/token", data=form)


async def token(client, emulator, audience=FABRIC):
    """Return an application's token."""
    answer = await ask(client, emulator, **SECRET, scope=f"{audience}/.default")
    assert 200 == answer.status_code, answer.text
    return answer.json()["access_token"]


def bearer(text):
    """Return the headers of a token's holder."""
    return {"Authorization": f"Bearer {text}", "X-TFS-FedAuthRedirect": "Suppress"}


async def test_a_token_is_signed_with_a_published_key_and_says_whom_it_is_about(entra, client):
    """RS256, audience, expiry, tenant, application and object id; anybody can check it."""
    described = f"{entra.urls.entra_url}/{TENANT}/v2.0/.well-known/openid-configuration"
    configuration = (await client.get(described)).json()
    keys = (await client.get(configuration["jwks_uri"])).json()["keys"]
    answer = (await ask(client, entra, **SECRET, scope=f"{FABRIC}/.default")).json()
    found = answer["access_token"]
    assert keys[0]["kid"] == jwt.get_unverified_header(found)["kid"]
    claims = jwt.decode(
        found, RSAAlgorithm.from_jwk(keys[0]), algorithms=["RS256"], audience=FABRIC
    )
    assert (TENANT, CLIENT, "app") == (claims["tid"], claims["appid"], claims["idtyp"])
    assert answer["expires_in"] == claims["exp"] - claims["iat"] == 3599
    assert configuration["token_endpoint"] == f"{entra.urls.entra_url}/{TENANT}/oauth2/v2.0/token"


async def test_instance_discovery_knows_the_cloud(entra, client):
    """MSAL asks before it sends a secret to an authority that it does not know."""
    endpoint = f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/authorize"
    found = await client.get(
        f"{entra.urls.entra_url}/common/discovery/instance",
        params={"api-version": "1.1", "authorization_endpoint": endpoint},
    )
    assert (
        f"/{TENANT}/v2.0/.well-known/openid-configuration"
        in (found.json()["tenant_discovery_endpoint"])
    )
    assert "login.microsoftonline.com" in found.json()["metadata"][0]["aliases"]


async def test_the_scenario_decides_the_object_id_of_an_application(entra, client):
    """Role assignments name the object id, not the application's id."""
    principal = {"id": TENANT, "type": "ServicePrincipal", "appId": CLIENT.upper()}
    await client.post(f"{entra.urls.control_url}/scenario", json={"principals": [principal]})
    claims = jwt.decode(await token(client, entra), options={"verify_signature": False})
    assert TENANT == claims["oid"]
    made = await client.post(
        f"{entra.urls.fabric_url}/v1/workspaces",
        json={"displayName": "Sales"},
        headers=bearer(await token(client, entra)),
    )
    roles = await client.get(
        f"{entra.urls.fabric_url}/v1/workspaces/{made.json()['id']}/roleAssignments",
        headers=bearer(await token(client, entra)),
    )
    found = roles.json()["value"][0]["principal"]
    assert (TENANT, "ServicePrincipal") == (found["id"], found["type"])


async def test_a_federated_assertion_stands_in_for_a_secret(entra, client):
    """Workload identity federation: the shape of the assertion is checked."""
    good = f"{piece({'alg': 'RS256'})}.{piece({'iss': 'i', 'sub': 's', 'aud': 'a'})}.c2ln"
    form = {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "scope": f"{DEVOPS}/.default",
        "client_assertion_type": ASSERTION_TYPE,
    }
    answer = await ask(client, entra, **form, client_assertion=good)
    assert 200 == answer.status_code, answer.text
    for bad in ("", "a.b", "a.b.c", f"{piece({'alg': 'RS256'})}.{piece({'iss': 'i'})}.c2ln"):
        answer = await ask(client, entra, **form, client_assertion=bad)
        assert (401, "invalid_client") == (answer.status_code, answer.json()["error"])


async def test_a_refresh_token_gives_tokens_of_its_user(start_emulator, client, tmp_path):
    """The default user's refresh token stands in the ready file; it works for both services."""
    ready = tmp_path / "ready.json"
    emulator = await start_emulator(auth="entra", ready_file=ready)
    written = json.loads(ready.read_text())
    form = {"grant_type": "refresh_token", "refresh_token": written["refresh_token"]}
    plain = (await ask(client, emulator, **form, client_id=CLIENT)).json()
    claims = jwt.decode(plain["access_token"], options={"verify_signature": False})
    assert (FABRIC, emulator.world.default_caller.id) == (claims["aud"], claims["oid"])
    form["refresh_token"] = plain["refresh_token"]
    other = (
        await ask(client, emulator, **form, scope=f"{DEVOPS}/user_impersonation openid")
    ).json()
    claims = jwt.decode(other["access_token"], options={"verify_signature": False})
    assert (DEVOPS, "user") == (claims["aud"], claims["idtyp"])
    spoiled = await ask(client, emulator, grant_type="refresh_token", refresh_token="x.y.z")
    assert (400, "invalid_grant") == (spoiled.status_code, spoiled.json()["error"])
    access = await ask(client, emulator, grant_type="refresh_token", refresh_token=written["token"])
    assert "invalid_grant" == access.json()["error"]


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, 400, "unauthorized_client"),
        ({**SECRET, "client_secret": ""}, 401, "invalid_client"),
        (SECRET, 400, "invalid_request"),
        ({**SECRET, "scope": f"{FABRIC}/Workspace.Read.All"}, 400, "invalid_scope"),
        ({**SECRET, "scope": "https://graph.microsoft.com/.default"}, 400, "invalid_resource"),
        ({**SECRET, "client_assertion": "a.b.c"}, 400, "invalid_request"),
    ],
)
async def test_a_wrong_request_for_a_token_is_refused_as_oauth_says(
    entra, client, form, status, error
):
    """The error, its AADSTS number and the ids that support asks for."""
    answer = await ask(client, entra, **form)
    body = answer.json()
    assert (status, error) == (answer.status_code, body["error"])
    assert body["error_description"].startswith(f"AADSTS{body['error_codes'][0]}: ")
    assert {"timestamp", "trace_id", "correlation_id"} <= set(body)


async def test_fabric_refuses_what_is_not_its_own_valid_token(entra, client):
    """Wrong audience, foreign signature and expiry are 401s with their codes."""
    url = f"{entra.urls.fabric_url}/v1/workspaces"
    good = await token(client, entra)
    assert 200 == (await client.get(url, headers=bearer(good))).status_code
    forged = jwt.encode({"aud": FABRIC, "oid": CLIENT, "exp": 9e9}, "k" * 32, algorithm="HS256")
    unsigned = jwt.encode({"aud": FABRIC, "oid": CLIENT, "exp": 9e9}, None, algorithm="none")
    for bad in (await token(client, entra, DEVOPS), forged, unsigned, good[:-4], "any-token"):
        answer = await client.get(url, headers=bearer(bad))
        assert (401, "InvalidToken") == (answer.status_code, answer.json()["errorCode"])
        assert "InvalidToken" == answer.headers["x-ms-public-api-error-code"]
    await client.post(f"{entra.urls.control_url}/clock", json={"advance_s": 3600})
    answer = await client.get(url, headers=bearer(good))
    assert (401, "TokenExpired") == (
        answer.status_code,
        answer.headers["x-ms-public-api-error-code"],
    )
    fresh = await token(client, entra)
    assert 200 == (await client.get(url, headers=bearer(fresh))).status_code
    assert 401 == (await client.get(url)).status_code


async def test_azure_devops_refuses_with_a_challenge_or_a_sign_in_page(entra, client):
    """Its own 401 shape, and the redirect where a client does not suppress it."""
    scenario = {"azureDevOps": [{"organization": "o", "projects": [{"name": "P"}]}]}
    await client.post(f"{entra.urls.control_url}/scenario", json=scenario)
    url = f"{entra.urls.devops_url}/o/_apis/projects?api-version=7.1"
    good, wrong = await token(client, entra, DEVOPS), await token(client, entra)
    assert 200 == (await client.get(url, headers=bearer(good))).status_code
    refused = await client.get(url, headers=bearer(wrong))
    assert (401, b"") == (refused.status_code, refused.content)
    assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")
    redirected = await client.get(url, headers={"Authorization": f"Bearer {wrong}"})
    assert 302 == redirected.status_code
    as_password = await client.get(
        url, auth=("x", good), headers={"X-TFS-FedAuthRedirect": "Suppress"}
    )
    assert 200 == as_password.status_code
    pat = await client.get(url, auth=("", "p4t"), headers={"X-TFS-FedAuthRedirect": "Suppress"})
    assert 200 == pat.status_code
    wrong_password = await client.get(
        url, auth=("x", wrong), headers={"X-TFS-FedAuthRedirect": "Suppress"}
    )
    assert 401 == wrong_password.status_code


async def test_git_takes_an_entra_token_for_azure_devops_only(entra, client):
    """A clone's credentials are checked like any call's."""
    scenario = {"azureDevOps": [{"organization": "o", "projects": [{"name": "P"}]}]}
    await client.post(f"{entra.urls.control_url}/scenario", json=scenario)
    url = f"{entra.urls.devops_url}/o/P/_git/P/info/refs?service=git-upload-pack"
    good, wrong = await token(client, entra, DEVOPS), await token(client, entra)
    assert 200 == (await client.get(url, headers=bearer(good))).status_code
    refused = await client.get(url, headers=bearer(wrong))
    assert (401, True) == (refused.status_code, "WWW-Authenticate" in refused.headers)


async def test_any_token_is_taken_unless_entra_is_asked_for(emulator, client):
    """The default knows a caller by whatever token it shows, also by one of Entra's."""
    url = f"{emulator.urls.fabric_url}/v1/workspaces"
    wrong = await token(client, emulator, DEVOPS)
    for text in ("anything", wrong):
        assert 200 == (await client.get(url, headers=bearer(text))).status_code
