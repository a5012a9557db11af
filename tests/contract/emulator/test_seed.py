"""Reproducible ids: the same requests in the same order get the same ids."""

import json
import subprocess
import sys
import time

import httpx

SCENARIO = {
    "capacities": [{"name": "F8", "sku": "F8"}],
    "azureDevOps": [
        {
            "organization": "o",
            "projects": [{"name": "P", "repositories": [{"name": "r", "content": "items"}]}],
        }
    ],
    "workspaces": [{"name": "Made", "capacity": "F8", "items": "items"}],
}


def write_scenario(folder):
    """Write a scenario with a repository and a workspace of two notebooks; return its file."""
    for number, name in enumerate(("Hello", "World")):
        item = folder / "items" / f"{name}.Notebook"
        item.mkdir(parents=True)
        platform = {
            "metadata": {"type": "Notebook", "displayName": name},
            "config": {"version": "2.0", "logicalId": f"0d3f6a52-0000-4000-8000-{number:012d}"},
        }
        (item / ".platform").write_text(json.dumps(platform))
        (item / "notebook-content.py").write_text("print()\n")
    file = folder / "scenario.json"
    file.write_text(json.dumps(SCENARIO))
    return file


def ask_for_ids(ready, *, reads):
    """Make two workspaces with an eventstream each; return the ids of everything there is."""
    found = []
    root = f"{ready['fabric_url']}/v1/workspaces"
    headers = {"Authorization": f"Bearer {ready['token']}"}
    with httpx.Client(headers=headers, trust_env=False) as client:
        for name in ("One", "Two"):
            workspace = client.post(root, json={"displayName": name}).json()["id"]
            item = {"displayName": "Fresh", "type": "Eventstream"}
            begun = client.post(f"{root}/{workspace}/items", json=item)
            found.append(begun.headers.get("x-ms-operation-id", ""))
            for _ in range(reads):
                client.get(f"{root}/{workspace}/items")
        for workspace in client.get(root).json()["value"]:
            items = client.get(f"{root}/{workspace['id']}/items").json()["value"]
            found += [workspace["id"], *(item["id"] for item in items)]
        url = f"{ready['devops_url']}/o/_apis/git/repositories?api-version=7.1"
        for repository in client.get(url).json()["value"]:
            found += [repository["id"], repository["project"]["id"]]
    return found


def run(folder, *, seed, reads=0):
    """Start an emulator process with a scenario, and return the ids it gives."""
    folder.mkdir()
    ready = folder / "ready.json"
    command = [
        *(sys.executable, "-m", "reconciler", "emulator", "--speed", "instant"),
        *("--seed", str(seed), "--ready-file", str(ready)),
        *("--scenario", str(write_scenario(folder))),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 30
            while not ready.exists():
                assert time.monotonic() < end
                time.sleep(0.02)
            return ask_for_ids(json.loads(ready.read_text()), reads=reads)
        finally:
            process.terminate()


def test_a_seed_makes_ids_reproducible(tmp_path):
    """Two processes give the same ids, however often a client looks; another seed gives others."""
    first = run(tmp_path / "first", seed=7)
    assert 11 <= len(set(first) - {""})
    assert first == run(tmp_path / "second", seed=7, reads=3)
    assert not (set(first) - {""}) & set(run(tmp_path / "third", seed=8))


async def test_a_seed_goes_on_after_a_restart_and_starts_anew_after_a_reset(
    start_emulator, tmp_path
):
    """A kept folder never gives an id twice; a reset forgets what was given."""
    ids = []
    for name in ("One", "Two"):
        emulator = await start_emulator(data=tmp_path / "data", seed=1)
        headers = {"Authorization": f"Bearer {emulator.token}"}
        async with httpx.AsyncClient(headers=headers) as client:
            url = f"{emulator.urls.fabric_url}/v1/workspaces"
            ids.append((await client.post(url, json={"displayName": name})).json()["id"])
            if name == "Two":
                await client.post(f"{emulator.urls.control_url}/reset")
                ids.append((await client.post(url, json={"displayName": name})).json()["id"])
        await emulator.stop()
    assert ids[0] != ids[1]
    assert ids[0] == ids[2]
