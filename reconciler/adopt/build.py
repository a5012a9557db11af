"""Turn what was found into a spec whose plan is empty. Pure.

Nothing is written that was not read. What is live and would make the plan act or stop (a binding
that is not initialised, an import that failed) is left out and told in a comment instead; so is
what the spec language cannot say. What live does not tell, which side leads and whether stages
follow each other, is written such that nothing happens until somebody decides it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler._version import __version__
from reconciler.adopt.bindings import git_entry
from reconciler.adopt.entry import Entry, left_out, name_or_id, why_not
from reconciler.adopt.found import Found, FoundRepository, FoundWorkspace, NotRead
from reconciler.adopt.pipelines import pipeline_entry
from reconciler.diff.repositories import ImportState, diff_repository
from reconciler.live.models import LiveCapacity
from reconciler.spec.models import AzureDevOps, ConnectionSpec, RepositorySpec, WorkspaceSpec
from reconciler.spec.write import Noted, plain, write_yaml

__all__ = ["Written", "write_found"]

_HEAD = (
    "yaml-language-server: $schema=spec.schema.json",
    "The schema, for editors: reconciler schema > spec.schema.json",
    f"Written by reconciler adopt {__version__}: what is live; planning it gives no changes.",
    "It only reports until you decide which side leads (sync.direction) and which stages follow",
    "each other (when). What is not written here is not managed.",
)


@dataclass(frozen=True, slots=True)
class Written:
    """A spec as YAML, and how many resources it declares, by kind."""

    text: str
    counts: Mapping[str, int]


def write_found(found: Found, *, name: str = "adopted") -> Written:
    """Write the spec of what was found; what could not be read or written stands in comments."""
    document: dict[str, Any] = {
        "apiVersion": "reconciler/v1",
        "kind": "Estate",
        "metadata": {"name": name},
    }
    lost = list(found.unmet)
    repositories = [_repository(r) for r in found.repositories]
    if found.azure_devops is not None:
        document["azureDevOps"] = _azure_devops(found.azure_devops, repositories, lost)
    workspaces = [_workspace(w, found) for w in found.workspaces]
    pipelines = [pipeline_entry(p, found) for p in found.pipelines]
    connections = _connections(workspaces, found)
    if connections:
        document["connections"] = connections
    for key, entries in (("workspaces", workspaces), ("pipelines", pipelines)):
        section = _section(entries, lost)
        if section is not None:
            document[key] = section
    kinds = {"workspace": workspaces, "pipeline": pipelines, "repository": repositories}
    return Written(
        write_yaml(document, head=_HEAD, remarks=lost),
        {kind: sum(e.value is not None for e in entries) for kind, entries in kinds.items()},
    )


def _section(entries: Sequence[Noted], lost: list[str]) -> Noted | None:
    """Return the entries with those left out as comments below; into ``lost`` if all are."""
    texts = [text for e in entries if e.value is None for text in e.above]
    kept = [e for e in entries if e.value is not None]
    if not kept:
        lost.extend(texts)
        return None
    return Noted(kept, below=tuple(texts))


def _azure_devops(
    azure_devops: AzureDevOps, repositories: Sequence[Noted], lost: list[str]
) -> dict[str, Any]:
    out = azure_devops.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    section = _section(repositories, lost)
    return out if section is None else {**out, "repositories": section}


# -- repositories --

_SINCE = {
    ImportState.NEEDED: "the repository is empty by now",
    ImportState.RUNNING: "it is running again",
    ImportState.RUNNING_OTHER: "another import is running",
    ImportState.FAILED: "it failed when it was run again",
    ImportState.FAILED_OTHER: "another import failed since",
}


def _repository(found: FoundRepository) -> Noted:
    live = found.live
    label = f"repository {found.project}/{live.name}"
    if live.disabled:
        return left_out(f"Left out: {label}, which is disabled.")
    required = {"project": found.project, "name": live.name}
    wrong = why_not(RepositorySpec, required)
    if wrong is not None:
        return left_out(f"Left out: {label}, which a spec cannot hold: {wrong}.")
    entry = Entry(RepositorySpec, required)
    if live.default_branch is not None:
        entry.put("defaultBranch", live.default_branch)
    if found.imports is not None:
        entry.notes.append(found.imports.text())
    else:
        _put_import(entry, found)
    return entry.noted()


def _put_import(entry: Entry, found: FoundRepository) -> None:
    """Add the newest completed import, unless the plan would act on it."""
    newest = sorted(found.live.imports, key=lambda r: r.id, reverse=True)
    request = next((r for r in newest if r.status == "completed"), None) or next(
        (r for r in newest if r.status != "abandoned"), None
    )
    if request is None:
        return
    source = {"url": request.source_url}
    wanted = plain({**entry.data, "import": source})
    if why_not(RepositorySpec, wanted) is not None:
        entry.put("import", source)  # says why, and does not repeat a URL with a password in it
        return
    if request.status != "completed":
        reason = f" ({request.error})" if request.error else ""
        entry.notes.append(
            f"Left out: the import from {request.source_url}, which is {request.status}{reason}; "
            "with import.url in the spec, the plan goes on with it."
        )
        return
    state = diff_repository(RepositorySpec.model_validate(wanted), found.live).import_state
    if state is ImportState.SETTLED:
        entry.put("import", source)
    else:
        why = _SINCE.get(state, "a plan would run it again")
        entry.notes.append(f"Left out: the import from {request.source_url}: {why}.")


# -- workspaces --


def _workspace(found: FoundWorkspace, everything: Found) -> Noted:
    label = found.name or found.id
    if found.kind not in {"", "Workspace"}:
        return left_out(f"Left out: workspace {label}, which is of type {found.kind}.")
    required = name_or_id(found.id, found.name, everything.visible.values())
    wrong = why_not(WorkspaceSpec, required)
    if wrong is not None:
        return left_out(f"Left out: workspace {label}, which a spec cannot hold: {wrong}.")
    entry = Entry(WorkspaceSpec, required)
    if found.description:
        entry.put("description", found.description)
    if found.capacity_id is not None:
        _put_capacity(entry, found.capacity_id, everything.capacities)
    entry.put_roles(found.roles)
    if isinstance(found.binding, NotRead):
        entry.notes.append(found.binding.text())
    elif found.binding is not None:
        git, notes = git_entry(found.binding, everything.connections)
        entry.notes.extend(notes)
        if git is not None:
            entry.put("git", git)
    return entry.noted()


def _put_capacity(
    entry: Entry, capacity_id: str, capacities: tuple[LiveCapacity, ...] | NotRead | None
) -> None:
    if isinstance(capacities, NotRead):
        # Even given by id, a plan would have to read the capacities.
        entry.notes.append(f"Left out: the capacity {capacity_id}. {capacities.text()}")
        return
    named = next((c for c in capacities or () if c.id.lower() == capacity_id.lower()), None)
    if named is None:
        entry.put("capacity", Noted(capacity_id, behind="not visible to this caller"))
    elif Counter(c.name for c in capacities or ())[named.name] == 1:
        entry.put("capacity", named.name)
    else:
        entry.put("capacity", Noted(capacity_id, behind=named.name))


def _connections(workspaces: Sequence[Noted], found: Found) -> list[Any]:
    """Declare the connections that bindings name, so that their types are checked as well."""
    if found.connections is None or isinstance(found.connections, NotRead):
        return []
    bindings = [(plain(w) or {}).get("git") or {} for w in workspaces]
    used = {
        git["credentials"]["connection"]
        for git in bindings
        if isinstance(git.get("credentials"), dict)
    }
    listed = sorted(found.connections, key=lambda c: c.name)
    entries = [{"name": c.name, "type": c.type} for c in listed if c.name in used]
    return [e for e in entries if why_not(ConnectionSpec, e) is None]
