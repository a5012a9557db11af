"""Variables: where values come from, what they may be, and where references may stand."""

from __future__ import annotations

import pytest

from .helpers import HEADER, brief, load_text


def first_workspace(tmp_path, body: str, **options):
    """Load a spec whose variables and first workspace are given, and return both."""
    result = load_text(tmp_path, HEADER + body, **options)
    return result, next(iter(result.estate.workspaces if result.estate else ()), None)


def test_the_flag_wins_over_files_and_files_over_the_default(tmp_path):
    """--var, then the last file, then the default."""
    body = "variables: {a: {default: d}, b: {default: d}, c: {default: d}}\n"
    body += 'workspaces: [{name: "${var.a}-${var.b}-${var.c}"}]\n'
    one, two = tmp_path / "one.yaml", tmp_path / "two.json"
    one.write_text("a: one\nb: one\n")
    two.write_text('{"b": "two"}')
    _, workspace = first_workspace(tmp_path, body, variables={"a": "flag"}, var_files=[one, two])

    assert "flag-two-d" == workspace.name


@pytest.mark.parametrize(("given", "expected"), [("true", True), ("false", False)])
def test_a_whole_reference_keeps_the_type_of_the_variable(tmp_path, given, expected):
    """A flag is text; the default says what it means."""
    body = "variables: {c: {default: false}}\nworkspaces: [{name: A, create: '${var.c}'}]\n"
    _, workspace = first_workspace(tmp_path, body, variables={"c": given})

    assert workspace.create is expected


def test_the_name_of_the_estate_can_be_referred_to(tmp_path):
    """metadata.name may itself hold variables."""
    text = """\
        apiVersion: reconciler/v1
        kind: Estate
        metadata: {name: "sales-${var.env}"}
        variables: {env: {default: dev}}
        workspaces: [{name: "W ${metadata.name} $${metadata.name}"}]
        """

    assert "W sales-dev ${metadata.name}" == load_text(tmp_path, text).estate.workspaces[0].name


def test_what_is_put_in_is_not_searched_again(tmp_path):
    """A value that looks like a reference is text: no expansion without end, no leak."""
    body = "variables: {a: {default: x}}\nworkspaces: [{name: A, description: '${var.a}'}]\n"
    _, workspace = first_workspace(tmp_path, body, variables={"a": "${env.HOME} ${var.a}"})

    assert "${env.HOME} ${var.a}" == workspace.description


WRONG = [
    ("${var.evn}", "unknown_variable", 'did you mean "env"?'),
    ("x ${var.evn} y", "unknown_variable", 'did you mean "env"?'),
    ("${env.HOME}", "env_not_allowed", "description is none"),
    ("x ${env.HOME}", "env_not_allowed", "only for secrets"),
    ("${HOME}", "bad_reference", "not a reference"),
    ("${var.env", "bad_reference", "not a reference"),
    ("${}", "bad_reference", "not a reference"),
    ("${metadata.other}", "bad_reference", "not a reference"),
]


@pytest.mark.parametrize(("text", "code", "phrase"), WRONG)
def test_a_reference_that_means_nothing_is_reported_where_it_stands(tmp_path, text, code, phrase):
    """Each has its code, the path and the place of the value."""
    body = "variables: {env: {default: dev}}\nworkspaces:\n  - name: A\n"
    result, _ = first_workspace(tmp_path, body + f"    description: '{text}'\n")
    (found,) = result.diagnostics

    assert (code, "workspaces[0].description", 7, 18) == brief(found)
    assert phrase in found.summary
    assert "workspaces/A" == found.address


def test_a_value_that_cannot_be_put_in_is_not_also_called_invalid(tmp_path):
    """One mistake, one finding: the closed list stays silent about the unreplaced text."""
    body = "workspaces: [{name: A, git: {provider: GitHub, owner: o, repository: r, "
    body += "branch: b, sync: {direction: '${var.dir}'}}}]\n"
    result, _ = first_workspace(tmp_path, body)

    assert ["unknown_variable"] == [d.code for d in result.diagnostics]


DECLARATIONS = [
    ("{v: {}}", {}, "missing_variable", "has no value"),
    ("{v: {default: a, allowed: [b, c]}}", {}, "variable_not_allowed", "b, c"),
    ("{v: {allowed: [b, c]}}", {"v": "hunter2"}, "variable_not_allowed", "given value"),
    ("{v: {default: a}}", {"w": "1"}, "unknown_variable", 'did you mean "v"?'),
]


@pytest.mark.parametrize(("declared", "given", "code", "phrase"), DECLARATIONS)
def test_values_are_checked_against_their_declaration(tmp_path, declared, given, code, phrase):
    """Missing, forbidden and undeclared values are errors; the value is never repeated."""
    result, _ = first_workspace(tmp_path, f"variables: {declared}\n", variables=given)
    (found,) = result.diagnostics

    assert code == found.code
    if code != "unknown_variable":
        assert phrase in found.summary
    assert "hunter2" not in str(found.to_json())


def test_a_value_nobody_declared_in_a_file_is_only_a_warning(tmp_path):
    """One variable file may serve several estates."""
    values = tmp_path / "v.yaml"
    values.write_text("a: 1\nother: 2\n")
    result, _ = first_workspace(tmp_path, "variables: {a: {default: 0}}\n", var_files=[values])
    (found,) = result.diagnostics

    assert result.estate is not None
    assert ("unused_value", 2, "warning") == (found.code, found.span.line, found.severity)


@pytest.mark.parametrize("text", ["- a", "a: [", "", "a: {b: 1}"])
def test_a_damaged_variable_file_is_a_finding(tmp_path, text):
    """Whatever it holds, the spec is refused with a place."""
    values = tmp_path / "v.yaml"
    values.write_text(text)
    result, _ = first_workspace(tmp_path, "variables: {a: {default: 0}}\n", var_files=[values])

    assert result.estate is None
    assert 1 == len(result.diagnostics)


def test_a_secret_is_never_filled_from_a_variable(tmp_path):
    """Where a secret stands only the environment may be named, whatever a variable holds."""
    body = "variables: {p: {default: hunter2}}\nconnections:\n"
    body += "  - {name: c, type: GitHubSourceControl, create: {url: 'https://h/x', "
    body += "credentials: {key: '${var.p}'}}}\n"
    result, _ = first_workspace(tmp_path, body)

    assert ["secret_literal"] == [d.code for d in result.diagnostics]
