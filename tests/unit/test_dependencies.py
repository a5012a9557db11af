"""The bounds in pyproject.toml are those of what is installed and tested."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
STATED = [
    Requirement(text)
    for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in group
    if not text.startswith(PROJECT["name"])
]


@pytest.mark.parametrize("requirement", STATED, ids=str)
def test_every_dependency_is_bounded_and_what_is_installed_lies_within(requirement):
    """Guards that a major version nobody tried is not taken, and that bounds can be met."""
    signs = {s.operator for s in requirement.specifier}
    assert ">=" in signs
    assert "<" in signs or requirement.name.startswith("types-")  # follow what they describe
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        pytest.skip("this extra is not installed")
    assert requirement.specifier.contains(found, prereleases=True)


def test_one_name_has_one_range():
    """Guards that two extras cannot be installed apart and not together."""
    ranges: dict[str, set[str]] = {}
    for requirement in STATED:
        ranges.setdefault(requirement.name, set()).add(str(requirement.specifier))
    assert {name: found for name, found in ranges.items() if len(found) > 1} == {}


def test_the_lock_holds_a_version_within_every_stated_range():
    """Guards that whoever installs by the lock gets what the project says it works with."""
    lines = (Path(__file__).parents[2] / "requirements.lock").read_text().splitlines()
    locked = dict(line.split("==") for line in lines if not line.startswith("#"))
    names = {r.name.lower().replace("_", "-"): r for r in STATED}
    assert set() == names.keys() - locked.keys()
    wrong = [n for n, r in names.items() if not r.specifier.contains(locked[n], prereleases=True)]
    assert [] == wrong
