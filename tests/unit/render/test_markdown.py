"""Plans, drift and findings as comments: order, size, and names that must stay names."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.plan import actions as a
from reconciler.plan.plan import DriftEntry
from reconciler.render.as_markdown import (
    LIMIT,
    drift_markdown,
    findings_markdown,
    plan_markdown,
)
from reconciler.render.fit import Part, Piece, fit, size_of
from reconciler.render.markdown_text import code, prose
from reconciler.render.terminal import escape, shorten

from . import golden
from .hostile import NAMES, full_plan, texts
from .samples import DEV, action, error, plan, story

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TAGS = {"h2", "h3", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"} | {
    "code", "details", "summary", "br", "pre", "blockquote",
}  # fmt: skip
# What hosts act on in finished text: mentions, references, links, commits, emoji, mathematics.
ACTED_ON = re.compile(
    r"@|#\d|://|www\.|mailto:|\b[0-9a-f]{7,40}\b|\b(?:GH|ABC)-\d|:\w+:|\$", re.IGNORECASE
)


class Page(HTMLParser):
    """The tags of a page, and its text outside and inside code."""

    def __init__(self, text):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.outside = ""
        self.inside: list[str] = []
        self._open = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Note a tag."""
        self.tags.append(tag)
        self.outside += "\n"  # what a tag separates is not one word
        self.attributes |= {name for name, _ in attrs}
        if tag in {"code", "pre"}:
            self._open += 1
            self.inside.append("")

    def handle_endtag(self, tag):
        """Note the end of code."""
        self._open -= tag in {"code", "pre"}

    def handle_data(self, data):
        """Note text."""
        if self._open:
            self.inside[-1] += data
        else:
            self.outside += data

    def handle_comment(self, data):
        """Refuse comments: none of them is ours."""
        raise AssertionError(data)


def read(markdown):
    """Return what a Markdown reader makes of a comment, which holds nothing unexpected."""
    page = Page(PARSER.render(markdown))
    assert set() == set(page.tags) - TAGS
    assert set() == page.attributes - {"class", "style"}
    assert page.tags.count("table") <= 1
    assert page.tags.count("td") in (0, 7)
    assert page.tags.count("details") == page.tags.count("summary")
    assert None is ACTED_ON.search(page.outside)
    return page


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plan", plan_markdown(story())),
        ("plan-empty", plan_markdown(plan())),
        ("plan-errors", plan_markdown(plan(diagnostics=(error(detail="First.\nSecond."),)))),
        ("drift", drift_markdown(story())),
        ("drift-none", drift_markdown(plan())),
    ],
)
def test_comments_read_as_agreed(name, text):
    """Layout, order of sections and wording change only on purpose."""
    read(text)
    golden.check(f"markdown-{name}.md", text)


def test_findings_of_a_spec_read_as_agreed():
    """Errors, then warnings, each with its place; a valid spec is one sentence."""
    warning = Diagnostic(Severity.WARNING, "w", "Hm.", address="workspaces/A")
    wrong = Diagnostic(
        Severity.ERROR, "e", "No.", "Why.\nWhat to do.", span=SourceSpan("a.yaml", 1)
    )
    golden.check("markdown-findings.md", findings_markdown([warning, wrong]))
    valid = findings_markdown([warning], "sales", 2)
    assert "**The spec `sales` is valid (2 files).**" in valid
    assert "- **warning:** Hm. (`workspaces/A`)" in valid


def test_the_most_important_comes_first():
    """The answer, errors, what may be lost, what is unknown, and only then the waves."""
    text = plan_markdown(story().model_copy(update={"diagnostics": (error(),)}))
    order = ["**Plan: ", "**This plan cannot", "### Errors", "### Destructive", "### Could not"]
    places = [text.index(part) for part in [*order, "### Wave 1", "### Held", "### Graph"]]
    assert sorted(places) == places


@settings(max_examples=300, deadline=None)
@given(text=texts, value=st.one_of(st.none(), st.text(), st.lists(texts, max_size=2)))
def test_no_name_becomes_markup_a_mention_or_a_link(text, value):
    """Whatever stands in a name or a sentence, a reader shows it and nothing else happens."""
    whole = full_plan(text, value=value)
    for markdown in (plan_markdown(whole), drift_markdown(whole)):
        assert size_of(markdown) < LIMIT
        page = read(markdown)
        shown = " ".join(shorten(escape(f"workspaces/0{text}"), 300).split())
        if markdown.startswith("## Plan"):
            assert shown in {" ".join(inner.split()) for inner in page.inside}
    found = [Diagnostic(Severity.ERROR, "c", text, text, path=text, span=SourceSpan(text, 1))]
    read(findings_markdown(found))


@pytest.mark.parametrize("name", NAMES)
def test_known_tricks_stay_text(name):
    """Each trick is tried by name, not only by chance."""
    page = read(plan_markdown(full_plan(name)))
    assert any(escape(name).strip() in inner for inner in page.inside)


@settings(deadline=None)
@given(texts)
def test_code_gives_a_name_back_as_it_is(text):
    """A code span holds exactly the escaped name, but for spaces that collapse."""
    page = Page(PARSER.render(f"x {code(text, 10_000)} y"))
    shown = escape(text)
    expected = [" ".join(shown.split())] if shown.strip() else []
    assert expected == [" ".join(inner.split()) for inner in page.inside]


@settings(deadline=None)
@given(texts)
def test_prose_keeps_every_word(text):
    """Wrapping risky words loses none."""
    words = " ".join(text.split())
    page = HTMLWords(PARSER.render(f"x {prose(text, 10_000)} y"))
    assert "".join(f"x{escape(words)}y".split()) == "".join(page.text.split())


