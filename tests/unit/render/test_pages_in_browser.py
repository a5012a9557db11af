"""Pages as a browser shows them: filters, names that are tricks, and pixels.

Needs Chromium on the PATH (``scripts/install-test-tools`` gets it on Debian) and is skipped
without it.
"""

import os
import re
import shutil
import struct
import subprocess
import zlib

import pytest

from reconciler.render.as_html import drift_html, plan_html
from reconciler.render.html_page import page
from reconciler.render.html_text import Html
from reconciler.render.terminal import escape

from .hostile import NAMES, full_plan
from .samples import plan, story
from .test_html import Page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on the PATH")
RED = (0xB0, 0x00, 0x20)
"""What the page marks loss with."""


class Browser:
    """A headless browser with a profile of its own and no way to the network."""

    def __init__(self, folder):
        self._folder = folder

    def run(self, text, *flags, fragment=""):
        """Open a page; returns what the browser prints, having checked that it complains of nothing."""
        (self._folder / "page.html").write_text(text, encoding="ascii")
        command = [
            *(BROWSER, "--headless", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--hide-scrollbars", "--force-device-scale-factor=1", "--enable-logging=stderr"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={self._folder / 'me'}"),
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            *(*flags, f"file://{self._folder / 'page.html'}{fragment}"),
        ]
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
        self.console = [line for line in done.stderr.decode().splitlines() if ":CONSOLE" in line]
        return done.stdout.decode()

    def page(self, text, fragment=""):
        """Return the page after its script has run."""
        return Shown(self.run(text, "--dump-dom", fragment=fragment))

    def pixels(self, text, size=(500, 600)):
        """Return the colours of a screenshot, by how often they occur."""
        file = self._folder / "page.png"
        width, height = size
        self.run(text, f"--window-size={width},{height}", f"--screenshot={file}")
        return colours(file.read_bytes(), size)


class Shown(Page):
    """A page, and which of its cards are visible."""

    @property
    def visible(self):
        """Return the addresses of the cards that are not filtered out."""
        cards = [at for at in self.all("article") if "data-group" in at]
        return [at["data-address"] for at in cards if "hidden" not in at]

    @property
    def waves(self):
        """Return how many waves are shown."""
        return sum(at.get("class") == "wave" and "hidden" not in at for at in self.all("section"))


def colours(png, size):
    """Count the colours of an 8-bit RGB or RGBA image."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert (size, 8) == ((width, height), depth)
    step = {2: 3, 6: 4}[kind]
    data, at = b"", 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    raw, stride = zlib.decompress(data), width * step
    before, found = bytearray(stride), {}
    for row in range(height):
        start = row * (stride + 1)
        before = _unfiltered(raw[start], raw[start + 1 : start + 1 + stride], before, step)
        for n in range(0, stride, step):
            colour = tuple(before[n : n + 3])
            found[colour] = found.get(colour, 0) + 1
    return found


def _unfiltered(kind, line, above, step):
    out = bytearray(line)
    for n, value in enumerate(out):
        left = out[n - step] if n >= step else 0
        corner = above[n - step] if n >= step else 0
        guess = {
            0: 0,
            1: left,
            2: above[n],
            3: (left + above[n]) // 2,
            4: min((left, above[n], corner), key=lambda p: abs(left + above[n] - corner - p)),
        }[kind]
        out[n] = (value + guess) & 0xFF
    return out


@pytest.fixture
def browser(tmp_path):
    """A browser with an empty profile."""
    return Browser(tmp_path)


def test_the_script_shows_the_filters_and_all_actions(browser):
    """Loaded under its own policy, without a word on the console."""
    shown = browser.page(plan_html(story()))
    assert [] == browser.console
    assert 10 == len(shown.visible)
    assert 5 == shown.waves
    assert "hidden" not in shown.all("form")[0]
    assert "10 of 10 shown" in shown.text


@pytest.mark.parametrize(
    ("fragment", "expected", "waves"),
    [
        ("#destructive=1", ["workspaces/Sales Test/git", "pipelines/Sales/stages/Test"], 2),
        ("#group=import,deploy", ["repositories/Sales/fabric-sales", "pipelines/Sales/deployments/Development:Test"], 2),
        ("#address=DEV%2Fgit", ["workspaces/Sales Dev/git"] * 2, 2),
        ("#group=create&address=nothing", [], 0),
        ("#a3", None, 5),
    ],
)  # fmt: skip
def test_filters_by_family_address_and_loss_can_be_linked_to(browser, fragment, expected, waves):
    """What does not fit is hidden, and a wave without anything to show as well."""
    shown = browser.page(plan_html(story()), fragment)
    assert [] == browser.console
    assert waves == shown.waves
    assert (expected if expected is not None else shown.visible) == shown.visible
    assert f"{len(shown.visible)} of 10 shown" in shown.text


def test_drift_is_filtered_by_class(browser):
    """The same script serves both pages."""
    shown = browser.page(drift_html(story()), "#group=local")
    assert ["workspaces/Sales Test/git"] == shown.visible
    assert [] == browser.console


def test_no_name_does_anything_in_a_browser(browser):
    """All tricks at once: each is text, nothing ran, nothing was asked for or refused."""
    name = " ".join(NAMES)
    shown = browser.page(plan_html(full_plan(name)))
    assert [] == browser.console
    assert escape(name) in shown.text
    assert 1 == len(shown.all("script"))
    assert [] == shown.all("img")


def test_a_script_that_got_in_would_not_run(browser):
    """The policy is a second wall, and the browser says that it stands."""
    foreign = Html("<p id='p'>calm</p><script>document.getElementById('p').id = 'owned'</script>")
    shown = browser.page(page("t", foreign))
    assert ["p"] == [at.get("id") for at in shown.all("p")]
    assert 1 == len(browser.console)
    assert "Content Security Policy" in re.sub(r"\s+", " ", browser.console[0])


def test_loss_is_red_on_the_screen(browser):
    """Colours are part of what is said: a plan that loses something shows it, another does not."""
    calm = browser.pixels(plan_html(plan()))
    loud = browser.pixels(plan_html(story()))
    assert RED not in calm
    assert loud[RED] > 100
    assert len(loud) > 50
