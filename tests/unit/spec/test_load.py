"""From files to an estate: which files are read, how they merge, and what comes out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from reconciler.errors import SpecError
from reconciler.spec.load import digest_of, estate_from_resolved, load_spec

from .helpers import HEADER, brief, full, load_text


def write(folder, **files: str):
    """Write files by name and return the folder."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def test_a_full_spec_loads_without_a_finding(tmp_path):
    """The spec that uses most fields is valid and comes back typed."""
    result = load_text(tmp_path, yaml.safe_dump(full()))

    assert () == result.diagnostics
    loaded = result.require()
    assert "contoso" == loaded.workspaces[0].git.organization
    assert "release dev" == loaded.pipelines[0].deployments[0].note
    assert "SOURCE_PAT" == loaded.azure_devops.repositories[0].import_.credentials.password.env


def test_the_resolved_spec_holds_values_and_no_secret(tmp_path, monkeypatch):
    """A plan may embed it: variables are put in, secrets stay references."""
    monkeypatch.setenv("SOURCE_PAT", "hunter2")
    result = load_text(tmp_path, yaml.safe_dump(full()), variables={"env": "prod"})
    text = json.dumps(result.resolved)

    assert "release prod" in text
    assert "${env.SOURCE_PAT}" in text
    assert "hunter2" not in text


def test_the_estate_comes_back_from_the_resolved_spec(tmp_path):
    """What a plan file embeds rebuilds exactly the estate that was planned."""
    result = load_text(tmp_path, yaml.safe_dump(full()))

    assert result.estate == estate_from_resolved(json.loads(json.dumps(result.resolved)))
    assert result.estate == estate_from_resolved(result.estate.to_json())


def test_an_embedded_spec_that_was_damaged_is_refused_without_its_values():
    """A plan file that was edited gives a clean error that repeats nothing."""
    data = full()
    data["connections"][0]["create"]["credentials"]["servicePrincipal"]["secret"] = "hunter2"
    with pytest.raises(SpecError) as caught:
        estate_from_resolved(data)

    assert ["secret_literal"] == [d.code for d in caught.value.diagnostics]
    assert "hunter2" not in repr([d.to_json() for d in caught.value.diagnostics])


@pytest.mark.parametrize("data", [None, [], 3, "x", {}, {"metadata": 3}])
def test_what_is_no_spec_at_all_cannot_be_embedded(data):
    """Any JSON value is answered with a SpecError."""
    with pytest.raises(SpecError):
        estate_from_resolved(data)


def test_the_digest_follows_meaning_not_layout(tmp_path):
    """Key order and comments do not matter; a changed variable does."""
    data = full()
    one = load_text(tmp_path, yaml.safe_dump(data, sort_keys=True))
    other = load_text(tmp_path, "# comment\n" + yaml.safe_dump(data, sort_keys=False))
    prod = load_text(tmp_path, yaml.safe_dump(data), variables={"env": "prod"})

    assert one.digest == other.digest == digest_of(one.resolved)
    assert one.digest != prod.digest
    assert 64 == len(one.digest)


def test_an_invalid_spec_gives_no_estate_and_says_how_many_errors(tmp_path):
    """require() turns findings into one exception that carries them."""
    result = load_text(tmp_path, HEADER + "workspaces: [{nme: x}]\n")

    assert (None, None, "") == (result.estate, result.resolved, result.digest)
    with pytest.raises(SpecError, match="2 errors") as caught:
        result.require()
    assert result.diagnostics == caught.value.diagnostics


def test_a_directory_is_read_in_order_of_names_and_not_below(tmp_path):
    """Both suffixes count; hidden files and directories below do not."""
    write(tmp_path, b=HEADER, a="workspaces: [{name: A}]")
    (tmp_path / "c.yml").write_text("workspaces: [{name: C}]")
    (tmp_path / "x.json").write_text("not read")
    (tmp_path / ".hidden.yaml").write_text("not: read")
    (tmp_path / "items").mkdir()
    (tmp_path / "items" / "environment.yml").write_text("not: read")
    result = load_spec([tmp_path])

    assert ["A", "C"] == [w.name for w in result.require().workspaces]
    assert ["a.yaml", "b.yaml", "c.yml"] == [Path(f).name for f in result.files]


def test_a_file_that_is_named_twice_is_read_once(tmp_path):
    """A directory and a file in it, or a link to it, are no duplicates."""
    write(tmp_path, a=HEADER + "workspaces: [{name: A}]")
    (tmp_path / "b.yaml").symlink_to(tmp_path / "a.yaml")

    assert 1 == len(load_spec([tmp_path, tmp_path / "a.yaml"]).require().workspaces)


