"""What a workspace may reach: the communication policy, and whether Git is part of it.

Source: platform/definitions/workspaceNetworkingPolicy.json and platform/swagger.json (spec);
fabric-api.md section 8; docs of Dec 2025 (cicd-security): with outbound access denied every call
of the Git API fails until an admin allows Git for the workspace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import workspace_of
from reconciler.emulator.fabric.errors import invalid, refuse
from reconciler.emulator.fabric.state import NetworkPolicy, Workspace
from reconciler.emulator.http import Answer, Call, Route
from reconciler.emulator.world import new_id

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ROUTES", "git_workspace_of"]

_ACTIONS = ("Allow", "Deny")
_UNTOUCHED = "00000000-0000-0000-0000-000000000000"


def git_workspace_of(world: World, call: Call, needed: str) -> Workspace:
    """Return the workspace of a Git call, unless its network policy keeps it from Git.

    That the call fails is documented; the code is an SDK constant and assumed, like the status.
    """
    found = workspace_of(world, call, needed)
    if found.network is not None and _git_action(found.network) == "Deny":
        raise refuse(
            403,
            "Forbidden",
            "Outbound access is restricted. A workspace admin must allow Git integration.",
            retriable=False,
        )
    return found


def _git_action(policy: NetworkPolicy | None) -> str:
    """Return what holds for Git: where nothing is restricted, nothing is denied (docs)."""
    return "Allow" if policy is None or policy.outbound == "Allow" else policy.git


def _tagged(tag: str, body: dict[str, Any] | None = None) -> Answer:
    return Answer(200, body, headers={"ETag": f'"{tag}"'})


def _check_match(call: Call, tag: str) -> None:
    """Refuse a change of what is not as the caller saw it (spec; code SDK, status assumed)."""
    wanted = call.headers.get("If-Match")
    if wanted is not None and wanted.strip() not in {f'"{tag}"', "*"}:
        raise refuse(412, "PreconditionFailed", "The resource was changed since it was read")


def _action(fields: dict[str, Any]) -> str:
    """Return the default action; left out, it is Allow (spec)."""
    return wire.choice(fields, "defaultAction", _ACTIONS) or "Allow"


def _rules(fields: dict[str, Any], direction: str) -> str:
    rules = (wire.mapping(fields, direction) or {}).get("publicAccessRules")
    if rules is not None and not isinstance(rules, dict):
        raise invalid("The publicAccessRules field must be an object")
    return _action(rules or {})


async def get_policy(world: World, call: Call) -> Answer:
    """Answer with what may come in and go out."""
    policy = workspace_of(world, call, "Viewer").network
    inbound, outbound = ("Allow", "Allow") if policy is None else (policy.inbound, policy.outbound)
    body = {
        "inbound": {"publicAccessRules": {"defaultAction": inbound}},
        "outbound": {"publicAccessRules": {"defaultAction": outbound}},
    }
    return _tagged(_UNTOUCHED if policy is None else policy.tag, body)


async def set_policy(world: World, call: Call) -> Answer:
    """Overwrite the whole policy; Git is shut off anew whenever outbound access is (docs)."""
    workspace = workspace_of(world, call, "Admin")
    before = workspace.network
    _check_match(call, _UNTOUCHED if before is None else before.tag)
    fields = call.fields()
    outbound = _rules(fields, "outbound")
    kept = before is not None and before.outbound == outbound == "Deny"
    workspace.network = NetworkPolicy(
        tag=new_id(),
        git_tag=before.git_tag if kept and before is not None else new_id(),
        inbound=_rules(fields, "inbound"),
        outbound=outbound,
        git=before.git if kept and before is not None else "Deny",
    )
    return _tagged(workspace.network.tag)


async def get_git_policy(world: World, call: Call) -> Answer:
    """Answer with whether Git is allowed."""
    policy = workspace_of(world, call, "Viewer").network
    tag = _UNTOUCHED if policy is None else policy.git_tag
    return _tagged(tag, {"defaultAction": _git_action(policy)})


async def set_git_policy(world: World, call: Call) -> Answer:
    """Allow Git or shut it off; fails where outbound access is not restricted (spec)."""
    policy = workspace_of(world, call, "Admin").network
    action = _action(call.fields())
    if policy is None or policy.outbound != "Deny":
        raise invalid("The outbound access of the workspace is not restricted")
    _check_match(call, policy.git_tag)
    policy.git, policy.git_tag = action, new_id()
    return _tagged(policy.git_tag)


_POLICY = "/v1/workspaces/{workspaceId}/networking/communicationPolicy"
ROUTES = [
    Route("GET", _POLICY, get_policy, "networking.get"),
    Route("PUT", _POLICY, set_policy, "networking.set"),
    Route("GET", f"{_POLICY}/outbound/git", get_git_policy, "networking.git.get"),
    Route("PUT", f"{_POLICY}/outbound/git", set_git_policy, "networking.git.set"),
]
