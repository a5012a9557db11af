"""Validation: every finding has a code, a path, a place and a plain sentence."""

from __future__ import annotations

import pytest

from .helpers import GUID, HEADER, brief, load_text

GIT = "provider: AzureDevOps, organization: o, project: P, repository: r, branch: main"
HUB = "provider: GitHub, owner: o, repository: r, branch: main"
IMPORT = "azureDevOps: {organization: o, repositories: [{project: P, name: r, import: "
CREATE = "connections: [{name: c, type: GitHubSourceControl, create: {url: 'https://h/x', "
STAGES = "pipelines: [{name: P, stages: [{name: A}, {name: B}], "
DEPLOY = STAGES + "deployments: [{from: A, to: B, "
ELEVEN = ", ".join(f"{{name: s{i}}}" for i in range(11))


def git(fields: str) -> str:
    """Write a workspace with a Git binding on one line."""
    return f"workspaces: [{{name: A, git: {{{fields}}}}}]"


# (lines below the header, with § before the place the finding must have; code; path; phrase)
TABLE = [
    ("§workspces: []", "unknown_key", "workspces", 'did you mean "workspaces"?'),
    ("workspaces:\n  - name: A\n    §brnch: x", "unknown_key", "workspaces[0].brnch", 'did you mean "branch", under git?'),
    ("workspaces:\n  - name: A\n    §branch: x", "unknown_key", "workspaces[0].branch", "is not a key of entry 1"),
    ("workspaces:\n  - name: A\n    §git:\n      {provider: GitHub, repository: r, branch: b}", "missing_key", "workspaces[0].git", 'needs the key "owner"'),
    (f"workspaces:\n  - name: A\n    §git: {{{GIT}}}".replace("project: P, ", ""), "missing_key", "workspaces[0].git", 'needs the key "project"'),
    (git(HUB + ", §Branch: x"), "unknown_key", "workspaces[0].git.Branch", 'did you mean "branch"?'),
    ("workspaces: [{name: §7.1}]", "wrong_type", "workspaces[0].name", "must be text"),
    ("workspaces: [{name: A, create: §yes}]", "wrong_type", "workspaces[0].create", "true or false"),
    ("workspaces: [{name: A, create: §'true'}]", "wrong_type", "workspaces[0].create", "true or false"),
    ("§workspaces: {name: A}", "wrong_type", "workspaces", "must be a list"),
    ("workspaces: [§A]", "wrong_type", "workspaces[0]", "Entry 1 of workspaces must be a mapping"),
    ("§workspaces:", "empty_value", "workspaces", "has no value"),
    ("workspaces: [{name: §''}]", "too_short", "workspaces[0].name", "must not be empty"),
    (f"workspaces: [{{name: §{'x' * 257}}}]", "too_long", "workspaces[0].name", "257 characters"),
    (f"workspaces: [{{name: A, description: §{'x' * 4001}}}]", "too_long", "workspaces[0].description", "4,000"),
    ("workspaces: [§{create: true}]", "missing_key", "workspaces[0]", "name or id"),
    ("workspaces: [{id: §abc}]", "not_an_id", "workspaces[0].id", "is not an id"),
    (f"workspaces: [{{id: {GUID}, create: §true}}]", "create_with_id", "workspaces[0].create", "cannot have"),
    (git(GIT + ", sync: {direction: §upd}"), "not_allowed", "workspaces[0].git.sync.direction", 'did you mean "update"?'),
    (git(GIT + ", credentials: §auto"), "not_allowed", "workspaces[0].git.credentials", "automatic or none"),
    (git(GIT + ", credentials: §3"), "wrong_type", "workspaces[0].git.credentials", "text or a mapping"),
    (git(GIT + ", credentials: {§conection: x}"), "unknown_key", "workspaces[0].git.credentials.conection", 'did you mean "connection"?'),
    (git(GIT + ", owner: §o"), "wrong_provider_field", "workspaces[0].git.owner", "does not belong"),
    (git(HUB + ", createDirectory: §true"), "wrong_provider_field", "workspaces[0].git.createDirectory", "does not belong"),
    (git(HUB + ", credentials: §automatic"), "automatic_needs_azure_devops", "workspaces[0].git.credentials", "only with Azure DevOps"),
    (git(HUB + ", customDomain: §github.com"), "bad_value", "workspaces[0].git.customDomain", "contoso.ghe.com"),
    (git(HUB + ", directory: §fabric"), "bad_directory", "workspaces[0].git.directory", "starts with /"),
    (git(HUB + ", directory: §/a/"), "bad_directory", "workspaces[0].git.directory", "does not end with /"),
    (git(HUB + ", directory: §/a/../b"), "bad_directory", "workspaces[0].git.directory", ".. parts"),
    (git(HUB + ", directory: §/a|b"), "bad_directory", "workspaces[0].git.directory", "does not accept"),
    (git(HUB + ", directory: §'/a /b'"), "bad_directory", "workspaces[0].git.directory", "space or tab"),
    (git(GIT + ", createBranchFrom: §refs/heads/x"), "bad_branch", "workspaces[0].git.createBranchFrom", "without its refs/heads/"),
    (git(GIT + ", createBranchFrom: §main"), "branch_from_itself", "workspaces[0].git.createBranchFrom", "made from itself"),
    (git(GIT + ", createBranchFrom: §a..b"), "bad_branch", "workspaces[0].git.createBranchFrom", "not a valid branch name"),
    (git(HUB + ", sync: {commit: {mode: §Selective}}"), "selective_needs_items", "workspaces[0].git.sync.commit.mode", "none are listed"),
    (git(HUB + ", sync: {commit: {§items: [{name: x}]}}"), "items_need_selective", "workspaces[0].git.sync.commit.items", "mode: Selective"),
    (git(HUB + f", sync: {{commit: {{comment: §{'x' * 301}}}}}"), "too_long", "workspaces[0].git.sync.commit.comment", "at most 300"),
    ("§azureDevOps: {apiVersion: '7.1'}", "choose_one", "azureDevOps", "either organization"),
    ("§azureDevOps: {organization: o, url: 'https://h/x'}", "choose_one", "azureDevOps", "either organization"),
    ("azureDevOps: {organization: o, apiVersion: §7.1}", "wrong_type", "azureDevOps.apiVersion", "must be text"),
    ("azureDevOps: {organization: o, apiVersion: §'8'}", "not_allowed", "azureDevOps.apiVersion", "7.1 or 7.2"),
    ("azureDevOps: {url: §'ftp://h/x'}", "bad_url", "azureDevOps.url", "https://"),
    ("azureDevOps: {url: §'https://u:hunter2@h/x'}", "secret_in_url", "azureDevOps.url", "must not hold"),
    (IMPORT + "{url: 'https://h/x', removeEndpoint: §true}}]}", "no_endpoint_to_remove", "azureDevOps.repositories[0].import.removeEndpoint", "no endpoint"),
    (IMPORT + "{url: 'https://h/x', §credentials: {username: x}}}]}", "choose_one", "azureDevOps.repositories[0].import.credentials", "serviceEndpoint, or password"),
    (CREATE + "§credentials: {servicePrincipal: {tenantId: t, clientId: c, secret: '${env.S}'}}}}]", "wrong_credentials", "connections[0].create.credentials", "credentials.key"),
    (CREATE + "§credentials: {}}}]", "choose_one", "connections[0].create.credentials", "servicePrincipal or key"),
    (CREATE + "credentials: {key: §hunter2}}}]", "secret_literal", "connections[0].create.credentials.key", "reference to the environment"),
    ("pipelines: [§{name: P}]", "too_few_stages", "pipelines[0]", "2 to 10 stages"),
    ("pipelines: [{name: P, §stages: [{name: A}]}]", "too_few_stages", "pipelines[0].stages", "2 to 10 stages"),
    (f"pipelines: [{{name: P, §stages: [{ELEVEN}]}}]", "too_long", "pipelines[0].stages", "11 entries"),
    (STAGES + f"roles: [{{principal: {{id: {GUID}, type: User}}, role: §Viewer}}]}}]", "pipeline_role", "pipelines[0].roles[0].role", "only the role Admin"),
    ("pipelines: [{name: P, stages: [{name: A, workspace: {name: W, capacity: §F}}, {name: B}]}]", "capacity_needs_create", "pipelines[0].stages[0].workspace.capacity", "createOnDeploy"),
    (DEPLOY + "§items: []}]}]", "no_items", "pipelines[0].deployments[0].items", "deploys nothing"),
    (DEPLOY + "items: §some}]}]", "not_allowed", "pipelines[0].deployments[0].items", "must be all"),
    (DEPLOY + f"note: §{'x' * 1025}}}]}}]", "too_long", "pipelines[0].deployments[0].note", "1,024"),
    ("policies: {maxDelete: §30}", "wrong_type", "policies.maxDelete", "must be text"),
    ("policies: {maxDelete: §101%}", "bad_value", "policies.maxDelete", "percentage"),
    ("policies: {above: §-1}", "bad_value", "policies.above", "0 or more"),
    ("policies: {above: §1e18}", "bad_value", "policies.above", "1,000,000 or less"),
    ("policies: {above: §'5'}", "wrong_type", "policies.above", "whole number"),
    ("variables: {§1x: {default: a}}", "bad_variable_name", 'variables["1x"]', "not a name"),
    ("variables: {x: {§default: [1]}}", "wrong_type", "variables.x.default", "this is a list"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "path", "phrase"), TABLE, ids=[r[2] for r in TABLE])
