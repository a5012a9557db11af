"""Compare a text with its golden file; ``UPDATE_GOLDEN=1`` writes the file instead."""

import os
from pathlib import Path

_FOLDER = Path(__file__).parents[2] / "data" / "golden"


def check(name: str, text: str) -> None:
    """Assert that ``text`` is what the golden file holds."""
    path = _FOLDER / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text
