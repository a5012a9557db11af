"""The command line itself: usage errors, help, version, start-up, and the last line of defence."""

import json
import subprocess
import sys

import pytest

from reconciler._version import __version__
from reconciler.cli import main as main_module
from reconciler.cli.emulator import missing_extra
from reconciler.cli.parser import AUTH_MODES, parse
from reconciler.clients import auth
from reconciler.errors import ReconcilerError

HEAVY = ("httpx", "pydantic", "yaml", "jsonschema", "asyncio", "aiohttp", "azure", "deepdiff")


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        ([], "COMMAND"),
        (["plna", "x"], "did you mean plan?"),
        (["plan"], "SPEC"),
        (["plan", "x", "--taget", "y"], "unknown flag --taget; did you mean --target?"),
        (["plan", "x", "--out"], "--out: expected one argument"),
        (["plan", "x", "--form", "json"], "unknown flag --form"),
        (["plan", "x", "--format", "yaml"], "'yaml' is not one of text, json"),
        (["plan", "x", "--parallelism", "0"], "--parallelism: '0' is not a whole number"),
        (["plan", "x", "--parallelism", "1.5"], "--parallelism"),
        (["plan", "x", "--timeout", "0"], "--timeout"),
        (["plan", "x", "--timeout", "nan"], "--timeout"),
        (["plan", "x", "--timeout", "inf"], "--timeout"),
        (["plan", "x", "--var", "novalue"], "expected NAME=VALUE"),
        (["plan", "x", "--target", "/"], "expected an address"),
        (["plan", "x", "--fabric-url", "localhost:1"], "expected a URL"),
        (["plan", "x", "--auth", "password"], "'password' is not one of"),
        (["apply", "x", "--format", "json"], "unknown flag --format"),
        (["apply", "x", "--quiet", "--verbose"], "not allowed with"),
        (["drift", "x", "--out", "y"], "unknown flag --out"),
        (["show"], "PLANFILE"),
        (["show", "a", "b"], "unexpected argument 'b'"),
        (["schema", "--format", "json"], "unknown flag --format"),
        (["validate", "x", "--format", "html"], "'html' is not one of text, json, markdown"),
        (["validate", "x", "--events", "e"], "unknown flag --events"),
        (["graph", "x", "--format", "svg"], "'svg' is not one of mermaid, dot"),
        (["adopt", "--repository", "Sales"], "expected PROJECT/NAME, not 'Sales'"),
        (["adopt", "--workspace", " "], "--workspace: expected a name"),
        (["adopt", "--all", "x"], "unexpected argument 'x'"),
        (["init", "--ci", "gitlab"], "'gitlab' is not one of github, azure, both, none"),
        (["emulator", "--port", "70000"], "'70000' is not a port"),
        (["emulator", "--speed", "warp"], "'warp' is not one of instant, fast, real"),
        (["apply", "x", "--lock-timeout", "soon"], "'soon' is not a time such as 30s, 5m or 1h"),
        (["apply", "x", "--lock-timeout", "-5s"], "--lock-timeout: expected one argument"),
        (["apply", "x", "--lock-timeout", "infs"], "'infs' is not a time"),
        (["apply", "x", "--lock", "azblob://contoso"], "neither local nor azblob://ACCOUNT/CONT"),
        (["apply", "x", "--lock", "azblob://contoso/locks", "--no-lock"], "not allowed with"),
        (["plan", "x", "--lock", "local"], "unknown flag --lock"),
        (["force-unlock"], "ID"),
        (["force-unlock", "../x"], "'../x' is no lock's id"),
        (["grpah", "x"], "did you mean graph?"),
    ],
)
def test_wrong_usage_exits_with_64_and_says_what_and_where_to_look(cli, words, phrase):
    """Argparse's own 2 would read as changes found; every mistake names the argument."""
    code, out, err = cli(*words)
    assert 64 == code
    assert "" == out
    assert phrase in err
    assert "hint: run: reconciler" in err


@pytest.mark.parametrize(
    ("words", "phrase", "hint"),
    [
        (["schema", "plam"], "there is no schema 'plam'; did you mean plan?", "one of: spec, plan"),
        (["plan", "x", "--events", "-", "--format", "json"], "both need stdout", "give --events"),
        (["plan", "x", "--events", "x"], "x is used by this command", "name another file"),
        (["drift", "x", "--events", "."], ". is a directory", "name a file in it"),
        (["adopt"], "nothing to adopt is named", "name it with --workspace"),
        (
            ["adopt", "--repository", "S/x"],
            "the organization is not known",
            "give --organization NAME",
        ),
        (
            ["adopt", "--all", "--api-version", "7.0"],
            "belongs to a server",
            "give --organization URL",
        ),
        (
            ["adopt", "--all", "--organization", "ftp://x"],
            "--organization: ",
            "an organization is a name",
        ),
        (
            ["adopt", "--all", "--organization", "https://t.example/c", "--api-version", "9"],
            "--api-version: ",
            "an organization is a name",
        ),
        (["adopt", "--all", "--out", "."], ". is a directory", "name a file in it"),
        (["adopt", "--all", "--out", "no/x.yaml"], "there is no directory no", "make it first"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage_too(cli, words, phrase, hint):
    """Told before anything is read or written, with a way out."""
    code, out, err = cli(*words)
    assert (64, "") == (code, out)
    assert phrase in err
    assert f"hint: {hint}" in err


def test_a_wrong_variable_is_not_repeated(cli):
    """What was given as a value may be meant to stay private."""
    _, _, err = cli("plan", "x", "--var", "=hunter2")
    assert "hunter2" not in err


def test_files_may_stand_on_both_sides_of_the_flags():
    """People append a file to a command line they have."""
    args = parse(["plan", "a.yaml", "--quiet", "b.yaml"])
    assert ["a.yaml", "b.yaml"] == [str(p) for p in args.paths]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("2m", 120), ("1h", 3600), ("45", 45), ("1.5m", 90), ("0", 0)],
)
def test_a_time_to_wait_has_a_unit_or_is_in_seconds(text, seconds):
    """As --lock-timeout is written elsewhere."""
    assert seconds == parse(["apply", "x", "--lock-timeout", text]).lock_timeout


def test_by_default_an_apply_locks_here_and_waits_for_nobody():
    """The defaults that the reference states."""
    args = parse(["apply", "x"])
    assert ("local", False, 0.0) == (args.lock, args.no_lock, args.lock_timeout)


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["plan", "--help"]])
def test_asking_for_help_or_version_succeeds(cli, words):
    """The answer is on stdout and the code is 0."""
    code, out, err = cli(*words)
    assert 0 == code
    assert ("usage: reconciler" in out) or (f"reconciler {__version__}\n" == out)
    assert "" == err


