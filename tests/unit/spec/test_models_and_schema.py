"""The models, the JSON Schema made from them, and the file that publishes it."""

from __future__ import annotations

import json
import pickle
import typing
from pathlib import Path

import jsonschema
import pytest
from pydantic import BaseModel, ValidationError

from reconciler.spec import models
from reconciler.spec.findings import is_secret_path
from reconciler.spec.models import Estate, ImportCredentials, SecretRef, StageSpec
from reconciler.spec.resolve import addresses, stage_workspace
from reconciler.spec.schema import build_schema, schema_text

from .helpers import GUID, estate, full

PUBLISHED = Path(__file__).parents[3] / "schemas" / "spec.schema.json"
MODELS = [
    value
    for name in models.__all__
    if isinstance(value := getattr(models, name), type) and issubclass(value, BaseModel)
]


def objects() -> list[tuple[str, dict]]:
    """Return every object of the schema by name."""
    return list(build_schema()["$defs"].items())


def test_the_published_schema_is_the_generated_one():
    """After a change to the models, run `reconciler schema > schemas/spec.schema.json`."""
    assert schema_text() == PUBLISHED.read_text(encoding="utf-8")


def test_the_schema_is_a_valid_2020_12_schema():
    """Editors and validators of others can use it."""
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)

    assert "https://json-schema.org/draft/2020-12/schema" == schema["$schema"]


def test_every_field_has_a_description_an_example_and_a_default_unless_required():
    """What an editor shows while someone writes a spec."""
    lacking = [
        (name, key, want)
        for name, node in objects()
        for key, field in node.get("properties", {}).items()
        for want in ("description", "examples", "default")
        if want not in field and not (want == "default" and key in node.get("required", []))
    ]

    assert [] == lacking


def test_every_object_refuses_unknown_keys():
    """A misspelt key is never silently ignored."""
    open_ = [n for n, node in objects() if "properties" in node and node["additionalProperties"]]

    assert [] == open_


def test_every_example_and_default_is_valid_where_it_stands():
    """An example that a user copies works (those with variables become text)."""
    schema = build_schema()
    wrong = []
    for name, node in objects():
        for key, field in node.get("properties", {}).items():
            validator = jsonschema.Draft202012Validator({**field, "$defs": schema["$defs"]})
            values = [*field["examples"], *([field["default"]] if "default" in field else [])]
            wrong += [(name, key, value) for value in values if not validator.is_valid(value)]

    assert [] == wrong


OVERLAY = {"apiVersion": "reconciler/v1", "kind": "Overlay"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"metadata": {"name": "sales"}},
        {"variables": {"env": {"default": "prod"}}},
        {"azureDevOps": {"repositories": [{"project": "P", "name": "r", "create": False}]}},
        {"azureDevOps": {"repositories": [{"id": GUID, "import": {"onFailure": "fail"}}]}},
        {"connections": [{"name": "c", "create": {"url": "https://example.com"}}]},
        {"workspaces": [{"name": "A", "git": {"branch": "test", "sync": {"commit": {}}}}]},
        {"workspaces": [{"id": GUID, "state": "absent", "protect": False}]},
        {"workspaces": [{"name": "A", "roles": [{"principal": {"id": GUID}, "role": "Admin"}]}]},
        {"pipelines": [{"name": "P", "stages": [{"name": "S", "workspace": {"capacity": "F8"}}]}]},
        {"pipelines": [{"name": "P", "deployments": [{"from": "a", "to": "b", "when": "manual"}]}]},
        {"ignore": [{"address": "**"}], "policies": {"maxDelete": "5%"}},
    ],
)
def test_an_overlay_names_things_and_leaves_the_rest_out(changes):
    """Guards that editors accept a field alone, which no estate could hold."""
    jsonschema.Draft202012Validator(build_schema()).validate({**OVERLAY, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"workspace": []},
        {"workspaces": [{"capacity": "F8"}]},
        {"workspaces": [{"name": "A", "capactiy": "F8"}]},
        {"workspaces": [{"name": "A", "git": {"branch": 3}}]},
        {"workspaces": [{"name": "A", "roles": [{"role": "Admin"}]}]},
        {"azureDevOps": {"repositories": [{"name": "r"}]}},
        {"pipelines": [{"name": "P", "stages": [{"workspace": "A"}]}]},
        {"pipelines": [{"name": "P", "deployments": [{"from": "a"}]}]},
        {"ignore": [{"items": []}]},
    ],
)
def test_an_overlay_still_has_to_name_things_and_spell_their_fields(changes):
    """Guards that the relaxed schema is no open one."""
    assert not jsonschema.Draft202012Validator(build_schema()).is_valid({**OVERLAY, **changes})


def test_a_file_of_either_kind_is_told_by_its_kind():
    """Guards that an estate is not accepted as an overlay, which requires less."""
    validator = jsonschema.Draft202012Validator(build_schema())
    kinds = build_schema()["properties"]["kind"]["enum"]

    assert ["Estate", "Overlay"] == kinds
    assert not validator.is_valid({"apiVersion": "reconciler/v1", "kind": "Estate"})
    assert not validator.is_valid({"apiVersion": "reconciler/v1", "kind": "Other"})
    assert not validator.is_valid({"apiVersion": "reconciler/v1"})


