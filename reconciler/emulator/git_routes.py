"""Where stock git clones from and pushes to: Azure Repos and GitHub remotes.

Azure Repos ask everybody for credentials; GitHub only for private repositories (and for ones that
do not exist, so that nobody learns which do).
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.emulator.azdo import branches
from reconciler.emulator.http import Answer, Call, Problem, Refused, Route
from reconciler.emulator.smart_http import advertise, rpc
from reconciler.emulator.world import World

__all__ = ["AZDO_GIT_ROUTES", "GITHUB_ROUTES", "git_problem"]

_STATUS = {
    "unauthorized": 401,
    "token_invalid": 401,
    "token_expired": 401,
    "malformed_body": 400,
    "too_large": 400,
    "blocked": 429,
    "no_route": 404,
    "wrong_method": 405,
    "unexpected": 500,
}


def git_problem(_world: World, problem: Problem, _headers: Mapping[str, str]) -> Answer:
    """Word a problem in plain text, with the challenge that makes git send credentials."""
    headers = {}
    if problem.kind in {"unauthorized", "token_invalid", "token_expired"}:
        headers["WWW-Authenticate"] = 'Basic realm="emulator"'
    if problem.kind == "blocked":
        headers["Retry-After"] = str(problem.retry_after_s)
    return Answer(
        _STATUS[problem.kind],
        raw=f"{problem.message}\n".encode(),
        content_type="text/plain; charset=utf-8",
        headers=headers,
    )


def _plain(status: int, text: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer(
        status, raw=f"{text}\n".encode(), content_type="text/plain", headers=headers or {}
    )


def _azdo_key(world: World, call: Call) -> tuple[str, str]:
    """Return the repository's id and its key in the git store.

    Raises:
        Refused: 404 with the text of azure-devops-import.md section 8.
    """
    name = call.params["repository"]
    project = call.params.get("project") or name
    found = world.azdo.locate(call.params["organization"], project, name)
    if found is None:
        raise Refused(
            _plain(
                404,
                f"TF401019: The Git repository with name or identifier {name} does not exist or "
                "you do not have permissions for the operation you are attempting.",
            )
        )
    return found.id, found.key


async def _azdo_refs(world: World, call: Call) -> Answer:
    _, key = _azdo_key(world, call)
    return await _advertise(world, call, key)


async def _azdo_upload(world: World, call: Call) -> Answer:
    _, key = _azdo_key(world, call)
    return await _rpc(world, call, key, "git-upload-pack")


async def _azdo_receive(world: World, call: Call) -> Answer:
    repository_id, key = _azdo_key(world, call)
    answer = await _rpc(world, call, key, "git-receive-pack")
    repository = world.azdo.repositories.get(repository_id)
    if repository is not None and world.repos.exists(key):
        branches.settle_default(world, repository)
    return answer


def _github_key(world: World, call: Call) -> str:
    """Return the repository's key in the git store.

    Raises:
        Refused: 401 for somebody anonymous, else 404, when there is nothing to be seen.
    """
    name = call.params["repository"].removesuffix(".git")
    found = world.github.find(call.params["owner"], name)
    anonymous = call.caller.id == "anonymous"
    if found is None or (found.private and anonymous):
        if anonymous:
            challenge = {"WWW-Authenticate": 'Basic realm="GitHub"'}
            raise Refused(_plain(401, "Repository not found.", challenge))
        raise Refused(_plain(404, "Repository not found."))
    return found.key


async def _github_refs(world: World, call: Call) -> Answer:
    key = _github_key(world, call)
    _refuse_anonymous_push(call, call.query.get("service", ""))
    return await _advertise(world, call, key)


async def _github_upload(world: World, call: Call) -> Answer:
    return await _rpc(world, call, _github_key(world, call), "git-upload-pack")


async def _github_receive(world: World, call: Call) -> Answer:
    key = _github_key(world, call)
    _refuse_anonymous_push(call, "git-receive-pack")
    answer = await _rpc(world, call, key, "git-receive-pack")
    if world.repos.exists(key):
        branches.settle_head(world, key)
    return answer


def _refuse_anonymous_push(call: Call, service: str) -> None:
    if service == "git-receive-pack" and call.caller.id == "anonymous":
        challenge = {"WWW-Authenticate": 'Basic realm="GitHub"'}
        raise Refused(_plain(401, "Authentication is required to push.", challenge))


async def _advertise(world: World, call: Call, key: str) -> Answer:
    service = call.query.get("service", "")
    return await advertise(world.repos.path(key), service, call.headers.get("Git-Protocol"))


async def _rpc(world: World, call: Call, key: str, service: str) -> Answer:
    protocol = call.headers.get("Git-Protocol")
    return await rpc(world.repos.path(key), service, call.raw, protocol)


AZDO_GIT_ROUTES = [
    Route("GET", "/_git/{repository}/info/refs", _azdo_refs, "git.refs"),
    Route("POST", "/_git/{repository}/git-upload-pack", _azdo_upload, "git.fetch", effect=False),
    Route("POST", "/_git/{repository}/git-receive-pack", _azdo_receive, "git.push"),
]
GITHUB_ROUTES = [
    Route("GET", "/{owner}/{repository}/info/refs", _github_refs, "github.refs"),
    Route(
        "POST",
        "/{owner}/{repository}/git-upload-pack",
        _github_upload,
        "github.fetch",
        effect=False,
    ),
    Route("POST", "/{owner}/{repository}/git-receive-pack", _github_receive, "github.push"),
]