def test_the_exit_codes_are_part_of_the_help(cli):
    """Whoever writes a CI step looks there first."""
    _, out, _ = cli("--help")
    assert all(f"  {code} " in out for code in (0, 1, 2, 3, 64, 130))


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["plan", "--help"], ["plan", "--x"]])
def test_help_and_usage_errors_import_nothing_heavy(words):
    """Shell completion and typos are answered at once."""
    program = (
        "import json, sys\nfrom reconciler.cli.main import main\n"
        "main(sys.argv[1:])\nprint(json.dumps(sorted(sys.modules)))"
    )
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "reconciler.cli.parser" in loaded
    assert set() == loaded & set(HEAVY)


def test_the_module_runs_like_the_command():
    """``python -m reconciler`` returns the same codes."""
    command = [sys.executable, "-m", "reconciler"]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    assert (0, f"reconciler {__version__}\n") == (version.returncode, version.stdout)
    assert 64 == subprocess.run(command, capture_output=True, check=False).returncode


def test_the_sign_in_modes_are_those_of_the_clients():
    """They are written twice so that help need not import the clients."""
    assert auth.AUTH_MODES == AUTH_MODES


def test_an_encoding_without_the_symbols_does_not_stop_the_output(tmp_path):
    """A terminal that cannot show a character gets its code instead of a traceback."""
    spec = tmp_path / "s.yaml"
    text = "apiVersion: reconciler/v1\nkind: Estate\nmetadata: {name: Verkäufe ↻}\n"
    spec.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "reconciler", "validate", str(spec)]
    env = {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=env, check=False)
    assert b"" == done.stderr
    assert rb"Verk\xe4ufe \u21bb" in done.stdout
    assert 0 == done.returncode


def test_a_reader_that_leaves_is_not_an_error_message():
    """``reconciler schema | head -1`` ends quietly."""
    shell = f"{sys.executable} -m reconciler schema | head -c 1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, check=False)
    assert b"{" == done.stdout
    assert b"" == done.stderr


def _raising(error):
    def run(args):
        raise error

    return run


@pytest.fixture
def failing(monkeypatch):
    """Let the schema command raise what a test wants."""

    def arrange(error):
        monkeypatch.setattr("reconciler.cli.schema.run", _raising(error))

    return arrange


def test_a_bug_is_called_a_bug_without_a_traceback(cli, failing):
    """Nobody should search their spec for our mistake."""
    failing(KeyError("secret-value"))
    code, _, err = cli("schema")
    assert 1 == code
    assert "unexpected KeyError. This is a bug in reconciler" in err
    assert "Traceback" not in err
    assert "secret-value" not in err


def test_a_bug_shows_its_traceback_when_asked(cli, monkeypatch):
    """--verbose is how a bug gets reported."""
    monkeypatch.setattr("reconciler.cli.show.run", _raising(KeyError("x")))
    code, _, err = cli("show", "p.json", "--verbose")
    assert 1 == code
    assert "Traceback" in err


def test_an_interrupt_exits_with_130(cli, failing):
    """Scripts tell an interrupted run from a failed one."""
    failing(KeyboardInterrupt())
    code, _, err = cli("schema")
    assert 130 == code
    assert "Interrupted" in err


@pytest.mark.parametrize("code", [1, 3, 64])
def test_an_error_of_ours_exits_with_its_own_code_and_shows_its_remedy(cli, failing, code):
    """One message, then what to do, with nothing a terminal would obey."""
    error = ReconcilerError("it\x1b[2J broke", remedy="do this")
    error.exit_code = code
    failing(error)
    assert (code, "", "error: it\\x1b[2J broke\n  hint: do this\n") == cli("schema")


def test_missing_libraries_of_the_emulator_are_explained():
    """The extra is optional; its absence is no traceback."""
    error = missing_extra(ModuleNotFoundError("no", name="pygit2"))
    assert isinstance(error, ReconcilerError)
    assert 1 == error.exit_code
    assert "pip install 'fabric-reconciler[emulator]'" == error.remedy


def test_other_import_errors_of_the_emulator_stay_what_they_are():
    """A broken module of ours must not be blamed on an extra."""
    error = ModuleNotFoundError("no", name="reconciler.emulator.gone")
    assert error is missing_extra(error)


def test_every_command_has_its_module():
    """A registered command that cannot be imported would fail as a bug."""
    parser = main_module.parse(["validate", "x"]).parser
    assert "reconciler validate" == parser.prog
