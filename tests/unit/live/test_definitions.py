"""Definitions from one export: each part at the item whose folder it lies in."""

from __future__ import annotations

from reconciler.clients.fabric.models import BulkExport, DefinitionPart, ExportedItem
from reconciler.live.definitions import definitions_of


def test_an_export_is_cut_into_items_with_paths_of_their_own():
    """A child's files are not its parent's, and a name that begins another's is not it."""
    paths = (
        "/raw/A.Notebook/.platform",
        "/raw/A.Notebook/notebook-content.py",
        "/E.Eventhouse/.platform",
        "/E.Eventhouse/.children/K.KQLDatabase/.platform",
        "/E.Eventhouse2/.platform",
    )
    export = BulkExport(
        (
            ExportedItem("a", "/raw/A.Notebook"),
            ExportedItem("e", "/E.Eventhouse"),
            ExportedItem("k", "/E.Eventhouse/.children/K.KQLDatabase"),
            ExportedItem("none", "/N.Notebook"),
        ),
        tuple(DefinitionPart(p, p.encode()) for p in paths),
    )
    found = definitions_of(export)
    assert {
        "a": {".platform", "notebook-content.py"},
        "e": {".platform"},
        "k": {".platform"},
    } == {i: set(d.parts) for i, d in found.items()}
    assert b"/raw/A.Notebook/.platform" == found["a"].parts[".platform"]
