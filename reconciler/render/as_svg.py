"""The graph of a plan as inline SVG: a column per wave, an arrow per dependency."""

from __future__ import annotations

from reconciler.render.graph import Graph, Node
from reconciler.render.html_text import Html, element
from reconciler.render.terminal import escape, fit_columns

__all__ = ["MOST_EDGES", "MOST_NODES", "to_svg"]

MOST_NODES, MOST_EDGES = 200, 600
"""A larger picture helps nobody; the page then lists what each action waits for, as always."""

_WIDTH, _HEIGHT = 300, 46
_GAP_X, _GAP_Y = 70, 14
_TOP, _MARGIN = 30, 8
_LINE_COLUMNS = 40


def to_svg(graph: Graph) -> Html:
    """Return the picture; every box links to the action of the same key on the page."""
    boxes: list[Html] = []
    places: dict[str, tuple[int, int]] = {}
    width = height = 0
    for column, (number, nodes) in enumerate(graph.waves()):
        x = _MARGIN + column * (_WIDTH + _GAP_X)
        boxes.append(element("text", f"Wave {number}", x=str(x), y="18", class_="wave"))
        for row, node in enumerate(nodes):
            y = _TOP + row * (_HEIGHT + _GAP_Y)
            places[node.key] = (x, y)
            boxes.append(_box(node, x, y))
            height = max(height, y + _HEIGHT + _MARGIN)
        width = x + _WIDTH + _MARGIN
    arrows = [_arrow(places[before], places[after]) for before, after in graph.edges]
    tip = element("path", d="M0 0L8 4L0 8z")
    marker = element(
        "marker",
        tip,
        id="tip",
        markerWidth="8",
        markerHeight="8",
        refX="8",
        refY="4",
        orient="auto",
    )
    return element(
        "svg",
        element("defs", marker),
        *arrows,
        *boxes,
        width=str(width),
        height=str(height),
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label="What waits for what, wave by wave",
    )


def _box(node: Node, x: int, y: int) -> Html:
    kind = f"box {node.verb.value}" + (" destructive" if node.destructive else "")
    name = fit_columns(f"{node.symbol} {escape(node.address)}", _LINE_COLUMNS)
    what = fit_columns(escape(node.phrase), _LINE_COLUMNS)
    return element(
        "a",
        element("title", f"{node.address}: {node.phrase}"),
        element(
            "rect", x=str(x), y=str(y), width=str(_WIDTH), height=str(_HEIGHT), rx="6", class_=kind
        ),
        element("text", name, x=str(x + 8), y=str(y + 19), class_="name"),
        element("text", what, x=str(x + 8), y=str(y + 36), class_="what"),
        href=f"#{node.key}",
    )


def _arrow(before: tuple[int, int], after: tuple[int, int]) -> Html:
    x1, y1 = before[0] + _WIDTH, before[1] + _HEIGHT // 2
    x2, y2 = after[0], after[1] + _HEIGHT // 2
    bend = _GAP_X * 2 // 3
    return element(
        "path",
        d=f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}",
        class_="edge",
        marker_end="url(#tip)",
    )