def test_a_full_spec_is_valid_for_schema_and_models():
    """Both describe the same language."""
    jsonschema.Draft202012Validator(build_schema()).validate(full())

    assert (
        Estate.model_validate(full()).to_json()
        == Estate.model_validate(Estate.model_validate(full()).to_json()).to_json()
    )


def test_secrets_stand_where_the_models_say():
    """The places that may read the environment are those typed as references to it."""

    def walk(model: type[BaseModel], path: tuple[str, ...]) -> set[tuple[str, ...]]:
        found = set()
        for field in model.model_fields.values():
            here = (*path, field.alias or "")
            for part, inside in typed_parts(field.annotation, here):
                if part is SecretRef:
                    found.add(inside)
                elif issubclass(part, BaseModel):
                    found |= walk(part, inside)
        return found

    def typed_parts(annotation, path):
        if typing.get_origin(annotation) is tuple:
            yield from typed_parts(typing.get_args(annotation)[0], (*path, 0))
        elif typing.get_args(annotation):
            for part in typing.get_args(annotation):
                yield from typed_parts(part, path)
        elif isinstance(annotation, type):
            yield annotation, path

    found = walk(Estate, ())

    assert 3 == len(found)
    assert all(is_secret_path(path) for path in found)


def test_a_secret_reference_is_written_as_it_is_read():
    """The environment is named, never read here."""
    credentials = ImportCredentials.model_validate({"password": "${env.A_1}"})

    assert SecretRef(env="A_1") == credentials.password
    assert {"password": "${env.A_1}"} == credentials.model_dump(
        mode="json", by_alias=True, exclude_defaults=True
    )


@pytest.mark.parametrize("value", ["hunter2", "${env.}", "${env.A}x", "${var.A}", "$env.A", ""])
def test_a_secret_literal_is_refused_and_not_repeated(value):
    """Neither the message nor the representation of the error shows what was written."""
    with pytest.raises(ValidationError) as caught:
        ImportCredentials.model_validate({"password": value})

    assert "write" in str(caught.value)
    assert not value or value not in str(caught.value)


def test_the_models_are_frozen_and_survive_pickling():
    """An estate that was validated cannot change afterwards."""
    loaded = Estate.model_validate(full())
    with pytest.raises(ValidationError):
        loaded.workspaces[0].git.branch = "x"

    assert loaded == pickle.loads(pickle.dumps(loaded))  # noqa: S301


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_python_names_and_written_names_both_work(model):
    """Code uses snake_case, the spec camelCase; trailing underscores never reach a user."""
    for name, field in model.model_fields.items():
        alias = field.alias or name
        assert "_" not in alias, (model, name)


def test_a_stage_workspace_has_one_long_form():
    """A name alone means a workspace that is there; nothing means: leave it."""
    assert stage_workspace(StageSpec(name="T")) is None
    assert "W" == stage_workspace(StageSpec(name="T", workspace="W")).name
    long = StageSpec.model_validate({"name": "T", "workspace": {"name": "W", "state": "absent"}})
    assert "absent" == stage_workspace(long).state


def test_addresses_escape_and_fall_back_to_the_id():
    """One address per resource, in the order of the spec."""
    loaded = estate(
        azureDevOps={"organization": "o", "repositories": [{"project": "P/Q", "name": "r"}]},
        connections=[{"name": "c", "type": "GitHubSourceControl"}],
        workspaces=[
            {
                "id": GUID,
                "git": {"provider": "GitHub", "owner": "o", "repository": "r", "branch": "b"},
                "roles": [{"principal": {"id": GUID, "type": "User"}, "role": "Viewer"}],
            }
        ],
        pipelines=[
            {
                "name": "P",
                "stages": [{"name": "A"}, {"name": "B"}],
                "deployments": [{"from": "A", "to": "B"}],
            }
        ],
    )

    assert [
        "repositories/P\\/Q/r",
        "connections/c",
        f"workspaces/{GUID}",
        f"workspaces/{GUID}/roles/{GUID}",
        f"workspaces/{GUID}/git",
        "pipelines/P",
        "pipelines/P/stages/A",
        "pipelines/P/stages/B",
        "pipelines/P/deployments/A:B",
    ] == list(addresses(loaded))


def test_policies_are_readable_as_shares():
    """30% is 0.3 for those who count."""
    policies = estate(policies={"maxDelete": "7%"}).policies

    assert (0.07, 0.3) == (policies.max_delete_share, policies.max_overwrite_share)


def test_every_field_is_documented_under_its_own_heading():
    """docs/spec.md has a heading for each field, and none for a field that is gone."""
    text = (PUBLISHED.parents[1] / "docs" / "spec.md").read_text(encoding="utf-8")
    documented, section = set(), ""
    for line in text.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("### "):
            documented.add((section, line.removeprefix("### ").strip("`").rpartition(".")[2]))
    wanted = {
        (name.removesuffix("Spec"), key)
        for name, node in objects()
        if name != "Overlay"  # the same fields, none of them required
        for key in node.get("properties", {})
    }

    assert wanted == documented