class HTMLWords(HTMLParser):
    """All text of a page, in order."""

    def __init__(self, text):
        super().__init__()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_data(self, data):
        """Note text."""
        self.text += data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("main is at 1f2e3d4c, the workspace at 0a1b2c3d", "main is at `1f2e3d4c`, the workspace at `0a1b2c3d`"),
        ("no workspace Sales Dev is visible", "no workspace Sales Dev is visible"),
        ("ask @team or see #12.", "ask `@team` or see `#12.`"),
        ("It's 1,204 items (3.5 %)?", "It's 1,204 items (3.5 `%)?`"),
        ("well-known ABC-12", "well-known `ABC-12`"),
    ],
)  # fmt: skip
def test_sentences_stay_readable(text, expected):
    """Only words that could mean something become code."""
    assert expected == prose(text)


def test_the_header_of_the_counts_has_a_column_per_family():
    """The one table is ours: words and numbers, no names."""
    text = plan_markdown(story())
    header, rule, row = (line for line in text.splitlines() if line.startswith("|"))
    assert 7 == len(a.Verb) == header.count("|") - 1 == rule.count("|") - 1
    assert "| 4 | 1 | 1 | 1 | 1 | 1 | 1 |" == row


def big(times, **fields):
    """Return a plan of many actions, the last of them destructive."""
    items = tuple(a.ItemChange(type="Notebook", name=f"n{n}", change="Added") for n in range(50))
    actions = [action("git.update", f"workspaces/W{n}/git", items=items) for n in range(times)]
    last = action("workspace.delete", "workspaces/Precious", wave=9, destructive=True)
    return plan(*actions, last, **fields)


@pytest.mark.parametrize("times", [50, 500, 5_000])
def test_a_plan_of_any_size_fits_and_what_is_left_out_is_counted(times):
    """The destructive action and the error survive; actions and items are shown or counted."""
    text = plan_markdown(big(times, diagnostics=(error(),)))
    assert LIMIT - 10_000 < size_of(text) < LIMIT
    read(text)
    assert "`workspaces/Precious`: delete the workspace" in text
    assert "unpaired_name_clash" in text
    note = next(line for line in text.splitlines() if line.startswith("> Left out"))

    def left_out(noun):
        found = re.search(rf"([\d,]+) {noun}", note)
        return int(found[1].replace(",", "")) if found else 0

    shown = len(re.findall(r"^- `(?:↻|-)` ", text, re.MULTILINE))
    assert times + 1 == shown + left_out("action")
    listed = len(re.findall(r"^  - `\+` Notebook", text, re.MULTILINE))
    assert times * 50 == listed + left_out("item")
    assert "1 graph" in note


def test_endless_names_fit_too():
    """One name must not push everything else out."""
    text = plan_markdown(full_plan("\N{PARTY POPPER}`" * 50_000, times=3))
    assert size_of(text) < LIMIT
    assert "### Errors" in text


def test_many_errors_leave_no_room_for_less():
    """With thousands of errors, errors are what is shown; the rest is counted."""
    found = tuple(error(f"e{n}") for n in range(5_000))
    text = plan_markdown(big(10, diagnostics=found))
    assert size_of(text) < LIMIT
    assert "- **error:** e0 happened." in text
    assert re.search(r"> Left out .*[\d,]+ errors, ", text)


def test_a_small_plan_leaves_nothing_out():
    """The note is there only when it has to be."""
    assert "Left out" not in plan_markdown(story())


def test_findings_the_plan_does_not_hold_are_in_the_comment():
    """A comment has no stderr, so the spec's warnings stand in it."""
    fresh = [Diagnostic(Severity.WARNING, "w", "Deprecated.", address=DEV)]
    assert "Deprecated." in plan_markdown(plan(), fresh)
    entry = DriftEntry(address=DEV, cause="field", text="t")
    assert "Deprecated." in drift_markdown(plan(drift=(entry,)), fresh)


def test_conflicts_and_deletions_lead_a_long_list_of_items():
    """What is cut from a list is what matters least, and it is counted."""
    added = tuple(a.ItemChange(type="T", name=f"n{n}", change="Added") for n in range(150))
    gone = a.ItemChange(type="T", name="gone", change="Deleted")
    both = a.ItemChange(type="T", name="both", change="Modified", conflict="Conflict")
    text = plan_markdown(plan(action("git.update", items=(*added, gone, both))))
    rows = [line for line in text.splitlines() if line.startswith("  - ")]
    assert ["`both`", "`gone`", "`n0`"] == [row.split(" T ")[1].split(" ")[0] for row in rows[:3]]
    assert "  - and 52 more" == rows[-1]


def test_fit_takes_the_important_and_counts_the_rest():
    """Rank decides, order in the document stays, heads come only with their pieces."""
    parts = (
        Part("A:", (Piece("aaaa", 2, (("x", 1),)), Piece("bb", 1), Piece("c", 3, under=True))),
        Part("B:", (Piece("dd", 1, (("y", 2),)), Piece("e", 0, (("z", 1),), allowed=False))),
        Part("C:", (Piece("f" * 99, 0, (("y", 5),)),), "!"),
    )
    assert ("A:bbcB:dd", {"x": 1, "y": 5, "z": 1}) == fit(parts, 9)
    assert "A:aaaabbcB:dd" == fit(parts, 50)[0]
    assert ("", {}) == fit((), 5)


def test_what_belongs_to_a_piece_left_out_is_left_out():
    """Items of an action nobody sees would hang in the air."""
    part = Part("", (Piece("long text", 0, (("action", 1),)), Piece("i", 0, (("item", 3),), True)))
    assert ("", {"action": 1, "item": 3}) == fit((part,), 5)
