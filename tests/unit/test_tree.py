"""Promises of the source tree itself."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

import reconciler

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "reconciler"
MODULES = sorted(
    p
    for p in PACKAGE.rglob("*.py")
    if p.stat().st_size
    and "demo_estate" not in p.parts
    and p.name not in {"__main__.py", "_version.py"}
)
TEXTS = sorted(
    p
    for top in ("reconciler", "tests", "docs", "examples", "schemas")
    for p in (ROOT / top).rglob("*")
    if p.is_file() and p.suffix in {".py", ".md", ".yaml", ".yml", ".json", ".toml", ".txt"}
)


def dotted(path: Path) -> str:
    """Return the name a module is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_public_api_is_what_it_says():
    """Every public name is there, and nothing else is offered."""
    assert len(set(reconciler.__all__)) == len(reconciler.__all__)
    for name in reconciler.__all__:
        assert getattr(reconciler, name) is not None
    with pytest.raises(AttributeError):
        _ = reconciler.no_such_name
    offered = {n for n in vars(reconciler) if not n.startswith("_")}
    assert offered - set(reconciler.__all__) <= {
        "annotations",
        "importlib",
        "TYPE_CHECKING",
        *(p.stem for p in PACKAGE.iterdir()),
    }


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_every_module_says_what_it_offers(path):
    """__all__ is explicit, sorted out of real names, and holds every public definition in use."""
    module = importlib.import_module(dotted(path))
    offered = module.__all__
    assert len(set(offered)) == len(offered)
    assert [] == [n for n in offered if not hasattr(module, n)]


@pytest.mark.parametrize("path", [p for p in MODULES if "emulator" not in p.parts], ids=dotted)
def test_no_module_takes_what_another_does_not_offer(path):
    """Names imported inside the package stand in the __all__ of their home."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(
            "reconciler."
        ):
            continue
        home = importlib.import_module(str(node.module))
        for name in node.names:
            if hasattr(home, "__all__") and not hasattr(home, "__path__"):
                assert name.name in home.__all__, f"{node.module}.{name.name}"


def test_inner_packages_are_empty():
    """Import chains count: a package front door would join layers that must not meet.

    The engine's joins nothing: it is one layer above all that it may name, and imports on use.
    """
    open_ = (PACKAGE, PACKAGE / "engine")
    inner = [p for p in PACKAGE.rglob("__init__.py") if p.parent not in open_]
    assert [] == [str(p) for p in inner if p.stat().st_size]


def test_no_path_of_a_developers_machine_stands_in_the_tree():
    """What is published works, and reads, the same everywhere."""
    machine = re.compile(r"(?<![\w.])/(?:root|home|Users|work)/[A-Za-z.]|[A-Z]:\\\\?Users")
    found = [
        f"{p.relative_to(ROOT)}:{n}"
        for p in TEXTS
        if p != Path(__file__)
        for n, line in enumerate(p.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if machine.search(line)
    ]
    assert [] == found
