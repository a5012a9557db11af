"""plan, apply and drift against a real emulator over HTTP: approval, exit codes, output."""

import json
import subprocess
import sys

from reconciler.plan.plan import load_plan

CREATE_FAILS = {
    "match": {"service": "fabric", "method": "POST", "route": "/v1/workspaces", "times": None},
    "answer": {"status": 400, "body": {"errorCode": "InvalidInput", "message": "no such thing"}},
}
COUNTS = "0 to change, 0 to destroy; 0 updates, 0 commits, 0 deployments, 0 imports."


def test_a_plan_is_shown_saved_and_applied_exactly_once(services, cli, spec, tmp_path):
    """The whole path: plan, show, apply the file, and nothing is left; the file is then stale."""
    saved = tmp_path / "p.json"
    code, out, _ = cli("plan", spec, "--out", saved)
    assert 0 == code
    assert f"Plan: 1 to create, {COUNTS}" == out.splitlines()[-2]
    expected = f"Saved the plan to {saved}. Apply it with: reconciler apply {saved}"
    assert expected == out.splitlines()[-1]

    code, out, err = cli("apply", saved)
    assert (0, "") == (code, err)
    assert "creating…\n" in out
    assert "1 done.\nApply complete.\n" == "".join(out.splitlines(keepends=True)[-2:])

    code, _, err = cli("apply", saved)
    assert 3 == code
    assert "stale: run " in err

    code, out, _ = cli("plan", spec, "--detailed-exitcode")
    assert (0, "No changes. The estate matches the spec.") == (code, out.splitlines()[-1])
    assert 0 == cli("drift", spec)[0]


def test_changes_and_drift_exit_with_2(services, cli, spec):
    """Plan only when asked, drift always."""
    assert 0 == cli("plan", spec)[0]
    assert 2 == cli("plan", spec, "--detailed-exitcode")[0]
    code, out, _ = cli("drift", spec)
    assert (2, "Drift: 1 difference (1 field).") == (code, out.splitlines()[-1])


def test_json_on_stdout_is_one_document_even_when_the_plan_is_saved(services, cli, spec, tmp_path):
    """The remark about the file goes to stderr then."""
    code, out, err = cli("plan", spec, "--format", "json", "--out", tmp_path / "p.json")
    assert 0 == code
    assert (tmp_path / "p.json").read_text(encoding="utf-8") == out
    assert ("workspace.create",) == tuple(a.kind for a in load_plan(out, name="p").actions)
    assert "Saved the plan" in err
    code, out, _ = cli("drift", spec, "--format", "json")
    assert (2, 1) == (code, json.loads(out)["summary"]["differences"])


def test_only_yes_is_accepted(services, cli, spec):
    """Anything else changes nothing and exits with 3; the plan is shown even when quiet."""
    for answer in ("y\n", "Yes\n", "\n", ""):
        code, out, err = cli("apply", spec, "--quiet", answer=answer)
        assert 3 == code
        assert "Only 'yes' is accepted" in err
        assert "Wave 1" in out
    code, out, _ = cli("apply", spec, answer="yes\n")
    assert (0, "Apply complete.") == (code, out.splitlines()[-1])


def test_without_a_terminal_nothing_is_asked_and_nothing_done(services, cli, spec):
    """CI must approve in words of its own."""
    code, _, err = cli("apply", spec)
    assert 3 == code
    assert "--auto-approve" in err
    assert 2 == cli("drift", spec)[0]


def test_auto_approve_asks_nothing_and_no_changes_ask_nothing_either(services, cli, spec):
    """The second apply finds the work done and exits with 0 without a terminal."""
    assert 0 == cli("apply", spec, "--auto-approve")[0]
    code, out, err = cli("apply", spec)
    assert (0, "") == (code, err)
    assert "No changes. The estate matches the spec." == out.splitlines()[-1]


def test_a_failed_action_ends_in_a_table_and_1(services, cli, spec):
    """What failed and why, in one place."""
    services("faults", CREATE_FAILS)
    code, out, _ = cli("apply", spec, "--auto-approve")
    assert 1 == code
    assert "Apply did not complete: 1 failed." in out
    assert "no such thing" in out