def test_lists_of_several_files_join(tmp_path):
    """Repositories, connections, workspaces, pipelines, ignore rules and variables add up."""
    write(
        tmp_path,
        a=HEADER
        + "variables: {a: {default: x}}\nazureDevOps: {organization: o, repositories: "
        + "[{project: P, name: r1}]}\nworkspaces: [{name: A}]\npolicies: {above: 3}\n",
        b=HEADER
        + "variables: {b: {default: y}}\nazureDevOps: {repositories: [{project: P, name: r2}]}\n"
        + "workspaces: [{name: B}]\npolicies: {maxDelete: 5%}\n",
    )
    loaded = load_spec([tmp_path]).require()

    assert ["A", "B"] == [w.name for w in loaded.workspaces]
    assert ["r1", "r2"] == [r.name for r in loaded.azure_devops.repositories]
    assert {"a", "b"} == set(loaded.variables)
    assert (3, "5%") == (loaded.policies.above, loaded.policies.max_delete)


def test_a_name_in_two_files_is_an_error_that_names_both_places(tmp_path):
    """The finding stands at the second and tells file and line of the first."""
    write(tmp_path, a=HEADER + "workspaces:\n  - name: A\n", b="workspaces:\n  - name: A\n")
    (found,) = load_spec([tmp_path]).diagnostics

    assert ("duplicate_name", "workspaces[1]", 2, 5) == brief(found)
    assert found.span.file.endswith("b.yaml")
    assert f"{tmp_path / 'a.yaml'}, line 5" in found.summary


@pytest.mark.parametrize(
    ("second", "code", "path", "line"),
    [
        ("metadata: {name: other}", "files_disagree", "metadata.name", 1),
        ("kind: Other", "files_disagree", "kind", 1),
        ("azureDevOps: {organization: x}", "given_twice", "azureDevOps.organization", 1),
        ("variables: {v: {default: 1}}", "given_twice", "variables.v", 1),
        ("policies: {above: 1}", "given_twice", "policies.above", 1),
        ("kind: Overlay\napiVersion: v2", "files_disagree", "apiVersion", 2),
        ("- a list", "wrong_type", None, 1),
    ],
)
def test_files_that_contradict_each_other_are_reported(tmp_path, second, code, path, line):
    """Single values are given once, and headers agree."""
    first = (
        HEADER + "azureDevOps: {organization: o}\nvariables: {v: {default: 1}}\n"
        "policies: {above: 1}\n"
    )
    write(tmp_path, a=first, b=second)
    (found,) = load_spec([tmp_path]).diagnostics

    assert (code, path, line) == (found.code, found.path, found.span.line)
    assert found.span.file.endswith("b.yaml")


def test_an_overlay_alone_says_only_that(tmp_path):
    """No other finding hides the one that matters."""
    result = load_text(tmp_path, "apiVersion: reconciler/v1\nkind: Overlay\nworkspaces: 3\n")

    assert [("overlay_alone", None, 2, 7)] == [brief(d) for d in result.diagnostics]


def test_a_file_that_cannot_be_read_does_not_hide_findings_in_others(tmp_path):
    """Headers that may stand in the unreadable file are not demanded."""
    write(tmp_path, a="a: [", b="workspaces:\n  - {name: A, creat: true}\n")
    found = load_spec([tmp_path]).diagnostics

    assert ["yaml_syntax", "unknown_key"] == [d.code for d in found]


def test_missing_paths_and_odd_ones_are_findings(tmp_path):
    """No path a user may type ends in a traceback."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "empty").mkdir()
    codes = {
        tmp_path / "no.yaml": "missing_file",
        tmp_path / "empty": "no_files",
        fifo: "unreadable_file",
        tmp_path / "nul\0": "unreadable_file",
        tmp_path / ("x" * 300): "unreadable_file",
    }

    for path, code in codes.items():
        assert [code] == [d.code for d in load_spec([path]).diagnostics]
    assert ["no_files"] == [d.code for d in load_spec([]).diagnostics]


@pytest.mark.parametrize("text", ["null", "[]", "{}", "3", "text", "- a: 1"])
def test_a_file_that_holds_no_spec_says_so(tmp_path, text):
    """Whatever the document is, there is exactly one finding."""
    result = load_text(tmp_path, text)

    assert result.estate is None
    assert 1 == len(result.diagnostics)