def test_a_mistake_is_one_finding_at_its_place(tmp_path, body, code, path, phrase):
    """Code, path, line and column are exact; later stages add nothing to a broken value."""
    before = (HEADER + body).partition("§")[0]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    result = load_text(tmp_path, HEADER + body.replace("§", "") + "\n")

    assert [(code, path, line, column)] == [brief(d) for d in result.diagnostics]
    assert phrase in result.diagnostics[0].summary
    assert result.estate is None


def test_hints_say_how_to_write_it(tmp_path):
    """Numbers that should be text, and words that should be booleans, come with the fix."""
    body = "workspaces: [{name: 7.10, create: off}, {name: B, roles: 3}]\nignore: [{address: 1}]\n"
    details = [d.detail for d in load_text(tmp_path, HEADER + body).diagnostics]

    assert [
        'Without quotes YAML reads it as a number. Write "7.10".',
        "Write false, without quotes.",
        "Start each entry on a line of its own with `- `.",
        'Without quotes YAML reads it as a whole number. Write "1".',
    ] == details


def test_findings_of_all_stages_come_together_in_order_of_place(tmp_path):
    """A misspelt key, a rule inside an object and a rule between objects are told at once."""
    text = HEADER + (
        "workspaces:\n"
        "  - name: A\n"
        "    creat: true\n"
        "  - name: A\n"
        "    capacity: '${var.x}'\n"
        "  - name: C\n"
        "    git: {provider: GitHub, owner: o, repository: r, branch: 'a b'}\n"
        "pipelines:\n"
        "  - name: P\n"
        "    stages: [{name: D, public: 3}, {name: T}]\n"
        "    deployments: [{from: D, to: Tst}]\n"
    )

    assert [
        ("unknown_key", "workspaces[0].creat", 6, 5),
        ("duplicate_name", "workspaces[1]", 7, 5),
        ("unknown_variable", "workspaces[1].capacity", 8, 15),
        ("bad_branch", "workspaces[2].git.branch", 10, 62),
        ("wrong_type", "pipelines[0].stages[0].public", 13, 32),
        ("unknown_stage", "pipelines[0].deployments[0].to", 14, 33),
    ] == [brief(d) for d in load_text(tmp_path, text).diagnostics]