def test_what_cannot_be_read_is_unknown_and_exits_with_1(services, cli, spec):
    """Forbidden is not absent: nothing is created on top of it."""
    match = {"service": "fabric", "method": "GET", "route": "/v1/workspaces", "times": None}
    services("faults", {"match": match, "answer": {"status": 403, "body": {"errorCode": "No"}}})
    for command in (["plan", "--detailed-exitcode"], ["drift"], ["apply", "--auto-approve"]):
        code, out, err = cli(command[0], spec, *command[1:])
        assert 1 == code
        assert "could not be read" in out + err
        assert "to create" not in out


def test_a_caller_who_is_not_signed_in_gets_one_message(services, cli, spec):
    """No traceback, and no plan made of nothing."""
    answer = {"status": 401, "body": {"errorCode": "TokenExpired", "message": "sign in"}}
    services("faults", {"match": {"service": "fabric", "times": None}, "answer": answer})
    code, out, err = cli("plan", spec)
    assert 1 == code
    assert "Plan:" not in out
    assert err.startswith("error: ")
    assert "Traceback" not in err


def test_a_plain_http_address_elsewhere_is_refused(services, cli, spec):
    """A token must not travel unencrypted; no request is made."""
    code, out, err = cli("plan", spec, "--fabric-url", "http://fabric.example")
    assert (64, "") == (code, out)
    assert "http" in err


def test_quiet_leaves_the_last_line(services, cli, spec):
    """A log that only needs the answer gets only the answer."""
    expected = (0, f"Plan: 1 to create, {COUNTS}\n", "")
    assert expected == cli("plan", spec, "--quiet")


def test_verbose_logs_requests_without_secrets(services, emulator, spec):
    """Method, path and status on stderr; stdout stays what it is, and the token nowhere."""
    command = [sys.executable, "-m", "reconciler", "plan", str(spec), "--verbose"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode
    assert "reconciler.http GET /v1/workspaces -> 200" in done.stderr
    assert emulator["token"] not in done.stdout + done.stderr
    assert "reconciler.http" not in done.stdout


def test_events_follow_a_plan_and_its_apply(services, cli, spec, tmp_path):
    """The same actions, from planned to complete; the file begins anew each time."""
    stream = tmp_path / "events.jsonl"
    assert 2 == cli("drift", spec, "--events", stream)[0]
    assert "change_summary" == json.loads(stream.read_text().splitlines()[-1])["type"]
    code, out, _ = cli("apply", spec, "--auto-approve", "--events", stream)
    assert (0, "Apply complete.") == (code, out.splitlines()[-1])
    kinds = [json.loads(line)["type"] for line in stream.read_text().splitlines()]
    reading = ["read_start", "read_complete"]
    acting = ["action_start", "action_complete"]
    expected = ["version", *reading, "planned_action", "change_summary", *acting, *reading]
    assert [*expected, "apply_summary"] == kinds


def test_a_plan_file_is_checked_in_the_stream_before_it_is_applied(services, cli, spec, tmp_path):
    """Planned, then read again, then acted on; a stale file ends in the reason."""
    saved, stream = tmp_path / "p.json", tmp_path / "events.jsonl"
    assert 0 == cli("plan", spec, "--out", saved)[0]
    assert 0 == cli("apply", saved, "--events", stream)[0]
    purposes = [json.loads(line).get("purpose") for line in stream.read_text().splitlines()]
    assert ["check", "check", "verify", "verify"] == [p for p in purposes if p]
    assert 3 == cli("apply", saved, "--events", stream)[0]
    last = json.loads(stream.read_text().splitlines()[-1])
    assert "plan_stale" == last["diagnostic"]["code"]


def test_graph_plans_a_spec(services, cli, spec):
    """The picture of what an apply would do, without a plan file."""
    code, out, err = cli("graph", spec, "--format", "dot")
    assert (0, "") == (code, err)
    assert out.startswith("digraph plan {")
    assert "create the workspace" in out
