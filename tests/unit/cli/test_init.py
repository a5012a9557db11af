"""``init``: the files it writes, and the shell in its CI files run against a stand-in server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler._version import __version__
from reconciler.cli.parser import parse
from reconciler.render.schemas import schema_text
from reconciler.spec.load import load_spec

FILES = {
    "none": {"estate.yaml", "spec.schema.json"},
    "github": {"estate.yaml", "spec.schema.json", ".github/workflows/reconciler.yml"},
    "azure": {"estate.yaml", "spec.schema.json", ".azuredevops/reconciler.yml"},
}
FILES["both"] = FILES["github"] | FILES["azure"]
SHA, HEAD = "a" * 40, "b" * 40
MARKER = "<!-- reconciler preview -->"


def there(folder: Path) -> set[str]:
    """Return the files below a folder."""
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("ci", FILES)
def test_init_writes_what_is_asked_for_and_nothing_else(cli, tmp_path, ci):
    """Guards --ci, and that the version of the tool is pinned."""
    folder = tmp_path / "new" / "estate"
    code, out, err = cli("init", str(folder), "--ci", ci)
    assert (0, "") == (code, err)
    assert FILES[ci] == there(folder)
    assert f"Wrote {len(FILES[ci])} files." in out
    for name in FILES[ci]:
        text = (folder / name).read_text()
        assert "@VERSION@" not in text
        assert ("fabric-reconciler==" in text) is name.endswith("reconciler.yml")
        assert f"fabric-reconciler=={__version__}" in text or not name.endswith("reconciler.yml")


@pytest.mark.parametrize("name", sorted(FILES["both"]))
def test_init_overwrites_nothing(cli, tmp_path, name):
    """Guards that one file in the way keeps all of them from being written."""
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    code, out, err = cli("init", str(tmp_path))
    assert (1, "") == (code, out)
    assert f"already there, and init overwrites nothing: {name}; nothing was written" in err
    assert {name} == there(tmp_path)
    assert "mine" == (tmp_path / name).read_text()


def test_a_place_that_cannot_be_written_leaves_nothing_behind(cli, tmp_path):
    """Guards all or nothing: a file where a directory has to be is told and nothing stays."""
    (tmp_path / ".github").write_text("a file")
    code, _, err = cli("init", str(tmp_path), "--ci", "github")
    assert 1 == code
    assert "cannot write" in err
    assert {".github"} == there(tmp_path)


def test_the_starter_spec_is_valid_as_it_is_and_with_its_examples(cli, tmp_path):
    """Guards the starter: it declares nothing, and every example in it can be used at once."""
    cli("init", str(tmp_path), "--ci", "none")
    spec = tmp_path / "estate.yaml"
    loaded = load_spec([spec])
    assert () == loaded.diagnostics
    assert {"apiVersion", "kind", "metadata"} == set(loaded.resolved or ())
    first = spec.read_text().split("\n", 1)[0]
    schema = tmp_path / first.removeprefix("# yaml-language-server: $schema=")
    assert schema_text("spec") == schema.read_text()

    spec.write_text(re.sub(r"(?m)^# (?!yaml-language)", "", spec.read_text()))
    loaded = load_spec([spec])
    assert () == loaded.diagnostics
    assert {"variables", "azureDevOps", "connections", "workspaces", "pipelines"} <= set(
        loaded.resolved or ()
    )


# -- the CI files --


def pipeline(name: str) -> Any:
    """Return a CI file as data."""
    path = Path(__file__).parents[3] / "reconciler" / "cli" / "init_files" / f"{name}.yml"
    return yaml.safe_load(path.read_text())


def steps(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every step below a node."""
    if isinstance(node, dict):
        if {"bash", "task", "uses", "checkout", "publish"} & node.keys() or isinstance(
            node.get("run"), str
        ):
            yield node
        else:
            for value in node.values():
                yield from steps(value)
    elif isinstance(node, list):
        for value in node:
            yield from steps(value)


