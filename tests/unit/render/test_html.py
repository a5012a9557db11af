"""Pages: one file, everything in it, and nothing in it that a name brought along."""

import base64
import hashlib
import re
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.plan import actions as a
from reconciler.render.as_html import drift_html, findings_html, plan_html
from reconciler.render.as_svg import MOST_NODES
from reconciler.render.html_text import Html, element, html
from reconciler.render.terminal import columns, escape, fit_columns

from .hostile import NAMES, full_plan, texts
from .samples import DEV, action, error, plan, story

VOID = {"meta", "input"}
ADDRESSES = {"href", "src", "action", "srcset", "data", "xlink:href", "formaction"}


class Page(HTMLParser):
    """Elements, their attributes, and the text of a page; fails on tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert [] == self._open

    def handle_starttag(self, tag, attrs):
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        self.text += "\n"
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        """Check that it is the one that is open."""
        assert tag == self._open.pop()

    def handle_data(self, data):
        """Note text, but for style and script."""
        if self._open and self._open[-1] not in {"style", "script"}:
            self.text += data

    def all(self, tag):
        """Return the attributes of the elements of this name."""
        return [attributes for name, attributes in self.elements if name == tag]


def shape(page):
    """Return the names of elements and attributes in order: what a name must not change."""
    return [(tag, sorted(attributes)) for tag, attributes in page.elements]


@settings(max_examples=150, deadline=None)
@given(texts)
def test_no_name_changes_the_structure_of_a_page(text):
    """A page full of tricks has the elements and attributes of a page full of x, no others."""
    if len(text.split()) == 0 or len(text.splitlines()) != 1:
        return
    for write in (plan_html, drift_html):
        page, plain = Page(write(full_plan(text))), Page(write(full_plan("x")))
        assert shape(plain) == shape(page)
        assert escape(text) in page.text


@pytest.mark.parametrize("name", NAMES)
def test_known_tricks_stay_text(name):
    """Each trick is tried by name, also those with several lines."""
    page = Page(plan_html(full_plan(name)))
    assert escape(name) in page.text
    assert 1 == len(page.all("script")) == len(page.all("style"))
    assert {} == {k: v for _, at in page.elements for k, v in at.items() if k.startswith("on")}


def test_a_page_asks_nobody_for_anything():
    """No address but places on the page itself; the policy says the same."""
    for text in (plan_html(story()), drift_html(story())):
        page = Page(text)
        named = {v for _, at in page.elements for k, v in at.items() if k in ADDRESSES}
        assert all(value.startswith("#") for value in named)
        assert "url(" not in text.replace("url(#tip)", "")
        policy = page.all("meta")[1]["content"]
        assert policy.startswith("default-src 'none'; ")
        for kind in ("style", "script"):
            body = re.search(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL)[1]
            digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
            assert f"{kind}-src 'sha256-{digest}'" in policy


def test_a_page_is_ascii():
    """No wrong charset and no terminal can spoil it."""
    text = plan_html(full_plan("日本 ↻ é"))
    assert text.isascii()
    assert "日本 ↻ é" in unescape(text)


def test_a_page_of_a_plan_has_every_section():
    """Waves, items, fields, findings, unknown, held, left alone, graph."""
    page = Page(plan_html(story()))
    sections = ["Could not be read", "Wave 1", "Wave 5", "Warnings", "Differences", "Held", "Graph"]
    places = [page.text.index(f"\n{title}") for title in sections]
    assert sorted(places) == places
    assert "Notebook 22" in page.text
    assert "(sensitive)" in page.text
    assert "Plan: 4 to create" in page.text
    assert 10 == sum("data-group" in at for at in page.all("article"))
    assert 2 == sum(at.get("data-destructive") == "1" for at in page.all("article"))


def test_links_lead_to_actions_that_are_there():
    """What an action waits for, and every box of the graph, can be followed."""
    page = Page(plan_html(story()))
    keys = {at["id"] for at in page.all("article") if "id" in at}
    links = [at["href"].removeprefix("#") for at in page.all("a")]
    assert keys == {f"a{n}" for n in range(1, 11)}
    assert set(links) <= keys
    assert 10 + 7 == len(links)


def test_without_its_script_a_page_shows_everything():
    """Nothing but the filters is hidden, and details can be opened without a script."""
    hidden = [tag for tag, at in Page(plan_html(story())).elements if "hidden" in at]
    assert ["form"] == hidden


def test_what_is_lost_is_not_folded():
    """The items of a destructive action are open from the start."""
    page = Page(plan_html(story()))
    assert 2 == sum("open" in at for at in page.all("details"))


def test_drift_has_filters_by_class():
    """Each difference carries its class and address."""
    page = Page(drift_html(story()))
    boxes = [at["value"] for at in page.all("input") if at.get("name") == "group"]
    assert ["field", "held", "local"] == boxes
    assert 3 == sum("data-group" in at for at in page.all("article"))
    assert "reported only" in page.text


def test_a_plan_with_errors_says_that_it_cannot_be_applied():
    """Errors stand before everything else, findings of the spec among them."""
    warning = Diagnostic(Severity.WARNING, "w", "Deprecated.", address=DEV)
    text = Page(plan_html(plan(diagnostics=(error(),)), [warning])).text
    assert "This plan cannot be applied: 1 error is reported below." in text
    assert text.index("unpaired_name_clash happened.") < text.index("Deprecated.")


def test_an_invalid_spec_is_a_page_of_findings():
    """CI that publishes pages publishes this one as well."""
    text = Page(findings_html([Diagnostic(Severity.ERROR, "e", "No <b>.", "Why.")])).text
    assert "1 error." in text
    assert "No <b>." in text


def test_too_large_a_graph_is_named_instead_of_drawn():
    """A picture of a thousand boxes helps nobody."""
    many = [action("workspace.create", f"workspaces/{n}") for n in range(MOST_NODES + 1)]
    page = Page(plan_html(plan(*many)))
    assert [] == page.all("svg")
    assert "201 actions and 0 edges are too many for a picture" in page.text
    assert 1 == len(Page(plan_html(plan(*many[:-1]))).all("svg"))


def test_long_values_are_shown_almost_whole():
    """A page has room for what a terminal cuts."""
    change = a.FieldChange(path="description", after="x" * 1_000)
    page = Page(plan_html(plan(action("workspace.create", changes=(change,)))))
    assert "x" * 1_000 in page.text


def test_elements_escape_all_that_is_no_markup():
    """Markup is never escaped twice, text always once."""
    inner = element("b", "<i>", title='"&')
    assert '<b title="&quot;&amp;">&lt;i&gt;</b>' == inner
    assert f"<p>{inner}&amp;</p>" == element("p", inner, "&")
    assert "<input checked>" == element("input", checked=True, disabled=False)
    assert inner is html(inner)
    assert isinstance(html("x"), Html)


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語", 6, "日本語"), ("日本語", 5, "日本…"), ("x", 0, "")],
)  # fmt: skip
def test_text_is_cut_by_the_cells_it_takes(text, limit, expected):
    """Wide characters take two cells of a terminal or a box."""
    assert expected == fit_columns(text, limit)
    assert columns(expected) <= limit
