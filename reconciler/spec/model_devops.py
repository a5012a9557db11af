"""Azure DevOps as the spec declares it: the organization, repositories and imports."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from reconciler.spec.fields import (
    Branch,
    Guid,
    HttpUrl,
    Name,
    SecretRef,
    require,
)
from reconciler.spec.model_base import (
    GUID_EXAMPLE,
    NAME_OR_ID,
    STATE_FIELD,
    SpecModel,
    State,
    require_name_or_id,
)

__all__ = [
    "AzureDevOps",
    "ImportCredentials",
    "ImportSpec",
    "RepositorySpec",
]


class ImportCredentials(SpecModel):
    """How Azure DevOps reads a private import source; one of an endpoint or a password."""

    service_endpoint: str | None = Field(
        default=None,
        min_length=1,
        description="Service endpoint of the project that holds the credentials, by name or id.",
        examples=["sales-import"],
    )
    username: str | None = Field(
        default=None,
        description="User name at the source; may be left out when the password is a token.",
        examples=["svc-import"],
    )
    password: SecretRef | None = Field(
        default=None,
        description="Password or token for the source. An endpoint is made for the import and "
        "removed after it.",
        examples=["${env.SOURCE_PAT}"],
    )

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        require(
            (self.service_endpoint is None) != (self.password is None),
            "choose_one",
            "Give either serviceEndpoint, or password (with or without username)",
        )
        require(
            self.service_endpoint is None or self.username is None,
            "choose_one",
            "The username belongs to the password; the service endpoint has its own",
            at="username",
        )
        return self


class ImportSpec(SpecModel):
    """Where an empty repository gets its first content from."""

    url: HttpUrl = Field(
        description="Git URL of the source, without credentials in it.",
        examples=["https://github.com/contoso/fabric-sales.git"],
    )
    credentials: ImportCredentials | None = Field(
        default=None,
        description="Only for a private source.",
        examples=[{"serviceEndpoint": "sales-import"}],
    )
    on_failure: Literal["retry", "replace", "fail"] = Field(
        default="retry",
        description="What to do with an import that failed before: retry the same request, "
        "replace it (abandon, import anew), or fail.",
        examples=["replace"],
    )
    adopt: bool = Field(
        default=False,
        description="Accept a repository that already has content from elsewhere.",
        examples=[True],
    )
    remove_endpoint: bool = Field(
        default=False,
        description="Remove the named service endpoint once the import is done.",
        examples=[True],
    )

    @model_validator(mode="after")
    def _endpoint_named(self) -> Self:
        named = self.credentials is not None and self.credentials.service_endpoint is not None
        require(
            named or not self.remove_endpoint,
            "no_endpoint_to_remove",
            "There is no endpoint to remove: removeEndpoint means the one named in "
            "credentials.serviceEndpoint",
            at="removeEndpoint",
        )
        return self


class RepositorySpec(SpecModel):
    """An Azure Repos Git repository."""

    project: Name = Field(
        description="Azure DevOps project, by name or id; it must exist.", examples=["Sales"]
    )
    name: Name | None = Field(
        default=None, description="Name of the repository.", examples=["fabric-sales"]
    )
    id: Guid | None = Field(
        default=None,
        description="Id of an existing repository; it is then found by id.",
        examples=[GUID_EXAMPLE],
    )
    create: bool = Field(
        default=False, description="Create the repository when it is missing.", examples=[True]
    )
    default_branch: Branch | None = Field(
        default=None,
        description="Default branch, without refs/heads/; unset leaves it as it is.",
        examples=["main"],
    )
    import_: ImportSpec | None = Field(
        default=None,
        alias="import",
        description="Import this source into the repository while it is empty.",
        examples=[{"url": "https://github.com/contoso/fabric-sales.git"}],
    )
    state: State = STATE_FIELD

    model_config = ConfigDict(json_schema_extra=NAME_OR_ID)

    @model_validator(mode="after")
    def _named(self) -> Self:
        require_name_or_id(self.name, self.id, create=self.create)
        return self


class AzureDevOps(SpecModel):
    """The Azure DevOps organization (or Server collection) and its repositories."""

    organization: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Organization on Azure DevOps Services; or give url. Git bindings that name "
        "no organization use this one.",
        examples=["contoso"],
    )
    url: HttpUrl | None = Field(
        default=None,
        description="URL of the organization or Server collection, in place of organization.",
        examples=["https://tfs.contoso.com/tfs/DefaultCollection"],
    )
    api_version: Literal[
        "3.0", "4.0", "4.1", "5.0", "5.1", "5.2", "6.0", "6.1", "7.0", "7.1", "7.2"
    ] = Field(
        default="7.1",
        description="API version of the server release (3.0 for TFS 2017 up to 7.2), in quotes.",
        examples=["7.1"],
    )
    repositories: tuple[RepositorySpec, ...] = Field(
        default=(),
        description="Repositories to manage.",
        examples=[[{"project": "Sales", "name": "fabric-sales", "create": True}]],
    )

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        require(
            (self.organization is None) != (self.url is None),
            "choose_one",
            "Give either organization (Azure DevOps Services) or url (Azure DevOps Server)",
        )
        return self