def script(name: str, part: str, step: str) -> str:
    """Return the shell of a step of a job or stage."""
    data = pipeline(name)
    if name == "github":
        parts = data["jobs"]
    else:
        parts = {stage["stage"]: stage for stage in data["stages"]}
    for found in steps(parts[part]):
        if step in (found.get("name"), found.get("displayName")):
            text = found.get("run") or found.get("bash") or found["inputs"]["inlineScript"]
            assert isinstance(text, str)
            return text
    raise AssertionError(f"no step {step} in {name} {part}")


def test_runs_never_overlap_and_no_secret_is_needed():
    """Guards the shape of the CI files: one apply at a time, full history, federated sign-in."""
    github = pipeline("github")
    assert {} == github["permissions"]
    applies = [github["jobs"][j] for j in ("apply", "apply-without-preview")]
    alone = {"group": "reconciler-apply", "cancel-in-progress": False}
    assert [alone, alone] == [job["concurrency"] for job in applies]
    for job in github["jobs"].values():
        used = [s["uses"].partition("@") for s in steps(job) if "uses" in s]
        assert "write" == job["permissions"]["id-token"]
        assert {"azure/login"} <= {action for action, _, _ in used}
        assert all(re.fullmatch(r"v\d+", version) for _, _, version in used)
    depths = [s["with"]["fetch-depth"] for s in steps(github) if "fetch-depth" in s.get("with", {})]
    assert [0, 0] == depths

    azure = pipeline("azure")
    stages = {s["stage"]: s for s in azure["stages"]}
    for name in ("apply", "apply_without_preview"):
        assert "sequential" == stages[name]["lockBehavior"]
        assert ["reconciler"] == [j["environment"] for j in stages[name]["jobs"]]
    assert "0" == next(steps(stages["preview"]))["fetchDepth"]
    text = json.dumps([github, azure])
    assert [] == re.findall(r"secrets\.|client-secret|PAT\b|password", text)


@pytest.mark.parametrize("name", ["github", "azure"])
def test_the_commands_of_the_ci_files_are_commands_of_this_tool(name):
    """Guards the flags in the CI files: what a merge would run is understood."""
    texts = [s.get("run") or s.get("bash") or s.get("inputs", {}).get("inlineScript") or ""
             for s in steps(pipeline(name))]  # fmt: skip
    lines = "\n".join(texts).replace("\\\n", " ").replace("\n--", " --").splitlines()
    lines = [re.split(r" [|>]| \|\|", line.strip())[0] for line in lines]
    commands = [
        [w.strip('"') for w in line.split()[1:]] for line in lines if line.startswith("reconciler ")
    ]
    assert 6 == len(commands)
    for command in commands:
        assert command[0] == parse(command).command


