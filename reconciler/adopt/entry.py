"""A mapping of the spec in the making: what its model accepts, and comments for the rest. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from reconciler.adopt.found import NotRead
from reconciler.live.models import LiveRole
from reconciler.spec.model_base import SpecModel
from reconciler.spec.write import Noted, plain

__all__ = ["Entry", "left_out", "name_or_id", "why_not"]


def why_not(model: type[SpecModel], data: Mapping[str, Any]) -> str | None:
    """Return why a model does not accept data, None when it does."""
    try:
        model.model_validate(plain(data))
    except ValidationError as e:
        return str(e.errors()[0]["msg"]).rstrip(".")
    return None


def left_out(text: str) -> Noted:
    """Return an entry that is a comment and nothing else."""
    return Noted(None, above=(text,))


def name_or_id(id_: str, name: str, names: Iterable[str]) -> dict[str, Any]:
    """Name a thing so that a plan finds it again: by id where the name is not the only one."""
    if name and Counter(names)[name] == 1:
        return {"name": name}
    return {"id": Noted(id_, behind=name)}


class Entry:
    """Takes fields one by one.

    Attributes:
        data: the fields that were accepted, in the order they came.
        notes: what was left out, a sentence each.
    """

    def __init__(self, model: type[SpecModel], required: Mapping[str, Any]) -> None:
        self._model = model
        self.data: dict[str, Any] = dict(required)
        self.notes: list[str] = []

    def put(self, key: str, value: Any) -> None:  # noqa: ANN401 - any data
        """Add a field, or a comment why a spec cannot hold it."""
        wrong = why_not(self._model, {**self.data, key: value})
        if wrong is None:
            self.data[key] = value
        else:
            self.notes.append(f"Left out: {key}, which a spec cannot hold: {wrong}.")

    def put_roles(self, roles: Sequence[LiveRole] | NotRead) -> None:
        """Add the roles, each with the name of its principal behind it."""
        if isinstance(roles, NotRead):
            self.notes.append(roles.text())
            return
        kept: dict[str, Noted] = {}
        for role in sorted(roles, key=lambda r: (r.role, r.principal_type, r.name, r.principal_id)):
            principal = {"id": role.principal_id, "type": role.principal_type}
            data = {"principal": principal, "role": role.role}
            wrong = why_not(self._model, {**self.data, "roles": [data]})
            if wrong is None:
                kept.setdefault(role.principal_id, Noted(data, inline=True, behind=role.name))
            else:
                who = role.name or role.principal_id
                self.notes.append(
                    f"Left out: role {role.role} of {role.principal_type} {who}: {wrong}."
                )
        if kept:
            self.put("roles", list(kept.values()))

    def noted(self, *last: str) -> Noted:
        """Return the entry with its comments; the fields ``last`` come at the end."""
        ends = {k: self.data[k] for k in last if k in self.data}
        rest = {k: v for k, v in self.data.items() if k not in ends}
        return Noted({**rest, **ends}, above=tuple(self.notes))
