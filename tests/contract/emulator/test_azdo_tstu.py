"""Azure DevOps: throughput units, late answers and blocked callers."""

import time

import httpx
import pytest

VERSION = {"api-version": "7.1"}


@pytest.fixture
def url(loaded) -> str:
    """Something cheap to read."""
    return f"{loaded.urls.devops_url}/contoso/_apis/projects"


async def switch(loaded, http, **settings):
    """Change settings of the emulator."""
    body = {"action": "settings", **settings}
    answer = await http.post(f"{loaded.urls.control_url}/portal", json=body)
    assert 200 == answer.status_code, answer.text


def limits(answer):
    """The headers that speak of the consumption."""
    return {name for name in answer.headers if name.startswith("x-ratelimit")}


async def test_nothing_is_said_of_units_until_they_are_counted(loaded, http, url):
    """Guards the recorded normal answer: none of the headers."""
    for _ in range(30):
        answer = await http.get(url)
    assert (200, set()) == (answer.status_code, limits(answer))


async def test_a_caller_is_warned_then_late_then_blocked_then_free_again(loaded, http, url):
    """Guards the two documented phases, the headers of each, and the sliding five minutes."""
    await switch(loaded, http, tstuLimit=10)
    seen = [await http.get(url) for _ in range(21)]
    assert [200] * 20 + [429] == [answer.status_code for answer in seen]
    assert set() == limits(seen[7])
    warned, late, blocked = seen[8], seen[10], seen[20]
    assert {"10", "1"} == {
        warned.headers["X-RateLimit-Limit"],
        warned.headers["X-RateLimit-Remaining"],
    }
    assert "X-RateLimit-Delay" not in warned.headers
    assert ("0", "3.000") == (
        late.headers["X-RateLimit-Remaining"],
        late.headers["X-RateLimit-Delay"],
    )
    assert "30.000" == seen[19].headers["X-RateLimit-Delay"]
    assert ("RequestBlockedException", True) == (
        blocked.json()["typeKey"],
        "TF400733" in blocked.json()["message"],
    )
    assert "X-RateLimit-Delay" not in blocked.headers
    wait_s = int(blocked.headers["Retry-After"])
    assert 290 <= wait_s <= 300
    reset_s = int(blocked.headers["X-RateLimit-Reset"]) - loaded.world.clock.timestamp()
    assert 290 <= reset_s <= 301
    await http.post(f"{loaded.urls.control_url}/clock", json={"advance_s": wait_s + 5})
    again = await http.get(url)
    assert (200, set()) == (again.status_code, limits(again))


async def test_writes_cost_more_and_each_identity_has_its_own_units(loaded, http, url):
    """Guards the price of a write, and that one caller does not block another."""
    await switch(loaded, http, tstuLimit=10, tstuPerWrite=8, tstuPerRead=0, tstuBlock=16)
    root = f"{loaded.urls.devops_url}/contoso/Sales/_apis/git/repositories"
    for name, status in (("a", 201), ("b", 201), ("c", 429)):
        answer = await http.post(root, json={"name": name}, params=VERSION)
        assert status == answer.status_code
    assert 4 == (await http.get(root, headers={"Authorization": "Bearer other"})).json()["count"]
    refs = f"{loaded.urls.devops_url}/contoso/Sales/_git/empty/info/refs?service=git-upload-pack"
    assert 429 == (await http.get(refs)).status_code


async def test_late_answers_are_late_at_the_speed_of_the_service_only(start_emulator, loaded):
    """Guards that tests do not wait: at other speeds the headers tell and nothing sleeps."""
    began_s = time.monotonic()
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {loaded.token}"}) as client:
        await switch(loaded, client, tstuLimit=1)
        url = f"{loaded.urls.devops_url}/contoso/_apis/projects"
        assert "30.000" == [await client.get(url) for _ in range(2)][1].headers["X-RateLimit-Delay"]
    assert 20 > time.monotonic() - began_s
    emulator = await start_emulator(speed="real")
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {emulator.token}"}) as client:
        await switch(emulator, client, tstuLimit=1, tstuBlock=101)
        scenario = {"azureDevOps": [{"organization": "o"}]}
        await client.post(f"{emulator.urls.control_url}/scenario", json=scenario)
        url = f"{emulator.urls.devops_url}/o/_apis/projects"
        answer = [await client.get(url) for _ in range(2)][1]
        assert "0.300" == answer.headers["X-RateLimit-Delay"]
        assert 0.3 <= answer.elapsed.total_seconds()
