"""Fields, names and source URLs."""

from __future__ import annotations

import pytest

from reconciler.diff.changes import FieldDiff, diff_fields
from reconciler.diff.normalise import same_source


def test_unset_fields_are_not_managed():
    """None in the spec leaves a field alone; empty text and false are wishes."""
    assert () == diff_fields(("a", "x", None), ("b", "x", "x"))
    assert (FieldDiff("a", "x", ""), FieldDiff("b", True, False)) == diff_fields(
        ("a", "x", ""), ("b", True, False)
    )


BASE = "https://github.com/contoso/Sales"
SOURCES = [
    (BASE + ".git", True),
    (BASE + "/", True),
    ("HTTPS://GitHub.com/contoso/Sales", True),
    ("https://user:secret@github.com/contoso/Sales", True),
    (" " + BASE + " ", True),
    ("https://github.com/contoso/sales", False),
    ("http://github.com/contoso/Sales", False),
    ("https://github.com:8443/contoso/Sales", False),
    ("https://github.com:bad/contoso/Sales", True),
]


@pytest.mark.parametrize(("url", "expected"), SOURCES)
def test_source_urls_compare_as_the_reference_says(url, expected):
    """Scheme and host without case; slash, .git and user info ignored; the path as it stands."""
    assert expected is same_source(BASE, url)
