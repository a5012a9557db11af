"""How unmodified tools get here: https, the proxy, and the URLs that answers hand out."""

import asyncio
import json
import ssl
import stat

import httpx
import pytest

WORKSPACE = {"displayName": "Sales"}


async def connect(proxy_url: str, request: bytes) -> bytes:
    """Send a request to the proxy and return its status line."""
    host, _, port = proxy_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    await writer.drain()
    status = (await asyncio.wait_for(reader.read(4096), 10)).partition(b"\r\n")[0]
    writer.close()
    await writer.wait_closed()
    return status


def trusting(emulator, **more) -> httpx.AsyncClient:
    """Return a client that knows the emulator's authority and nothing else."""
    headers = {"Authorization": f"Bearer {emulator.token}", "X-TFS-FedAuthRedirect": "Suppress"}
    context = ssl.create_default_context(cafile=str(emulator.world.ca_file))
    return httpx.AsyncClient(verify=context, headers=headers, timeout=30, trust_env=False, **more)


async def test_tls_serves_https_that_the_ca_file_makes_trusted(start_emulator, tmp_path):
    """The ready file names https URLs and the certificate that they are checked with."""
    ready = tmp_path / "ready.json"
    emulator = await start_emulator(tls=True, ready_file=ready)
    written = json.loads(ready.read_text())
    assert {"fabric_url", "devops_url", "github_url", "control_url", "token", "ca_file"} == set(
        written
    )
    assert all(value.startswith("https://") for key, value in written.items() if "url" in key)
    assert "PRIVATE" not in (tmp_path / written["ca_file"]).read_text()
    async with trusting(emulator) as client:
        made = await client.post(f"{written['fabric_url']}/v1/workspaces", json=WORKSPACE)
        assert 201 == made.status_code
        assert made.headers["Location"].startswith(written["fabric_url"])
    async with httpx.AsyncClient(trust_env=False) as stranger:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.get(f"{written['fabric_url']}/v1/workspaces")


async def test_an_import_reads_our_own_repository_over_tls(start_emulator, items_folder):
    """Git, which the emulator sends to itself, trusts the authority too."""
    emulator = await start_emulator(tls=True)
    scenario = {
        "azureDevOps": [{"organization": "o", "projects": [{"name": "P"}]}],
        "github": [{"owner": "o", "repository": "source", "content": "items"}],
        "base": str(items_folder.parent),
    }
    root = f"{emulator.urls.devops_url}/o/P/_apis/git/repositories/P"
    async with trusting(emulator) as client:
        loaded = await client.post(f"{emulator.urls.control_url}/scenario", json=scenario)
        assert 200 == loaded.status_code, loaded.text
        source = {"gitSource": {"url": "https://github.com/o/source.git"}}
        made = await client.post(
            f"{root}/importRequests?api-version=7.1", json={"parameters": source}
        )
        assert 201 == made.status_code, made.text


async def test_a_kept_folder_keeps_its_authority_and_hides_its_keys(start_emulator, tmp_path):
    """Who trusted the emulator once trusts it after a restart; only the owner reads keys."""
    options = {"data": tmp_path / "data", "tls": True, "auth": "entra"}
    first = await start_emulator(**options)
    certificate = first.world.ca_file.read_bytes()
    token = first.token
    await first.stop()
    second = await start_emulator(**options)
    assert certificate == second.world.ca_file.read_bytes()
    async with trusting(second) as client:
        found = await client.get(
            f"{second.urls.fabric_url}/v1/workspaces", headers={"Authorization": f"Bearer {token}"}
        )
        assert 200 == found.status_code
    keys = list((tmp_path / "data").rglob("*key*.pem"))
    assert ["ca-key.pem", "signing-key.pem"] == sorted(path.name for path in keys)
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in keys}


@pytest.mark.parametrize(
    ("host", "path", "location"),
    [
        ("api.fabric.microsoft.com", "/v1/workspaces", "https://api.fabric.microsoft.com/v1/"),
        ("api.powerbi.com", "/v1/workspaces", "https://api.powerbi.com/v1/"),
        (
            "wabi-us-central-b-primary-redirect.analysis.windows.net",
            "/v1/workspaces",
            "https://api.fabric.microsoft.com/v1/",
        ),
    ],
)
async def test_behind_the_proxy_locations_name_real_hosts(start_emulator, host, path, location):
    """A client that follows what it is told stays within the names that it knows."""
    emulator = await start_emulator(proxy=True)
    async with trusting(emulator, proxy=emulator.proxy_url) as client:
        made = await client.post(f"https://{host}{path}", json=WORKSPACE)
        assert 201 == made.status_code
        assert made.headers["Location"].startswith(location)
        # The regional hosts answer without the redirect headers (fabric-api.md section 1).
        assert host.startswith("api.") == ("home-cluster-uri" in made.headers)
        workspace = made.json()["id"]
        item = {"displayName": "Hello", "type": "Notebook", "definition": {"parts": [PART]}}
        begun = await client.post(f"https://{host}/v1/workspaces/{workspace}/items", json=item)
        operation = begun.headers["Location"]
        regional = operation.removeprefix("https://").partition("/")[0]
        assert regional.endswith(".analysis.windows.net")
        assert "Succeeded" == (await client.get(operation)).json()["status"]
    # The plain port names itself all the same.
    async with trusting(emulator) as client:
        plain = await client.post(
            f"{emulator.urls.fabric_url}/v1/workspaces", json={"displayName": "Other"}
        )
        assert plain.headers["Location"].startswith(emulator.urls.fabric_url)


