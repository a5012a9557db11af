"""COVERAGE.md says what the emulator does, and must not say anything else."""

import dataclasses
import re
from pathlib import Path

from reconciler.emulator import server
from reconciler.emulator.azdo.state import AzdoSettings
from reconciler.emulator.fabric.state import FabricSettings

FILE = Path(server.__file__).parent / "COVERAGE.md"
TESTS = Path(__file__).parents[2]
STATUSES = {"implemented", "partial", "missing"}
SOURCES = {
    "spec",
    "docs",
    "recorded",
    "field",
    "client",
    "SDK",
    "assumed",
    "own",
    "samples",
    "third-party",
}
ID = re.compile(r"(F[1-9]|A\d|C)[\d.]*")


def table_rows() -> list[list[str]]:
    """The cells of all rows of all tables."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in FILE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| ---")
    ]


BEHAVIOURS = [row for row in table_rows() if ID.fullmatch(row[0])]
ROUTES = [row for row in table_rows() if row[2].startswith("`/")]


def test_every_route_is_listed_and_every_listed_one_exists():
    """The route tables decide: a new route fails this test until it is described."""
    existing = {
        (service.name, route.method, route.pattern)
        for services in server.mounts().values()
        for _, service in services
        for route in service.routes
    }
    listed = [(row[0], row[1], row[2].strip("`")) for row in ROUTES]
    there = {place for place, row in zip(listed, ROUTES, strict=True) if row[3] != "missing"}
    assert existing == there
    assert len(set(listed)) == len(listed)


def test_ids_of_behaviours_are_unique_and_cover_every_section():
    """Both references are there section by section."""
    ids = [row[0] for row in BEHAVIOURS]
    assert len(set(ids)) == len(ids)
    sections = {match[0] for match in (re.match(r"[FA]\d+", name) for name in ids) if match}
    fabric = {f"F{number}" for number in range(1, 10)}
    azdo = {f"A{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 10)}
    assert fabric | azdo == sections


def test_a_row_has_a_known_status_and_names_its_evidence():
    """A status nobody defined, or a claim without a source, is no coverage."""
    judged = [(row, row[3], row[4]) for row in ROUTES] + [(row, *row[2:4]) for row in BEHAVIOURS]
    wrong = [
        row
        for row, status, source in judged
        if status not in STATUSES or not SOURCES & set(re.findall(r"[\w-]+", source))
    ]
    assert [] == wrong


def test_a_claimed_behaviour_names_tests_that_exist():
    """What is claimed is tested: the names are looked up in the sources of the tests."""
    existing = defined()
    for row in BEHAVIOURS:
        named = set(re.findall(r"test_\w+", row[4]))
        assert named or row[2] == "missing", row
        assert set() == named - existing, row


def defined() -> set[str]:
    """The names of all tests of the emulator, its foreign clients included."""
    files = [*(TESTS / "contract").rglob("test_*.py"), *(TESTS / "foreign").glob("test_*.py")]
    return {
        name
        for file in files
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }


def test_every_switch_is_listed():
    """A setting that nobody can find is none."""
    text = FILE.read_text(encoding="utf-8")
    for owner in (FabricSettings, AzdoSettings):
        for field in dataclasses.fields(owner):
            first, *rest = field.name.split("_")
            assert f"`{first + ''.join(piece.capitalize() for piece in rest)}`" in text
