"""The frame of an HTML report: style, the filter script, and a policy that allows nothing else.

The page is one file that asks no other server for anything, and its Content-Security-Policy says
so: only this style and this script, known by their hashes, may take effect. A name that slipped
through escaping could therefore still not run. Everything is there without the script; it only
adds filters. The text is pure ASCII, so that no terminal's or server's encoding can spoil it.
"""

from __future__ import annotations

import base64
import hashlib

from reconciler.render.html_text import Html, element, html

__all__ = ["page"]

_STYLE = """
:root{color-scheme:light dark;--text:#1b1f24;--dim:#57606a;--back:#fff;--soft:#f6f8fa;
--line:#d0d7de;--red:#b00020;--green:#1a7f37;--yellow:#9a6700;--blue:#0550ae}
@media(prefers-color-scheme:dark){:root{--text:#e6edf3;--dim:#9198a1;--back:#0d1117;--soft:#161b22;
--line:#30363d;--red:#ff7b72;--green:#3fb950;--yellow:#d29922;--blue:#79c0ff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:75rem;padding:1.5rem;font:15px/1.5 system-ui,sans-serif;
color:var(--text);background:var(--back);overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:0 0 .5rem}
h2{font-size:1.1rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}
code,.name,.what,pre{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.92em}
.answer{font-size:1.1rem;font-weight:600;margin:.25rem 0}
.preview{border-left:4px solid var(--yellow);padding:.1rem .75rem;margin:.25rem 0}
.refused,.error .label{color:var(--red)}
.warning .label{color:var(--yellow)}
.counts{display:flex;flex-wrap:wrap;gap:.5rem;list-style:none;padding:0;margin:.75rem 0}
.counts li{background:var(--soft);border:1px solid var(--line);border-radius:6px;
padding:.1rem .6rem}
.counts b{font-variant-numeric:tabular-nums}
.counts .loss{border-color:var(--red);color:var(--red)}
form{display:flex;flex-wrap:wrap;gap:.25rem 1rem;align-items:center;background:var(--soft);
border:1px solid var(--line);border-radius:6px;padding:.5rem .75rem;margin:1rem 0;
position:sticky;top:0}
form input[type=search]{font:inherit;padding:.1rem .4rem;width:16rem}
[hidden]{display:none!important}
.card{border:1px solid var(--line);border-left:4px solid var(--line);border-radius:6px;
padding:.5rem .75rem;margin:.5rem 0}
.card:target{background:var(--soft)}
.card.create{border-left-color:var(--green)}
.card.change{border-left-color:var(--yellow)}
.card.update,.card.commit,.card.deploy,.card.import{border-left-color:var(--blue)}
.card.destroy,.card.destructive,.card.error{border-left-color:var(--red)}
.card p{margin:.1rem 0}
.why,.waits,.place,footer{color:var(--dim)}
.mark{background:var(--red);color:var(--back);border-radius:4px;padding:0 .4rem;font-size:.8em;
font-weight:600}
a{color:var(--blue)}
details{margin:.25rem 0}
summary{cursor:pointer;color:var(--blue)}
table{border-collapse:collapse;margin:.25rem 0}
td,th{text-align:left;padding:.1rem .75rem .1rem 0;vertical-align:top}
tr.add td:first-child{color:var(--green)}
tr.del td:first-child{color:var(--red)}
.graph{overflow-x:auto;border:1px solid var(--line);border-radius:6px;background:var(--soft)}
svg{display:block}
svg text{fill:var(--text);font-size:12px}
svg .wave{font-weight:600;font-family:inherit}
svg .name,svg .what{font-size:11.5px}
svg .what{fill:var(--dim)}
.box{fill:var(--back);stroke:var(--line)}
.box.create{stroke:var(--green)}
.box.change{stroke:var(--yellow)}
.box.update,.box.commit,.box.deploy,.box.import{stroke:var(--blue)}
.box.destroy{stroke:var(--red)}
.box.destructive{stroke:var(--red);stroke-width:3}
.edge{fill:none;stroke:var(--dim)}
marker path{fill:var(--dim)}
footer{margin-top:2rem;border-top:1px solid var(--line);padding-top:.5rem;font-size:.9em}
"""

# The filters stand in the address after #, so that a filtered page can be linked to.
_SCRIPT = """
(function () {
  "use strict";
  var form = document.getElementById("filters");
  if (!form) { return; }
  var cards = Array.prototype.slice.call(document.querySelectorAll("[data-group]"));
  var groups = Array.prototype.slice.call(form.querySelectorAll("[name=group]"));
  var address = form.querySelector("[name=address]");
  var destructive = form.querySelector("[name=destructive]");
  var shown = document.getElementById("shown");

  function read() {
    if (location.hash.indexOf("=") < 0) { return; }
    var wanted = new URLSearchParams(location.hash.slice(1));
    var listed = wanted.get("group");
    groups.forEach(function (box) {
      box.checked = listed === null || listed.split(",").indexOf(box.value) >= 0;
    });
    address.value = wanted.get("address") || "";
    if (destructive) { destructive.checked = wanted.get("destructive") === "1"; }
  }

  function write(on) {
    var wanted = new URLSearchParams();
    if (on.length < groups.length) { wanted.set("group", on.join(",")); }
    if (address.value) { wanted.set("address", address.value); }
    if (destructive && destructive.checked) { wanted.set("destructive", "1"); }
    var text = wanted.toString();
    history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
  }

  function apply() {
    var on = groups.filter(function (box) { return box.checked; })
      .map(function (box) { return box.value; });
    var text = address.value.toLowerCase();
    var count = 0;
    cards.forEach(function (card) {
      var fits = on.indexOf(card.dataset.group) >= 0 &&
        card.dataset.address.toLowerCase().indexOf(text) >= 0 &&
        (!destructive || !destructive.checked || card.dataset.destructive === "1");
      card.hidden = !fits;
      if (fits) { count += 1; }
    });
    document.querySelectorAll("section.wave").forEach(function (wave) {
      wave.hidden = !wave.querySelector("[data-group]:not([hidden])");
    });
    shown.textContent = count + " of " + cards.length + " shown";
    return on;
  }

  read();
  apply();
  form.hidden = false;
  form.addEventListener("input", function () { write(apply()); });
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  window.addEventListener("hashchange", function () { read(); apply(); });
}());
"""


def page(title: str, *body: str) -> str:
    """Return a whole document.

    Args:
        title: shown in the tab.
        body: its content; what is not markup is escaped.
    """
    policy = (
        f"default-src 'none'; style-src '{_hash(_STYLE)}'; script-src '{_hash(_SCRIPT)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        Html('<meta charset="utf-8">'),
        # A policy holds for what comes after it.
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        Html(f"<style>{_STYLE}</style>"),
    )
    content = "\n".join(html(part) for part in body)
    text = (
        f'<!DOCTYPE html>\n<html lang="en">\n{head}\n<body>\n{content}\n'
        f"<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("ascii")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
