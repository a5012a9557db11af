"""Waves, closures and cycles."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import DependencyCycle
from reconciler.plan.graph import closure, topological_waves


@st.composite
def graphs(draw):
    """Draw ids with edges to earlier ones only, in any order of the ids."""
    count = draw(st.integers(0, 12))
    edges = {
        str(n): draw(st.lists(st.integers(0, n - 1).map(str), max_size=4)) if n else []
        for n in range(count)
    }
    return draw(st.permutations(list(edges))), edges


@given(graphs())
def test_waves_hold_every_id_once_as_early_as_its_edges_let_it(graph):
    """Each waits for an id of the wave before, and the order within a wave is the given one."""
    ids, edges = graph
    waves = topological_waves(ids, edges)
    number = {i: n for n, wave in enumerate(waves) for i in wave}
    assert sorted(ids) == sorted(i for wave in waves for i in wave)
    for i in ids:
        assert number[i] == max((number[b] + 1 for b in edges[i]), default=0)
    for wave in waves:
        assert [i for i in ids if i in wave] == wave


@given(graphs())
def test_closure_is_what_can_be_reached(graph):
    """Adding what is reached reaches nothing more."""
    ids, edges = graph
    for start in ids:
        found = closure([start], edges)
        assert found == closure(found, edges)
        assert found == {start}.union(*(closure([b], edges) for b in edges[start]))


def test_cycle_is_walked_in_the_message():
    """A person sees the whole circle, and only the circle."""
    edges = {"a": ["c"], "b": ["a"], "c": ["b"], "free": [], "behind": ["a"]}
    with pytest.raises(DependencyCycle) as caught:
        topological_waves(["behind", "free", "a", "b", "c"], edges)
    walk = caught.value.message.partition(": ")[2].split(" -> ")
    assert walk[0] == walk[-1]
    assert ["a", "b", "c"] == sorted(walk[1:])
    assert "dependsOn" in caught.value.remedy


def test_waves_of_100_000_actions_take_seconds_at_most():
    """Linear in actions and edges; the bound is generous for busy machines."""
    ids = [str(n) for n in range(100_000)]
    edges = {i: [ids[n - 1], ids[n // 2]] if n else [] for n, i in enumerate(ids)}
    began = time.process_time()
    assert 100_000 == len(topological_waves(ids, edges))
    assert time.process_time() - began < 5
