"""Graphs: waves, edges, and labels that stay labels."""

import re

import pytest
from hypothesis import given, settings

from reconciler.render.graph import build_graph, to_dot, to_mermaid
from reconciler.render.terminal import escape

from . import golden
from .hostile import NAMES, full_plan, texts
from .samples import DEV, action, error, plan, story

# The whole of what is written, so that nothing else can be: our words, keys, and coded labels.
MERMAID = re.compile(
    r"flowchart LR\n"
    r"(  subgraph w\d+\[\"Wave \d+\"\]\n"
    r"(    a\d+\[\"(?:#\d+;|[↻↑⇒⇓]) (?:#\d+;|[^\W_]|[ /,])*<br/>(?:#\d+;|[^\W_]|[ /,])*\"\]\n)+"
    r"  end\n)*"
    r"(  a\d+ --> a\d+\n)*"
    r"(  classDef destructive [^\n]*\n  class a\d+(,a\d+)* destructive\n)?"
    r"(  none\[\"(?:#\d+;|[^\W_]|[ /,])*\"\]\n)?"
)
LABEL = r"\"(?:[^\"\\\n]|\\[\"\\n])*\""
DOT = re.compile(
    r"digraph plan \{\n  rankdir=LR;\n  node \[[^\n]*\];\n"
    r"(  subgraph cluster_\d+ \{\n    label=\"Wave \d+\";\n"
    rf"(    a\d+ \[label={LABEL}(, color=red, penwidth=2)?\];\n)+  \}}\n)*"
    r"(  a\d+ -> a\d+;\n)*"
    rf"(  none \[label={LABEL}\];\n)?\}}\n"
)


@pytest.mark.parametrize(("name", "sample"), [("story", story()), ("empty", plan())])
def test_graphs_read_as_agreed(name, sample):
    """Waves as groups, edges between them, destruction marked; nothing to do is one box."""
    graph = build_graph(sample)
    golden.check(f"graph-{name}.mmd", to_mermaid(graph))
    golden.check(f"graph-{name}.dot", to_dot(graph))


@settings(max_examples=300, deadline=None)
@given(texts)
def test_no_name_leaves_its_label(text):
    """Whatever a thing is called, the graph has its nodes and edges and nothing more."""
    graph = build_graph(full_plan(text, times=3))
    assert MERMAID.fullmatch(to_mermaid(graph))
    assert DOT.fullmatch(to_dot(graph))
    assert 3 == len(graph.nodes)
    assert 2 == len(graph.edges)


@pytest.mark.parametrize("name", NAMES)
def test_labels_say_the_name_again_once_they_are_read(name):
    """Codes and escapes are undone by the reader; only backslashes and dollars look different."""
    graph = build_graph(plan(action("workspace.create", name)))
    (line,) = (line for line in to_mermaid(graph).splitlines() if "[" in line and "<br/>" in line)
    label = line.partition('"')[2].partition("<br/>")[0]
    read = re.sub(r"#(\d+);", lambda code: chr(int(code[1])), label)
    assert (
        f"+ {escape(name)}".replace("\\", "\N{REVERSE SOLIDUS OPERATOR}").replace("$$", "$ $")
        == read
    )
    (line,) = (line for line in to_dot(graph).splitlines() if "[label=" in line)
    label = line.partition('="')[2].rpartition("\\n")[0]
    read = re.sub(r"\\(.)", r"\1", label).replace("&amp;", "&")
    assert f"+ {escape(name)}" == read


def test_edges_to_what_is_not_in_the_plan_are_left_out():
    """A plan of a part may wait for what was excluded."""
    one = action("git.update", depends_on=("gone", "gone"))
    assert () == build_graph(plan(one)).edges


def test_a_plan_without_actions_says_why():
    """Nothing to do, and nothing possible, are not the same picture."""
    refused = to_mermaid(build_graph(plan(diagnostics=(error(),))))
    assert "This plan cannot be applied" in refused
    assert "The estate matches the spec" in to_mermaid(build_graph(plan()))


def test_very_long_names_are_cut():
    """A label of thousands of characters would hide all others."""
    text = to_mermaid(build_graph(plan(action("workspace.create", f"{DEV}{'x' * 5_000}"))))
    assert len(text) < 400
