"""Commands and decisions that need no service: validate, show, schema, refusals of plan files."""

import io
import json
import stat

import pytest
from render.samples import DEV, action, error, plan, story

from reconciler.cli import apply, drift
from reconciler.cli import plan as plan_command
from reconciler.cli.common import blocked, is_plan_file, write_private
from reconciler.cli.console import Console, wants_colour
from reconciler.cli.parser import SCHEMA_NAMES
from reconciler.errors import ReconcilerError
from reconciler.execute.events import ActionOutcome, ApplyResult, Outcome
from reconciler.plan.plan import DriftEntry, HeldEntry
from reconciler.render.as_html import plan_html
from reconciler.render.as_markdown import plan_markdown
from reconciler.render.as_text import render_findings
from reconciler.render.graph import build_graph, to_dot, to_mermaid
from reconciler.render.schemas import schema_text

GOOD = "apiVersion: reconciler/v1\nkind: Estate\nmetadata: {name: sales}\n"
BAD = GOOD + "workspaces:\n  - {name: A, creat: true}\npipelines: 7\n"
SOME = action("workspace.create")
LOSS = action("workspace.delete", destructive=True)
FIELD = DriftEntry(address=DEV, cause="field", text="t")
HELD = HeldEntry(address="pipelines/S/deployments/A:B", text="manual")
PROTECTED = error("protected")
UNKNOWN = {"unknown": ("workspaces/X",)}


def saved(folder, sample):
    """Write a plan file and return its path."""
    path = folder / "p.json"
    path.write_text(sample.to_json(), encoding="utf-8")
    return path


def test_a_valid_spec_exits_with_0(cli, tmp_path):
    """One line on stdout, nothing on stderr."""
    (tmp_path / "s.yaml").write_text(GOOD)
    expected = (0, "The spec sales is valid (1 file).\n", "")
    assert expected == cli("validate", tmp_path / "s.yaml")


@pytest.mark.parametrize("command", ["validate", "plan", "apply", "drift"])
def test_all_findings_of_an_invalid_spec_are_shown_together(cli, tmp_path, command):
    """Each finding with its place, before anything is read or written."""
    (tmp_path / "s.yaml").write_text(BAD)
    code, out, err = cli(command, tmp_path / "s.yaml")
    assert 1 == code
    assert "" == out
    assert 2 == err.count("error: ")
    assert "s.yaml:5:" in err
    assert "s.yaml:6:" in err
    assert "The spec is invalid: 2 errors." in err


def many(folder, number):
    """Write a spec with so many mistakes."""
    entries = "".join(f"  - {{name: W{i}, creat: true}}\n" for i in range(number))
    (folder / "s.yaml").write_text(f"{GOOD}workspaces:\n{entries}")
    return folder / "s.yaml"


@pytest.mark.parametrize("command", ["validate", "plan", "apply", "drift"])
def test_ten_thousand_findings_leave_the_terminal_alone(cli, tmp_path, monkeypatch, command):
    """Guards the first fifty, the number of the rest, and a private file that has them all."""
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(command, many(tmp_path, 10_000))

    assert (1, "") == (code, out)
    assert 50 == err.count("error: ")
    assert "… and 9,950 more errors\n" in err
    assert "All 10,000 findings stand in .reconciler/findings.json.\n" in err
    written = tmp_path / ".reconciler" / "findings.json"
    assert 10_000 == len(json.loads(written.read_text())["diagnostics"])
    assert 0o600 == stat.S_IMODE(written.stat().st_mode)
    assert "*\n" == (written.parent / ".gitignore").read_text()


def test_fifty_findings_are_all_shown_and_nothing_is_written(cli, tmp_path, monkeypatch):
    """Guards the number itself, and that a short list needs no file."""
    monkeypatch.chdir(tmp_path)
    _, _, err = cli("validate", many(tmp_path, 50))

    assert 50 == err.count("error: ")
    assert "more error" not in err
    assert not (tmp_path / ".reconciler").exists()