def test_rules_between_objects_keep_their_index_when_another_entry_is_broken(tmp_path):
    """An entry that cannot be read at all does not shift the paths of those after it."""
    body = (
        "workspaces:\n  - 3\n  - name: A\n  - name: A\n  - {name: B, state: absent, create: true}\n"
    )

    assert [
        ("wrong_type", "workspaces[0]", 5, 5),
        ("duplicate_name", "workspaces[2]", 7, 5),
        ("absent_and_create", "workspaces[3].create", 8, 38),
    ] == [brief(d) for d in load_text(tmp_path, HEADER + body).diagnostics]


SECRET = "hunter2-ghp_AbCdEf"
PLACES = [
    f"connections: [{{name: c, type: GitHubSourceControl, create: {{url: 'https://h', credentials: {{key: {SECRET}}}}}}}]",
    f"connections: [{{name: c, type: GitHubSourceControl, create: {{url: 'https://h', credentials: {{key: [{SECRET}]}}}}}}]",
    f"connections: [{{name: c, type: GitHubSourceControl, create: {{url: 'https://h', credentials: {SECRET}}}}}]",
    f"connections: [{{name: c, type: GitHubSourceControl, create: {{url: 'https://u:{SECRET}@h', credentials: {{key: '${{env.A}}'}}}}}}]",
    f"connections: [{{name: c, type: GitHubSourceControl, create: {{url: 'https://h', credentials: {{key: '${{env.A}}{SECRET}'}}}}}}]",
    f"azureDevOps: {{organization: o, repositories: [{{project: P, name: r, import: {{url: 'https://h/x', credentials: {{username: u, password: {SECRET}}}}}}}]}}",
    f"workspaces: [{{name: A, git: {{{HUB}, credentials: {SECRET}}}}}]",
    f"workspaces: [{{name: A, git: {{{HUB}, credentials: {{connection: [{SECRET}]}}}}}}]",
]


@pytest.mark.parametrize("body", PLACES)
def test_no_finding_repeats_a_secret(tmp_path, body):
    """A secret in the wrong place is refused, and shown nowhere."""
    result = load_text(tmp_path, HEADER + body + "\n")

    assert result.estate is None
    assert "hunter2" not in repr(result)
    assert "hunter2" not in str([d.to_json() for d in result.diagnostics])


def test_many_findings_are_cut_off_and_say_so(tmp_path, monkeypatch):
    """A file with the same mistake very many times is answered, and no list grows for ever."""
    body = "workspaces:\n" + "".join(f"  - {{name: W{i}, x: 1}}\n" for i in range(600))
    monkeypatch.setattr("reconciler.spec.validate._MAX_FINDINGS", 500)
    found = load_text(tmp_path, HEADER + body).diagnostics

    assert 501 == len(found)
    assert 1 == sum(d.code == "too_many_findings" for d in found)