PART = {"path": "notebook-content.py", "payload": "cHJpbnQoMSk=", "payloadType": "InlineBase64"}


async def test_behind_the_proxy_azure_repos_have_their_real_addresses(start_emulator):
    """Remote URLs, SSH URLs and API URLs are the ones of the service."""
    emulator = await start_emulator(proxy=True)
    scenario = {"azureDevOps": [{"organization": "contoso", "projects": [{"name": "Sales"}]}]}
    async with trusting(emulator, proxy=emulator.proxy_url) as client:
        async with trusting(emulator) as plain:
            await plain.post(f"{emulator.urls.control_url}/scenario", json=scenario)
        url = "https://dev.azure.com/contoso/Sales/_apis/git/repositories/Sales?api-version=7.1"
        found = (await client.get(url)).json()
        assert "https://contoso@dev.azure.com/contoso/Sales/_git/Sales" == found["remoteUrl"]
        assert "git@ssh.dev.azure.com:v3/contoso/Sales/Sales" == found["sshUrl"]
        assert found["url"].startswith("https://dev.azure.com/contoso/")
        old = "https://contoso.visualstudio.com/Sales/_apis/git/repositories/Sales?api-version=7.1"
        assert found["id"] == (await client.get(old)).json()["id"]
        areas = (await client.get("https://dev.azure.com/contoso/_apis/ResourceAreas")).json()
        assert {"https://dev.azure.com/contoso/"} == {
            area["locationUrl"] for area in areas["value"]
        }


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"CONNECT example.com:443 HTTP/1.1", b"HTTP/1.1 403 Forbidden"),
        (b"CONNECT api.fabric.microsoft.com:80 HTTP/1.1", b"HTTP/1.1 403 Forbidden"),
        (b"CONNECT api.fabric.microsoft.com.evil.example:443 HTTP/1.1", b"HTTP/1.1 403 Forbidden"),
        (b"CONNECT wabi-x.analysis.windows.net.evil:443 HTTP/1.1", b"HTTP/1.1 403 Forbidden"),
        (b"CONNECT 127.0.0.1:22 HTTP/1.1", b"HTTP/1.1 403 Forbidden"),
        (b"CONNECT nothing HTTP/1.1", b"HTTP/1.1 403 Forbidden"),
        (b"GET http://api.fabric.microsoft.com/v1/workspaces HTTP/1.1", b"HTTP/1.1 405 "),
        (b"\xff\xfe", b"HTTP/1.1 405 "),
        (b"x" * 40_000, b"HTTP/1.1 400 "),
        (b"CONNECT API.FABRIC.MICROSOFT.COM:443 HTTP/1.1", b"HTTP/1.1 200 "),
    ],
)
async def test_the_proxy_leads_to_the_named_hosts_only(start_emulator, request_line, status):
    """Everything else is refused, so nothing that uses the proxy leaves the machine."""
    emulator = await start_emulator(proxy=True)
    found = await connect(emulator.proxy_url, request_line + b"\r\nHost: x\r\n\r\n")
    assert found.startswith(status), found


async def test_a_host_header_that_is_not_played_is_misdirected(start_emulator):
    """Inside the tunnel the host decides, and a foreign one gets no service."""
    emulator = await start_emulator(proxy=True)
    async with trusting(emulator, proxy=emulator.proxy_url) as client:
        found = await client.get("https://github.com/", headers={"Host": "example.com"})
        assert 421 == found.status_code


async def test_the_proxy_stops_while_tunnels_are_open(start_emulator):
    """An idle tunnel does not keep the emulator from ending."""
    emulator = await start_emulator(proxy=True)
    async with trusting(emulator, proxy=emulator.proxy_url) as client:
        assert (
            200 == (await client.get("https://api.fabric.microsoft.com/v1/workspaces")).status_code
        )
        await asyncio.wait_for(emulator.stop(), 10)
