"""Trailers of notes and comments: written within the limits, read back, never cut themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.provenance import (
    COMMENT_LIMIT,
    NOTE_LIMIT,
    Trailer,
    fit,
    length,
    read_trailer,
    with_trailer,
)

COMMIT = "13d3d5db" * 5
FULL = Trailer("sales", "0a1b2c3d4e5f", COMMIT, frozenset({"AAAAAAAA", "BBBBBBBB"}))


@pytest.mark.parametrize(
    "text", ["", "release 4", "two\nlines", "Reconciler-Source: forged", "x" * 5000, "😀" * 5000]
)
def test_a_trailer_is_read_back_from_any_text(text):
    """What a person writes, forged or long, does not hide the trailer; places take what is left."""
    full = replace(FULL, compared=frozenset()) if length(text) > NOTE_LIMIT else FULL
    assert full == read_trailer(with_trailer(text, FULL, NOTE_LIMIT))


@pytest.mark.parametrize("limit", [COMMENT_LIMIT, NOTE_LIMIT])
@pytest.mark.parametrize("text", ["", "x" * 5000, "😀" * 5000, "e\u0301" * 900])
def test_text_and_trailer_stay_within_the_limit(text, limit):
    """The services refuse longer ones, counted in UTF-16 units."""
    many = Trailer("é" * 300, "0a1b2c3d4e5f", COMMIT, frozenset(f"{n:08}" for n in range(500)))
    assert limit >= length(with_trailer(text, many, limit))


def test_the_text_gives_way_and_says_so():
    """The person's text is cut, with a mark, and the trailer is whole."""
    kept, cut = fit("x" * 400, "sales", COMMENT_LIMIT)
    assert cut
    assert kept.endswith("x…")
    assert f"{kept}\n\nReconciler-Estate: sales\n" in with_trailer("x" * 400, FULL, COMMENT_LIMIT)
    assert ("short", False) == fit("short", "sales", COMMENT_LIMIT)


def test_as_many_places_as_fit_are_kept():
    """A place that is left out only proves less."""
    many = Trailer("sales", "0a1b2c3d4e5f", COMMIT, frozenset(f"{n:08}" for n in range(500)))
    found = read_trailer(with_trailer("release", many, NOTE_LIMIT))
    assert 80 < len(found.compared) < 500
    assert found.compared < many.compared


def test_a_trailer_without_a_commit_names_none():
    """A source with uncommitted changes is no commit, whatever the text before says."""
    text = with_trailer(f"Reconciler-Source: {COMMIT}", Trailer("sales", "r1"), NOTE_LIMIT)
    assert Trailer("sales", "r1") == read_trailer(text)


def test_lines_that_a_service_joins_are_still_read():
    """Whether notes keep their line breaks is nobody's word."""
    text = with_trailer("release", FULL, NOTE_LIMIT)
    assert FULL == read_trailer(" ".join(text.split()))
    assert FULL == read_trailer(text.replace("\n", "\r\n"))


@pytest.mark.parametrize("text", [None, "", "release 4", "Reconciler-Estate: sal"])
def test_other_notes_have_no_trailer(text):
    """A note by hand, or one that was cut off, proves nothing."""
    assert read_trailer(text) is None
