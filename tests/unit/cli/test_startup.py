"""What a command imports, and that a command's flags are made only when it is named."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from reconciler import engine
from reconciler.cli import parser as parser_module
from reconciler.cli.parser import build_parser
from reconciler.errors import UsageError

COMMANDS = (
    "validate",
    "plan",
    "apply",
    "drift",
    "show",
    "graph",
    "runs",
    "schema",
    "adopt",
    "init",
    "force-unlock",
    "emulator",
    "demo",
)
LIBRARIES = {
    "httpx",
    "aiohttp",
    "jsonschema",
    "deepdiff",
    "azure",
    "asyncio",
    "logging",
    "filelock",
}
PROGRAM = (
    "import json, sys\nfrom reconciler.cli.main import main\ncode = main(sys.argv[1:])\n"
    "print(json.dumps([code, sorted(sys.modules)]))"
)


def imported(*words, folder):
    """Run a command in a process of its own; returns its code and the modules it has loaded."""
    command = [sys.executable, "-c", PROGRAM, *words]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env=env)
    code, names = json.loads(done.stdout.splitlines()[-1])
    return code, set(names)


def within(names, *packages):
    """Return those of the names that are one of the packages or lie in one."""
    return {n for n in names if any(n == p or n.startswith(f"{p}.") for p in packages)}


def test_help_imports_nothing_that_only_a_command_needs(tmp_path):
    """It is what people wait for while they type."""
    code, names = imported("--help", folder=tmp_path)
    assert 0 == code
    ours = {"reconciler", "reconciler._version", "reconciler.cli", "reconciler.errors"}
    assert ours | {"reconciler.cli.main", "reconciler.cli.parser"} == within(names, "reconciler")
    assert set() == names & {*LIBRARIES, "pydantic", "yaml", "typing", "dataclasses", "pathlib"}


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_valid_spec_is_validated_without_services_and_without_the_schema_library(tmp_path, form):
    """An editor's hook and a commit's hook run it each time."""
    spec = "apiVersion: reconciler/v1\nkind: Estate\nmetadata: {name: sales}\n"
    (tmp_path / "s.yaml").write_text(spec)
    code, names = imported("validate", "s.yaml", "--format", form, folder=tmp_path)
    assert 0 == code
    assert set() == names & LIBRARIES
    elsewhere = ("engine", "clients", "execute", "live", "diff", "adopt", "journal", "locks")
    assert set() == within(names, *(f"reconciler.{part}" for part in elsewhere))
    if form == "text":
        assert set() == within(names, "reconciler.plan", "reconciler.policies")


def test_an_invalid_spec_is_explained_by_the_schema_library(tmp_path):
    """Guards that the question for which it is not needed did not take its place."""
    (tmp_path / "s.yaml").write_text("apiVersion: reconciler/v1\nkind: Estate\nworkspces: []\n")
    code, names = imported("validate", "s.yaml", folder=tmp_path)
    assert 1 == code
    assert "jsonschema" in names
    assert set() == within(names, "reconciler.plan", "reconciler.engine", "reconciler.clients")


def test_a_plan_imports_nothing_that_only_an_apply_needs(services, spec):
    """With a token nobody has to be signed in, so nothing that signs in is loaded either."""
    code, names = imported("plan", spec.name, folder=spec.parent)
    assert 0 == code
    assert "reconciler.live.read" in names
    assert set() == within(names, "azure", "jsonschema", "reconciler.adopt", "reconciler.locks")
    assert {"reconciler.execute", "reconciler.execute.events", "reconciler.execute.stop"} == (
        within(names, "reconciler.execute")
    )
    assert {"reconciler.journal", "reconciler.journal.runids"} == (
        within(names, "reconciler.journal")
    )
    assert set() == names & {
        "reconciler.cli.event_stream",
        "reconciler.live.checkout",
        "reconciler.clients.gitrepo",
    }


def test_an_apply_has_loaded_all_it_needs_before_it_begins():
    """A run may wait for hours; by then another version may lie where this one came from."""
    program = (
        "import json, sys\nimport reconciler.cli.apply\nprint(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    parts = {"applying", "checking", "locking", "planning", "resuming", "services", "settings"}
    loaded = within(json.loads(done.stdout), "reconciler.engine")
    assert {"reconciler.engine", *(f"reconciler.engine.{part}" for part in parts)} == loaded


def test_the_engine_offers_what_it_names():
    """Its names are imported on first use; each must be where it is looked for."""
    assert [] == [name for name in engine.__all__ if getattr(engine, name, None) is None]
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = engine.nothing


def test_all_commands_are_in_the_help(cli):
    """They are listed whether or not their flags were made."""
    _, out, _ = cli("--help")
    assert all(f"\n    {name}" in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_its_flags_when_it_is_named(cli, name):
    """Its help is the one of a parser that has the flags of all commands."""
    whole = build_parser()
    code, out, _ = cli(name, "--help")
    with pytest.raises(SystemExit):
        whole.parse_args([name, "--help"])
    assert 0 == code
    assert f"usage: reconciler {name} [-h] " in out
    flags = set(
        build_parser([name])._subparsers._group_actions[0].choices[name]._option_string_actions
    )
    assert flags == set(whole._subparsers._group_actions[0].choices[name]._option_string_actions)
    assert len(flags) > 2 or name == "schema"
    assert all(flag in out for flag in flags)


def test_a_file_may_be_called_like_a_command(cli):
    """What is named twice is made twice, and nothing more."""
    args = parser_module.parse(["validate", "apply", "plan"])
    assert ("validate", ["apply", "plan"]) == (args.command, [str(p) for p in args.paths])
    with pytest.raises(UsageError, match="did you mean validate"):
        parser_module.parse(["validat", "plan"])


@pytest.mark.parametrize("columns", ["", "0", "-1", "x", "40", "200"])
def test_help_is_as_wide_as_the_standard_library_would_make_it(monkeypatch, columns):
    """The width is found here, since asking for it costs more than all else in help."""
    monkeypatch.setenv("COLUMNS", columns)
    assert shutil.get_terminal_size().columns == parser_module._columns()


@pytest.mark.parametrize("gone", [None, "closed"])
def test_help_needs_no_terminal(monkeypatch, tmp_path, gone):
    """80 columns, as the standard library takes."""
    monkeypatch.delenv("COLUMNS", raising=False)
    stream = None
    if gone == "closed":
        stream = (tmp_path / "out").open("w")
        stream.close()
    monkeypatch.setattr(sys, "__stdout__", stream)
    assert 80 == parser_module._columns()
