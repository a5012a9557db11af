"""Whatever stands in the user's files, one clear answer and no request."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from bench import Bench

HEAD = "apiVersion: reconciler/v1\nkind: Estate\nmetadata: {name: x}\n"

MANY = (
    HEAD
    + """\
workspaces:
  - name: A
    create: perhaps
    git:
      provider: AzureDevOps
      organisation: contoso
      project: P
      repository: r
      branch: main
      directory: fabric
  - name: A
pipelines:
  - name: P
    stages:
      - {name: Dev, workspace: A}
      - {name: Test}
    deployments:
      - {from: Dev, to: Tset}
"""
)

BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
)

FILES: dict[str, tuple[str | bytes, str, str]] = {
    "wrong_type": (
        HEAD + "workspaces:\n  - name: A\n    create: perhaps\n",
        "spec.yaml:6:13 (workspaces[0].create)",
        "create must be true or false",
    ),
    "unknown_key": (
        HEAD + "workspaces:\n  - name: A\n    capcity: F8\n",
        "spec.yaml:6:5 (workspaces[0].capcity)",
        'did you mean "capacity"?',
    ),
    "missing_reference": (
        HEAD + "pipelines:\n  - name: P\n    stages: [{name: Dev}, {name: Test}]\n"
        "    deployments:\n      - {from: Dev, to: Prod}\n",
        "spec.yaml:8:25 (pipelines[0].deployments[0].to)",
        "Its stages are Dev, Test.",
    ),
    "duplicate_name": (
        HEAD + "workspaces:\n  - name: A\n  - name: A\n",
        "spec.yaml:6:5 (workspaces[1])",
        "the first is in spec.yaml, line 5",
    ),
    "duplicate_key": (
        HEAD + "kind: Estate\n",
        "spec.yaml:4:1",
        "the first is in line 2",
    ),
    "empty": ("", "spec.yaml:1:1", "A spec starts with apiVersion: reconciler/v1"),
    "only_comments": ("# nothing yet\n", "spec.yaml", "A spec starts with apiVersion"),
    "no_mapping": ("- a\n- b\n", "spec.yaml:1:1", "must hold a mapping"),
    "two_documents": (HEAD + "---\n" + HEAD, "spec.yaml:4:1", "a file of its own"),
    "binary": (b"\x7fELF\x02\x01\x00\x00\x9f\xf2", "spec.yaml:1:7", "Give a YAML file."),
    "not_utf8": (
        HEAD.replace("x", "caf\xe9").encode("latin-1"),
        "spec.yaml:3:",
        "Save the file as UTF-8.",
    ),
    "tab": (
        HEAD + "workspaces:\n\t- name: A\n",
        "spec.yaml:5:1",
        "Replace it with spaces",
    ),
    "syntax": (HEAD + "workspaces: [{name: A}\n", "spec.yaml:", "Close it with ]"),
    "bomb": (BOMB, "spec.yaml:5:", "expand to more than 1 MiB"),
    "too_large": ("#" * (10 * 1024 * 1024 + 1), "spec.yaml", "larger than 10 MiB"),
    "secret_outside_a_secret": (
        HEAD + 'workspaces:\n  - name: "${env.TOKEN}"\n',
        "spec.yaml:5:11 (workspaces[0].name)",
        "env",
    ),
    "unknown_variable": (
        HEAD + 'workspaces:\n  - name: "Sales ${var.envv}"\nvariables: {env: {default: dev}}\n',
        "spec.yaml:5:11 (workspaces[0].name)",
        'did you mean "env"?',
    ),
}


def _put(bench: Bench, content: str | bytes, name: str = "spec.yaml") -> Path:
    path = bench.folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_answered_with_its_place_and_a_remedy_and_no_request(
    bench: Bench, case: str
) -> None:
    """Guards that validate and plan name file, line, column, path and way out, and ask nothing."""
    content, place, remedy = FILES[case]
    _put(bench, content)
    checked = bench.run("validate", "spec.yaml", expect=1)
    planned = bench.run("plan", "spec.yaml", expect=1)
    assert place in checked.err
    assert remedy in checked.err
    assert "The spec is invalid: 1 error." in checked.err
    assert checked.err == planned.err
    assert "" == checked.out == planned.out
    assert [] == bench.requests()


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(bench: Bench) -> None:
    """Guards that one run shows every mistake of a file, as people read it and as JSON."""
    _put(bench, MANY)
    text = bench.run("validate", "spec.yaml", expect=1).err
    assert ["6", "9", "13", "14", "21"] == re.findall(r"--> spec\.yaml:(\d+):\d+ \(", text)
    found = json.loads(bench.run("plan", "spec.yaml", "--format", "json", expect=1).out)
    assert not found["valid"]
    for diagnostic in found["diagnostics"]:
        assert {"severity", "code", "summary", "detail", "file", "line", "column"} <= set(
            diagnostic
        )
    assert 5 == len(found["diagnostics"])
    assert [] == bench.requests()


def test_apply_and_drift_refuse_an_invalid_spec_before_any_request(bench: Bench) -> None:
    """Guards that nothing is read or written for a spec that is invalid."""
    _put(bench, MANY)
    assert "5 errors" in bench.apply("spec.yaml", expect=1).err
    assert "5 errors" in bench.run("drift", "spec.yaml", expect=1).err
    assert [] == bench.requests()


def test_mistakes_of_several_files_are_told_together(bench: Bench) -> None:
    """Guards that a name given twice across files names both places."""
    (bench.folder / "estate").mkdir()
    _put(bench, HEAD + "workspaces:\n  - name: A\n", "estate/a.yaml")
    _put(bench, HEAD + "workspaces:\n  - name: A\n    bogus: 1\n", "estate/b.yaml")
    text = bench.run("validate", "estate", expect=1).err
    assert "--> estate/b.yaml:5:5" in text
    assert "the first is in estate/a.yaml, line 5" in text
    assert "--> estate/b.yaml:6:5" in text


def test_a_directory_without_yaml_and_a_missing_file_are_told(bench: Bench) -> None:
    """Guards the two commonest wrong paths."""
    (bench.folder / "void").mkdir()
    _put(bench, HEAD, "void/readme.txt")
    empty = bench.run("plan", "void", expect=1)
    assert "--> void" in empty.err
    assert "holds no *.yaml or *.yml file" in empty.err
    missing = bench.run("plan", "sepc.yaml", expect=1)
    assert "There is no such file." in missing.err
    assert "--> sepc.yaml" in missing.err


def test_a_pipe_in_place_of_a_file_does_not_hang(bench: Bench) -> None:
    """Guards that no command opens what would block it."""
    os.mkfifo(bench.folder / "spec.yaml")
    for command in ("validate", "plan", "apply", "drift"):
        assert "not a regular file" in bench.run(command, "spec.yaml", expect=1).err


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_file_that_may_not_be_read_is_told(bench: Bench) -> None:
    """Guards the message for a file without read permission."""
    _put(bench, HEAD).chmod(0)
    assert "cannot be read: Permission denied" in bench.run("plan", "spec.yaml", expect=1).err


def test_an_environment_variable_never_appears_in_a_finding(bench: Bench) -> None:
    """Guards that a secret reference in the wrong place shows the name and not the value."""
    _put(bench, FILES["secret_outside_a_secret"][0])
    result = bench.run("plan", "spec.yaml", expect=1, TOKEN="hunter2-secret")
    assert "hunter2" not in result.text


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "COMMAND"),
        (("plan",), "SPEC"),
        (("frob",), "'frob' is not one of"),
        (("plan", "spec.yaml", "--targt", "x"), "did you mean --target?"),
        (("plan", "spec.yaml", "--format", "yaml"), "'yaml' is not one of text, json"),
        (("plan", "spec.yaml", "--parallelism", "0"), "--parallelism"),
        (("plan", "spec.yaml", "--timeout", "soon"), "--timeout"),
        (("plan", "spec.yaml", "--var", "nothing"), "NAME=VALUE"),
        (("plan", "spec.yaml", "--quiet", "--verbose"), "not allowed with"),
        (("plan", "spec.yaml", "--out", "spec.yaml"), "is the spec"),
        (("plan", "spec.yaml", "--out", "no/such/dir.json"), "no directory"),
        (("plan", "spec.yaml", "--fabric-url", "http://example.com"), "plain http"),
        (("apply", "plan.json", "--target", "x"), "--target"),
        (("plan", "plan.json"), "is a plan file, not a spec"),
        (("apply", "plan.json", "spec.yaml"), "stands alone"),
    ],
)
def test_wrong_usage_exits_64_and_says_what_is_wrong(
    bench: Bench, args: tuple[str, ...], said: str
) -> None:
    """Guards that usage mistakes never look like drift (2) or failure (1), and ask nothing."""
    _put(bench, HEAD + "workspaces:\n  - name: A\n")
    _put(bench, '{"format_version": "1.0"}', "plan.json")
    assert said in bench.run(*args, expect=64).err
    assert [] == bench.requests()
