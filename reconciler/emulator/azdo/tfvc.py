"""TFVC content of a project, and how an import makes a git history of it.

What a server keeps as changesets is one commit each in a store of its own here. Source:
azure-devops-import.md section 2.1 and git.json (spec) for the parameters; the page on importing
from TFVC (docs) for the paths, the 180 days before the latest changeset, and the link to TFVC in
the first commit's message. TFVC paths compare in any case (general knowledge).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from reconciler.emulator.azdo.errors import bad_request
from reconciler.emulator.azdo.state import Project
from reconciler.emulator.gitstore import CommitInfo, FileEntry
from reconciler.emulator.http import Refused
from reconciler.emulator.world import World

__all__ = ["BRANCH", "add_changeset", "checked_source", "find_content", "write_history"]

# What the store calls the one line of changesets, and what a new git repository starts with.
BRANCH = "main"
_MOST_DAYS = 180
_DAY_S = 86400.0
_MOST_CHANGESETS = 10_000


@dataclass(frozen=True, slots=True)
class TfvcContent:
    """A folder of a project's TFVC content.

    Attributes:
        project: Whose it is.
        folder: Below ``$/project``, with the casing of the server; "" for all of it.
    """

    project: Project
    folder: str


def checked_source(given: object) -> dict[str, Any]:
    """Return a ``tfvcSource`` with all its members.

    Raises:
        Refused: 400 for one without a path, and for a history of more than 180 days (the bound is
            documented, the answer to it assumed).
    """
    if not isinstance(given, dict):
        raise Refused(bad_request("tfvcSource must be an object."))
    path, history = given.get("path"), given.get("importHistory", False)
    days = given.get("importHistoryDurationInDays", 0)
    if not isinstance(path, str) or not path.startswith("$/"):
        raise Refused(bad_request("tfvcSource.path must be a server path such as $/Project/Main."))
    if not isinstance(history, bool):
        raise Refused(bad_request("tfvcSource.importHistory must be true or false."))
    if isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= _MOST_DAYS:
        raise Refused(
            bad_request(f"tfvcSource.importHistoryDurationInDays must be 0 to {_MOST_DAYS}.")
        )
    return {"path": path, "importHistory": history, "importHistoryDurationInDays": days}


def find_content(world: World, organization: str, path: str) -> TfvcContent | None:
    """Return what a server path of an organization leads to, None if nothing is there.

    A single file is nothing that can be imported: the page names a repository, branch or folder.
    """
    pieces = [piece for piece in path.removeprefix("$/").split("/") if piece]
    project = world.azdo.find_project(organization, pieces[0]) if pieces else None
    if project is None or project.state != "wellFormed" or not world.repos.exists(project.tfvc_key):
        return None
    tip = world.repos.tip(project.tfvc_key, BRANCH)
    if tip is None:
        return None
    wanted = [piece.lower() for piece in pieces[1:]]
    for name in world.repos.files(project.tfvc_key, tip):
        folders = name.split("/")[:-1][: len(wanted)]
        if [folder.lower() for folder in folders] == wanted:
            return TfvcContent(project, "/".join(folders))
    return None


def add_changeset(
    world: World,
    project: Project,
    changes: Mapping[str, bytes | None],
    *,
    comment: str,
    author: str,
    when: datetime,
) -> None:
    """Check changes of files in; their paths are relative to ``$/project``."""
    key = project.tfvc_key
    if not world.repos.exists(key):
        world.repos.create(key, BRANCH)
    world.repos.commit(
        key,
        BRANCH,
        base=world.repos.tip(key, BRANCH),
        changes=changes,
        message=comment,
        author_name=author,
        author_email=f"{author.replace(' ', '.').lower()}@emulator.invalid",
        when=when,
    )
    project.tfvc = True


def write_history(
    world: World, source: Mapping[str, Any], organization: str, into: str, ref: str
) -> str:
    """Write the commits of an import and let a ref name the last; return "" or what went wrong.

    Without history the folder comes as it is now. With it every changeset that touched the folder
    comes as a commit, as far back from the latest one as asked for; the first of them holds the
    whole folder of its time.
    """
    content = find_content(world, organization, str(source["path"]))
    if content is None:
        return f"TF10175: The team project or folder {source['path']} does not exist"
    key = content.project.tfvc_key
    tip = world.repos.tip(key, BRANCH)
    changesets = [] if tip is None else _changesets(world, content, tip)
    days = source["importHistoryDurationInDays"] if source["importHistory"] else 0
    latest_s = changesets[-1][1].time_s
    chosen = [
        found
        for found in changesets
        if found is changesets[-1]
        or (source["importHistory"] and found[1].time_s >= latest_s - days * _DAY_S)
    ]
    parent: str | None = None
    before: Mapping[str, FileEntry] = {}
    for number, changeset in chosen:
        after = world.repos.files(key, changeset.sha, content.folder)
        changes: dict[str, bytes | None] = dict.fromkeys(before.keys() - after.keys())
        for name, entry in after.items():
            if before.get(name) != entry:
                changes[name] = world.repos.blob(key, entry.blob_sha)
        message = changeset.message
        if parent is None:
            message += f"\n\nMigrated from {_web_url(world, content.project, source, number)}\n"
        parent = world.repos.write_commit(
            into,
            parent=parent,
            changes=changes,
            message=message,
            author_name=changeset.author_name,
            author_email=changeset.author_email,
            when=datetime.fromtimestamp(changeset.time_s, UTC),
        )
        before = after
    world.repos.update_ref(into, ref, None, parent)
    return ""


def _changesets(world: World, content: TfvcContent, tip: str) -> list[tuple[int, CommitInfo]]:
    """Return number and commit of the changesets that touched a folder, oldest first."""
    key = content.project.tfvc_key
    found = []
    before: str | None = None
    for number, commit in enumerate(reversed(world.repos.log(key, tip, _MOST_CHANGESETS)), start=1):
        here = world.repos.tree_id(key, commit.sha, content.folder)
        if here != before:
            found.append((number, commit))
        before = here
    return found


def _web_url(world: World, project: Project, source: Mapping[str, Any], number: int) -> str:
    """Return where a browser shows the folder as of a changeset; the exact form is assumed."""
    root = f"{world.own_urls.devops_url}/{quote(project.organization)}/{quote(project.name)}"
    return f"{root}/_versionControl?path={quote(str(source['path']), safe='')}&version=C{number}"