@dataclass
class Server:
    """A stand-in for GitHub and Azure DevOps: fixed answers by method and path."""

    answers: dict[str, Any] = field(default_factory=dict)
    received: list[tuple[str, str, Any]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    url: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a loopback server for the length of a test."""
    found = Server()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.received.append((self.command, self.path, json.loads(body) if body else None))
            found.tokens.add(self.headers["Authorization"])
            known = found.answers.get(f"{self.command} {self.path}")
            self.send_response(200 if known is not None else 404)
            self.end_headers()
            self.wfile.write(json.dumps(known if known is not None else {"message": "no"}).encode())

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 - the names http.server calls

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    found.url = f"http://127.0.0.1:{http.server_address[1]}"
    yield found
    http.shutdown()
    thread.join()
    http.server_close()


@dataclass
class Shell:
    """A folder and an environment to run steps in."""

    folder: Path
    environ: dict[str, str]

    def run(self, text: str, *, expect: int = 0, **environ: str) -> str:
        """Run a step the way the runners do."""
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text],
            cwd=self.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert expect == done.returncode, done.stdout + done.stderr
        return done.stdout

    def outputs(self, name: str) -> str:
        """Return what a step wrote to a file that the runner reads."""
        return Path(self.environ[name]).read_text()


@pytest.fixture
def shell(tmp_path: Path, server: Server) -> Shell:
    """Return a runner of both systems, with the stand-in for their services."""
    missing = [tool for tool in ("bash", "curl", "jq") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    files = {n: str(tmp_path / n) for n in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for path in files.values():
        Path(path).touch()
    (tmp_path / "comment.md").write_text('## Plan `x`\n"quoted" \\ $HOME\n')
    return Shell(
        tmp_path,
        {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "no_proxy": "127.0.0.1",
            **files,
            "SPEC": "estate.yaml",
            "ARTIFACT": "reconciler-preview",
            "RUN_URL": "https://github.example/run/1",
            "GITHUB_API_URL": server.url,
            "GITHUB_REPOSITORY": "contoso/estate",
            "GITHUB_TOKEN": "tok",
            "GITHUB_SHA": SHA,
            "GITHUB_REF_NAME": "main",
            "GITHUB_WORKFLOW_REF": "contoso/estate/.github/workflows/ours.yml@refs/heads/main",
            "PULL_REQUEST": "7",
            "SYSTEM_COLLECTIONURI": f"{server.url}/contoso/",
            "SYSTEM_TEAMPROJECTID": "p",
            "SYSTEM_DEFINITIONID": "3",
            "SYSTEM_PULLREQUEST_PULLREQUESTID": "7",
            "SYSTEM_ACCESSTOKEN": "tok",
            "BUILD_BUILDID": "12",
            "BUILD_REPOSITORY_ID": "r",
            "BUILD_SOURCEVERSION": SHA,
            "BUILD_SOURCEBRANCH": "refs/heads/main",
        },
    )


def tool(shell: Shell, text: str) -> None:
    """Put a command called reconciler into the runner."""
    path = shell.folder / "bin" / "reconciler"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/usr/bin/env bash\necho "$*" >> "{shell.folder}/calls"\n{text}\n')
    path.chmod(0o755)


@pytest.mark.parametrize("name", ["github", "azure"])
@pytest.mark.parametrize(("prints", "code"), [("echo shown; exit 0", 0), ("echo bad; exit 1", 1),
                                              ("exit 3", 3)])  # fmt: skip
def test_a_preview_that_fails_is_still_shown_and_its_code_kept(shell, name, prints, code):
    """Guards that the step goes on to the comment whatever the plan's exit code is."""
    tool(shell, prints)
    out = shell.run(script(name, "preview", "Preview"))
    expected = "estate.yaml --merge-preview HEAD --format markdown --out preview.json --auth cli"
    assert f"plan {expected}\n" == (shell.folder / "calls").read_text()
    comment = (shell.folder / "comment.md").read_text()
    assert comment.startswith({0: "shown", 1: "bad", 3: "The preview failed before"}[code])
    told = shell.outputs("GITHUB_OUTPUT") if name == "github" else out
    assert told.strip().endswith({"github": f"code={code}", "azure": f"variable=code]{code}"}[name])


def test_github_gets_one_comment_that_is_updated(shell, server):
    """Guards the comment: found again on a later page, and not where somebody else wrote it."""
    text = script("github", "preview", "Comment")
    at = "/repos/contoso/estate/issues"
    body = f"{MARKER}\n{(shell.folder / 'comment.md').read_text()}"
    person = {"id": 1, "user": {"type": "User"}, "body": MARKER}
    server.answers = {
        f"GET {at}/7/comments?per_page=100&page=1": [person, {"id": 2, "user": {"type": "Bot"}}],
        f"POST {at}/7/comments": {"id": 3},
    }
    shell.run(text)
    assert ("POST", f"{at}/7/comments", {"body": body}) == server.received[-1]
    ours = {"id": 3, "user": {"type": "Bot"}, "body": f"{MARKER}\nold"}
    server.answers = {
        f"GET {at}/7/comments?per_page=100&page=1": [person] * 100,
        f"GET {at}/7/comments?per_page=100&page=2": [person, ours],
        f"PATCH {at}/comments/3": {"id": 3},
    }
    shell.run(text)
    assert ("PATCH", f"{at}/comments/3", {"body": body}) == server.received[-1]
    assert {"Bearer tok"} == server.tokens
    server.answers = {}
    shell.run(text, expect=22)


def test_azure_gets_one_thread_that_is_updated(shell, server):
    """Guards the thread: made once, then its first comment changes."""
    text = script("azure", "preview", "Comment")
    at = "/contoso/p/_apis/git/repositories/r/pullRequests/7/threads"
    body = f"{MARKER}\n{(shell.folder / 'comment.md').read_text()}"
    system = {"id": 1, "comments": [{"id": 1}]}
    gone = {"id": 2, "isDeleted": True, "comments": [{"id": 1, "content": MARKER}]}
    server.answers = {
        f"GET {at}?api-version=7.1": {"value": [system, gone]},
        f"POST {at}?api-version=7.1": {"id": 3},
    }
    shell.run(text)
    comments = [{"parentCommentId": 0, "commentType": "text", "content": body}]
    sent = ("POST", f"{at}?api-version=7.1", {"status": "closed", "comments": comments})
    assert sent == server.received[-1]
    ours = {"id": 3, "comments": [{"id": 1, "content": f"{MARKER}\nold"}]}
    server.answers = {
        f"GET {at}?api-version=7.1": {"value": [system, gone, ours]},
        f"PATCH {at}/3/comments/1?api-version=7.1": {"id": 1},
    }
    shell.run(text)
    sent = ("PATCH", f"{at}/3/comments/1?api-version=7.1", {"content": body})
    assert sent == server.received[-1]
    assert {"Bearer tok"} == server.tokens


def github_answers(**changes: Any) -> dict[str, Any]:
    """Return what GitHub answers on the way from a merge to its preview."""
    at = "GET /repos/contoso/estate"
    merged = {
        "merged_at": "2026-01-02T03:04:05Z",
        "merge_commit_sha": SHA,
        "base": {"ref": "main"},
        "head": {"sha": HEAD},
    }
    parts: dict[str, Any] = {
        "pull": merged,
        "run": {"id": 9, "conclusion": "success"},
        "artifact": {"id": 5, "expired": False},
        **changes,
    }
    have = {k: [] if v is None else [v] for k, v in parts.items()}
    query = f"event=pull_request&head_sha={HEAD}&per_page=1"
    return {
        f"{at}/commits/{SHA}/pulls?per_page=100": [{**merged, "merged_at": None}, *have["pull"]],
        f"{at}/actions/workflows/ours.yml/runs?{query}": {"workflow_runs": have["run"]},
        f"{at}/actions/runs/9/artifacts?name=reconciler-preview": {"artifacts": have["artifact"]},
    }


def azure_answers(**changes: Any) -> dict[str, Any]:
    """Return what Azure DevOps answers on the way from a merge to its preview."""
    at = "/contoso/p/_apis"
    parts: dict[str, Any] = {
        "pull": {
            "pullRequestId": 7,
            "status": "completed",
            "targetRefName": "refs/heads/main",
            "lastMergeSourceCommit": {"commitId": HEAD},
        },
        "run": {"id": 9, "result": "succeeded"},
        "artifact": {"name": f"reconciler-preview-{HEAD}"},
        **changes,
    }
    have = {k: [] if v is None else [v] for k, v in parts.items()}
    query = (
        "definitions=3&branchName=refs/pull/7/merge&reasonFilter=pullRequest&"
        "statusFilter=completed&queryOrder=finishTimeDescending&$top=1&api-version=7.1"
    )
    results = [{SHA: have["pull"]}] if have["pull"] else [{}]
    return {
        f"POST {at}/git/repositories/r/pullrequestquery?api-version=7.1": {"results": results},
        f"GET {at}/build/builds?{query}": {"value": have["run"]},
        f"GET {at}/build/builds/9/artifacts?api-version=7.1": {"value": have["artifact"]},
    }


def test_github_finds_the_preview_of_the_merged_commit(shell, server):
    """Guards the way from a merge to the artifact that was reviewed."""
    server.answers = github_answers()
    shell.run(script("github", "apply", "Find the preview"))
    assert "run=9\n" == shell.outputs("GITHUB_OUTPUT")


def test_azure_finds_the_preview_of_the_merged_commit(shell, server):
    """Guards the way from a merge to the artifact that was reviewed."""
    server.answers = azure_answers()
    out = shell.run(script("azure", "apply", "Find the preview"))
    assert "variable=previewBuild]9\n" in out
    assert f"variable=previewArtifact]reconciler-preview-{HEAD}\n" in out
    query = {"queries": [{"type": "lastMergeCommit", "items": [SHA]}]}
    assert query == server.received[0][2]


LOST: list[tuple[str, Mapping[str, Any], str]] = [
    ("github", {"pull": None}, "is not the merge of a pull request into main"),
    ("github", {"run": None}, "did not succeed, or there was none"),
    ("github", {"run": {"id": 9, "conclusion": "failure"}}, "did not succeed, or there was none"),
    ("github", {"artifact": None}, "The preview in run 9 is gone"),
    ("github", {"artifact": {"id": 5, "expired": True}}, "The preview in run 9 is gone"),
    ("azure", {"pull": None}, "is not the merge of a pull request into refs/heads/main"),
    ("azure", {"run": None}, "did not succeed, or there was none"),
    ("azure", {"run": {"id": 9, "result": "failed"}}, "did not succeed, or there was none"),
    ("azure", {"artifact": None}, "Run 9 of pull request 7 has no preview of the merged commit"),
    ("azure", {"artifact": {"name": "reconciler-preview-c"}}, "has no preview of the merged"),
]


@pytest.mark.parametrize(("name", "changes", "said"), LOST)
def test_without_its_preview_a_merge_applies_nothing(shell, server, name, changes, said):
    """Guards that a preview that cannot be found stops the run, and says what to do."""
    answers = github_answers if name == "github" else azure_answers
    server.answers = answers(**changes)
    out = shell.run(script(name, "apply", "Find the preview"), expect=1)
    assert said in out
    assert "No reviewed preview" in out
    assert "Nothing was applied." in out
    assert "by hand" in out
    assert "" == shell.outputs("GITHUB_OUTPUT")
    assert "setvariable" not in out


@pytest.mark.parametrize("name", ["github", "azure"])
def test_a_service_that_does_not_answer_applies_nothing_either(shell, server, name):
    """Guards that a failed look-up is never taken for an answer."""
    out = shell.run(script(name, "apply", "Find the preview"), expect=1)
    assert "did not answer" in out
    assert "Nothing was applied." in out
    assert server.received


@pytest.mark.parametrize(("name", "part"), [("github", "apply-without-preview"),
                                            ("azure", "apply_without_preview")])  # fmt: skip
def test_what_is_destructive_is_left_to_people_at_night(shell, name, part):
    """Guards the nightly apply: no approval in advance; a plan that fails applies nothing."""
    text = script(name, part, "Plan and apply")
    tool(shell, "exit 0")
    shell.run(text, GITHUB_EVENT_NAME="schedule", BUILD_REASON="Schedule")
    shell.run(text, GITHUB_EVENT_NAME="workflow_dispatch", BUILD_REASON="Manual")
    applies = [c for c in (shell.folder / "calls").read_text().splitlines() if c[:5] == "apply"]
    wanted = ["apply plan.json --auth cli", "apply plan.json --auto-approve --auth cli"]
    assert wanted == applies
    tool(shell, '[ "$1" = apply ]')
    (shell.folder / "calls").unlink()
    shell.run(text, expect=1, GITHUB_EVENT_NAME="schedule", BUILD_REASON="Schedule")
    assert "apply" not in (shell.folder / "calls").read_text()
