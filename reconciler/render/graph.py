"""The graph of a plan, as Mermaid and as DOT.

Both languages have characters that mean something inside a quoted label, so names are never
written into one as they are: Mermaid gets character codes for all but letters and digits, DOT
gets its two escapes and ``&amp;``, since Graphviz reads character references in labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from reconciler.plan.actions import Action, Verb, verb_of
from reconciler.plan.plan import Plan
from reconciler.render.facts import plan_answer, preview_note, refusal
from reconciler.render.terminal import escape, shorten
from reconciler.render.words import SYMBOLS, phrase

__all__ = ["Graph", "Node", "build_graph", "to_dot", "to_mermaid"]

_MOST_NAME = 120
_BACKSLASH = "\N{REVERSE SOLIDUS OPERATOR}"


@dataclass(frozen=True, slots=True)
class Node:
    """One action; ``key`` is ``a1``, ``a2``, … in plan order and never made of a name."""

    key: str
    wave: int
    verb: Verb
    address: str
    phrase: str
    destructive: bool

    @property
    def symbol(self) -> str:
        """The symbol of its family."""
        return SYMBOLS[self.verb]


@dataclass(frozen=True, slots=True)
class Graph:
    """Actions in wave order, and pairs of keys ``(before, after)``; names are not escaped.

    ``note`` says of a merge preview that it is one.
    """

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]
    answer: str
    note: str = ""

    def waves(self) -> Iterator[tuple[int, tuple[Node, ...]]]:
        """Return the nodes wave by wave."""
        for number, nodes in groupby(self.nodes, key=lambda n: n.wave):
            yield number, tuple(nodes)


def build_graph(plan: Plan) -> Graph:
    """Return the graph of a plan; what an action waits for and the plan lacks is left out."""
    keys = {a.id: f"a{n}" for n, a in enumerate(plan.actions, start=1)}
    return Graph(
        nodes=tuple(
            _node(keys[a.id], a) for a in sorted(plan.actions, key=lambda action: action.wave)
        ),
        edges=tuple(
            (keys[before], keys[a.id])
            for a in plan.actions
            for before in dict.fromkeys(a.depends_on)
            if before in keys
        ),
        answer=plan_answer(plan) or refusal(plan, "by reconciler plan"),
        note=preview_note(plan),
    )


def _node(key: str, action: Action) -> Node:
    return Node(
        key=key,
        wave=action.wave,
        verb=verb_of(action.kind),
        address=action.address,
        phrase=phrase(action),
        destructive=action.destructive,
    )


def to_mermaid(graph: Graph) -> str:
    """Return a Mermaid flowchart, one subgraph per wave; holds no backtick, ever."""
    lines = ["flowchart LR"]
    if graph.note:
        lines.append(f'  preview["{_mermaid(escape(graph.note))}"]')
    for number, nodes in graph.waves():
        lines.append(f'  subgraph w{number}["Wave {number}"]')
        lines += [f'    {node.key}["{_mermaid_label(node)}"]' for node in nodes]
        lines.append("  end")
    lines += [f"  {before} --> {after}" for before, after in graph.edges]
    loses = [node.key for node in graph.nodes if node.destructive]
    if loses:
        lines.append("  classDef destructive stroke:#b00020,stroke-width:3px")
        lines.append(f"  class {','.join(loses)} destructive")
    if not graph.nodes:
        lines.append(f'  none["{_mermaid(graph.answer)}"]')
    return "\n".join(lines) + "\n"


def _mermaid_label(node: Node) -> str:
    name, what = (shorten(escape(text), _MOST_NAME) for text in (node.address, node.phrase))
    # The symbol is coded as well: a label that starts with "+ " or "- " is taken for a list.
    symbol = node.symbol if not node.symbol.isascii() else f"#{ord(node.symbol)};"
    return f"{symbol} {_mermaid(name)}<br/>{_mermaid(what)}"


def _mermaid(text: str) -> str:
    r"""Code every character but letters, digits and three that never mean anything.

    After decoding the codes Mermaid still breaks lines at a written-out ``\n`` and sets what
    stands between ``$$`` as mathematics, so a backslash becomes one of its look-alikes and
    dollars are moved apart. U+FB02 is what Mermaid marks its own codes with. Observed with
    Mermaid 11.
    """
    shown = text.replace("\\", _BACKSLASH).replace("$$", "$ $").replace("$$", "$ $")
    return "".join(
        c if (c.isalnum() and c != "\ufb02") or c in " /," else f"#{ord(c)};" for c in shown
    )


def to_dot(graph: Graph) -> str:
    """Return a Graphviz digraph, one cluster per wave."""
    lines = [
        "digraph plan {",
        "  rankdir=LR;",
        '  node [shape=box, style=rounded, fontname="sans-serif"];',
    ]
    if graph.note:
        lines.append(f'  preview [shape=note, label="{_dot(escape(graph.note))}"];')
    for number, nodes in graph.waves():
        lines.append(f"  subgraph cluster_{number} {{")
        lines.append(f'    label="Wave {number}";')
        lines += [f"    {node.key} [{_dot_attributes(node)}];" for node in nodes]
        lines.append("  }")
    lines += [f"  {before} -> {after};" for before, after in graph.edges]
    if not graph.nodes:
        lines.append(f'  none [label="{_dot(graph.answer)}"];')
    return "\n".join([*lines, "}"]) + "\n"


def _dot_attributes(node: Node) -> str:
    name, what = (shorten(escape(text), _MOST_NAME) for text in (node.address, node.phrase))
    label = f'label="{node.symbol} {_dot(name)}\\n{_dot(what)}"'
    return f"{label}, color=red, penwidth=2" if node.destructive else label


def _dot(text: str) -> str:
    return text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
