"""Compare a text with its golden file; ``UPDATE_GOLDEN=1`` writes the file instead."""

import os
import re
from pathlib import Path

_FOLDER = Path(__file__).parents[2] / "data" / "golden"


def check(name: str, text: str) -> None:
    """Assert that ``text`` is what the golden file holds."""
    path = _FOLDER / name
    # A fingerprint says nothing to a reader, and moves with every member of the format.
    text = re.sub(r"plan `[0-9a-f]{12}`", "plan `0123456789ab`", text)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text