def test_where_no_file_can_be_written_the_findings_are_told_all_the_same(
    cli, tmp_path, monkeypatch
):
    """Guards that a folder that is in the way hides nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".reconciler").write_text("in the way")
    code, _, err = cli("validate", many(tmp_path, 51))

    assert 1 == code
    assert "… and 1 more error\n" in err
    assert "There are 51 findings; --format json of validate and plan has them all." in err


def test_errors_are_shown_before_warnings_when_there_is_no_room_for_both():
    """Guards that what stops a plan is never the part that is left out."""
    found = [error(f"e{n}") for n in range(30)]
    found += [error(f"w{n}").model_copy(update={"severity": "warning"}) for n in range(30)]
    text = render_findings(found)

    assert (30, 20) == (text.count("error: "), text.count("warning: "))
    assert "… and 10 more warnings" in text


@pytest.mark.parametrize("command", ["validate", "plan", "drift"])
def test_findings_as_json_are_one_document_on_stdout(cli, tmp_path, command):
    """CI annotates files from it."""
    (tmp_path / "s.yaml").write_text(BAD)
    code, out, err = cli(command, tmp_path / "s.yaml", "--format", "json")
    data = json.loads(out)
    assert (1, "", False) == (code, err, data["valid"])
    assert [5, 6] == [d["line"] for d in data["diagnostics"]]


def test_variables_from_the_command_line_reach_the_spec(cli, tmp_path):
    """--var wins over --var-file."""
    text = GOOD.replace("{name: sales}", '{name: "${var.env}"}') + "variables: {env: {}}\n"
    (tmp_path / "s.yaml").write_text(text)
    (tmp_path / "v.yaml").write_text("env: test\n")
    files = ("validate", tmp_path / "s.yaml", "--var-file", tmp_path / "v.yaml")
    assert "The spec test is valid" in cli(*files)[1]
    assert "The spec prod is valid" in cli(*files, "--var", "env=prod")[1]


@pytest.mark.parametrize("words", [[], *([name] for name in SCHEMA_NAMES)])
def test_a_schema_is_printed_as_generated(cli, words):
    """Byte for byte what the repository publishes; that of a spec unless another is named."""
    assert (0, schema_text(*(words or ["spec"])), "") == cli("schema", *words)


def test_show_gives_a_plan_file_back_in_any_format(cli, tmp_path):
    """Text for people, and the same JSON again."""
    path = saved(tmp_path, story())
    assert (0, story().to_json(), "") == cli("show", path, "--format", "json")
    assert (0, plan_markdown(story()), "") == cli("show", path, "--format", "markdown")
    assert (0, plan_html(story()), "") == cli("show", path, "--format", "html")
    code, out, _ = cli("show", path)
    assert 0 == code
    assert out.splitlines()[-1].startswith("Plan: 4 to create")


def test_graph_draws_a_plan_file_without_any_service(cli, tmp_path):
    """Mermaid unless DOT is asked for; a plan that is refused is drawn all the same."""
    path, graph = saved(tmp_path, story()), build_graph(story())
    assert (0, to_mermaid(graph), "") == cli("graph", path)
    assert (0, to_dot(graph), "") == cli("graph", path, "--format", "dot")
    assert 0 == cli("graph", saved(tmp_path, plan(LOSS, diagnostics=(PROTECTED,))))[0]


@pytest.mark.parametrize("command", ["plan", "drift"])
def test_an_invalid_spec_is_a_comment_or_a_page_too(cli, tmp_path, command):
    """What CI posts or publishes says what is wrong, also when nothing could be planned."""
    (tmp_path / "s.yaml").write_text(BAD)
    code, out, err = cli(command, tmp_path / "s.yaml", "--format", "markdown")
    assert (1, "", 2) == (code, err, out.count("- **error:** "))
    code, out, err = cli(command, tmp_path / "s.yaml", "--format", "html")
    assert (1, "", 2) == (code, err, out.count("card error"))
    code, out, err = cli("validate", tmp_path / "s.yaml", "--format", "markdown")
    assert (1, "") == (code, err)
    assert "**The spec is invalid: 2 errors.**" in out


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"", "not valid JSON"),
        (b'{"format_version": "1.0", "spec": ', "cut off"),
        (b'{"format_version": "2.0"}', "format version 2.0"),
        (story().to_json().replace("Sales Dev", "Sales Prod").encode(), "fingerprint"),
    ],
)
def test_a_damaged_plan_file_is_an_error_and_not_a_crash(cli, tmp_path, content, phrase):
    """Cut off, edited or of another version: say so and plan again."""
    path = tmp_path / "p.json"
    path.write_bytes(content)
    code, out, err = cli("show", path)
    assert (1, "") == (code, out)
    assert phrase in err
    assert "make a new plan" in err


def test_a_missing_plan_file_is_an_error(cli, tmp_path):
    """The message names the file."""
    code, _, err = cli("show", tmp_path / "gone.json")
    assert 1 == code
    assert "gone.json" in err


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"format_version": "1.0"}', True),
        ('\ufeff\n  {"format_version": "1.0", "spec": {"apiVersion": 1}}', True),
        ('{"actions": []}', True),
        ('{"apiVersion": "reconciler/v1", "format_version": 1}', False),
        ("{apiVersion: reconciler/v1}", False),
        ("apiVersion: reconciler/v1", False),
        ("", False),
    ],
)
def test_plan_files_are_told_from_specs_by_content(tmp_path, content, expected):
    """A spec may be JSON too, and neither needs a certain file name."""
    path = tmp_path / "file"
    path.write_text(content, encoding="utf-8")
    assert expected is is_plan_file(path)


def test_what_cannot_be_read_is_no_plan_file(tmp_path):
    """The spec reader reports it, with a place."""
    assert not is_plan_file(tmp_path)
    assert not is_plan_file(tmp_path / "gone")


@pytest.mark.parametrize(
    "flags",
    [["--target", "a"], ["--exclude", "a"], ["--var", "a=b"], ["--var-file", "v.yaml"], ["--beta"]],
)
@pytest.mark.parametrize("command", ["apply", "graph"])
def test_planning_flags_are_refused_with_a_plan_file(cli, tmp_path, command, flags):
    """The plan is already made; a flag that changes nothing would deceive."""
    code, _, err = cli(command, saved(tmp_path, plan(SOME)), *flags)
    assert 64 == code
    assert f"argument {flags[0]}" in err


def test_a_plan_file_is_applied_alone(cli, tmp_path):
    """Two plans, or a plan and a spec, make no sense together."""
    (tmp_path / "s.yaml").write_text(GOOD)
    for command in ("apply", "graph"):
        assert 64 == cli(command, saved(tmp_path, plan(SOME)), tmp_path / "s.yaml")[0]


@pytest.mark.parametrize("command", ["plan", "drift"])
def test_a_plan_file_is_no_spec(cli, tmp_path, command):
    """The hint names the commands that take it."""
    code, _, err = cli(command, saved(tmp_path, plan(SOME)))
    assert 64 == code
    assert "reconciler show" in err


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (plan(), 0),
        (plan(**UNKNOWN), 1),
        (plan(SOME, diagnostics=(error(),)), 1),
        (plan(LOSS, diagnostics=(PROTECTED,)), 3),
        (plan(LOSS, diagnostics=(PROTECTED, error())), 1),
    ],
)
def test_a_plan_file_that_may_not_run_calls_no_service(cli, tmp_path, sample, expected):
    """Nothing to do, errors, policy: decided without a token, even when approved."""
    code, _, err = cli("apply", saved(tmp_path, sample), "--auto-approve")
    assert (expected, "") == (code, err)


def test_a_destructive_plan_file_needs_approval_in_words(cli, tmp_path):
    """A plan file is never asked about, so the flag is the only approval there is."""
    code, out, err = cli("apply", saved(tmp_path, plan(LOSS)), answer="yes\n")
    assert 3 == code
    assert "DESTRUCTIVE" in out
    assert "the plan is destructive (1 action)" in err
    assert "--auto-approve" in err


@pytest.mark.parametrize(
    ("sample", "detailed", "expected"),
    [
        (plan(), False, 0),
        (plan(), True, 0),
        (plan(SOME), False, 0),
        (plan(SOME), True, 2),
        (plan(SOME, **UNKNOWN), True, 1),
        (plan(SOME, diagnostics=(error(),)), True, 1),
        (plan(LOSS, diagnostics=(PROTECTED,)), True, 3),
        (plan(held=(HELD,)), True, 0),
    ],
)
def test_exit_codes_of_plan(sample, detailed, expected):
    """2 only on request, and never over an error or a refusal."""
    assert expected == plan_command.exit_code(sample, detailed=detailed)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (plan(), 0),
        (plan(drift=(FIELD,)), 2),
        (plan(held=(HELD,)), 2),
        (plan(drift=(FIELD,), **UNKNOWN), 1),
        (plan(drift=(FIELD,), diagnostics=(error(),)), 2),
        (plan(drift=(FIELD,), diagnostics=(error("capacity_missing"),)), 1),
        (plan(LOSS, drift=(FIELD,), diagnostics=(PROTECTED,)), 2),
    ],
)
def test_exit_codes_of_drift(sample, expected):
    """In sync, drifted, or not known."""
    assert expected == drift.exit_code(sample)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (plan(SOME), 0),
        (plan(SOME, **UNKNOWN), 0),
        (plan(SOME, diagnostics=(error(),)), 1),
        (plan(LOSS, diagnostics=(PROTECTED,)), 3),
    ],
)
def test_what_blocks_an_apply(sample, expected):
    """Errors and policy do; what could not be read does not, since nothing stands on it."""
    assert expected == blocked(sample)


def ended(*outcomes, after=None, still_needed=()):
    """Return an apply whose actions ended like this."""
    listed = (ActionOutcome(str(n), "workspace.create", DEV, o) for n, o in enumerate(outcomes))
    return ApplyResult(tuple(listed), after=after, still_needed=still_needed)


@pytest.mark.parametrize(
    ("sample", "result", "expected"),
    [
        (plan(SOME), ended(Outcome.DONE, after=plan()), 0),
        (plan(SOME), ended(Outcome.DONE, Outcome.NOT_NEEDED, after=plan()), 0),
        (plan(SOME), ended(Outcome.DONE, after=plan(drift=(FIELD,))), 0),
        (plan(SOME), ended(Outcome.DONE, after=None), 1),
        (plan(SOME), ended(Outcome.DONE, after=plan(SOME), still_needed=("0",)), 1),
        (plan(SOME), ended(Outcome.DONE, after=plan(**UNKNOWN)), 1),
        (plan(SOME, **UNKNOWN), ended(Outcome.DONE, after=plan()), 1),
        (plan(SOME), ended(Outcome.DONE, Outcome.FAILED), 1),
        (plan(SOME), ended(Outcome.INCONCLUSIVE), 1),
        (plan(SOME), ended(Outcome.REFUSED), 3),
        (plan(SOME), ended(Outcome.REFUSED, Outcome.SKIPPED, Outcome.NOT_NEEDED), 3),
        (plan(SOME), ended(Outcome.REFUSED, Outcome.DONE), 1),
        (plan(SOME), ended(Outcome.REFUSED, Outcome.FAILED), 1),
        (plan(SOME), ended(Outcome.SKIPPED), 1),
    ],
)
def test_exit_codes_of_apply(sample, result, expected):
    """0 is verified success, 3 means that nothing was written, 1 is the rest."""
    assert expected == apply.exit_code(sample, result)


def test_a_plan_file_is_private_and_replaces_the_old_one_whole(tmp_path):
    """Plans name people and places; a half-written one must not exist."""
    path = tmp_path / "p.json"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new ↻\n")
    assert "new ↻\n" == path.read_text(encoding="utf-8")
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert [path] == list(tmp_path.iterdir())


def test_a_plan_that_cannot_be_saved_is_an_error_and_leaves_nothing_behind(tmp_path):
    """The target is a folder that is not empty, so it cannot be replaced."""
    path = tmp_path / "p.json"
    path.mkdir()
    (path / "inner").touch()
    with pytest.raises(ReconcilerError, match="cannot write"):
        write_private(path, "text")
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("out", ["s.yaml", ".", "no/such/p.json"])
def test_a_place_where_no_plan_can_or_should_be_saved_is_wrong_usage(cli, tmp_path, out):
    """Told before minutes of reading, and never at the price of the spec."""
    (tmp_path / "s.yaml").write_text(GOOD)
    code, _, err = cli("plan", tmp_path / "s.yaml", "--out", tmp_path / out)
    assert 64 == code
    assert "argument --out" in err
    assert GOOD == (tmp_path / "s.yaml").read_text()


class Gone:
    """A pipe whose reader has left."""

    def write(self, text):
        """Fail like the system does."""
        raise BrokenPipeError


def test_a_reader_that_leaves_does_not_stop_an_apply():
    """Output ends; what is under way goes on."""
    errors = io.StringIO()
    console = Console(out=Gone(), err=errors, source=io.StringIO())
    console.write("a")
    console.write("b")
    console.complain("still said")
    assert "still said" == errors.getvalue()


class Terminal:
    """A stream that is, or is not, a terminal."""

    def __init__(self, is_terminal):
        self._is_terminal = is_terminal

    def isatty(self):
        """Tell what it was told to be."""
        return self._is_terminal


@pytest.mark.parametrize(
    ("is_terminal", "flag", "environ", "expected"),
    [
        (True, False, {}, True),
        (True, False, {"NO_COLOR": ""}, True),
        (True, False, {"NO_COLOR": "1"}, False),
        (True, False, {"TERM": "dumb"}, False),
        (True, True, {}, False),
        (False, False, {}, False),
    ],
)
def test_colour_needs_a_terminal_and_nobody_against_it(is_terminal, flag, environ, expected):
    """Flag, then NO_COLOR, then the terminal."""
    stream = Terminal(is_terminal)
    assert expected is wants_colour(stream, no_color=flag, environ=environ)
