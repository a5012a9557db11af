"""Field types of the spec: the rules a single value must meet, each with its own sentence.

They stand apart from the models so that a rule (what a branch name may be) is written once and
the models read as a list of fields. No rule here looks at more than one value.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from typing_extensions import override

__all__ = [
    "ENV_REFERENCE",
    "Branch",
    "Directory",
    "Guid",
    "HttpUrl",
    "Name",
    "Percentage",
    "SecretRef",
    "VariableName",
    "is_guid",
    "require",
]

ENV_REFERENCE = re.compile(r"\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}")

_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LITERAL_HINT = (
    'A secret is never written into the spec; write "${env.NAME}", and set the environment '
    "variable NAME where the reconciler runs"
)


def require(condition: object, code: str, message: str, *, at: str = "") -> None:
    """Raise a finding of kind ``code`` unless ``condition`` holds; ``at`` names a field below."""
    if not condition:
        # The message goes in through the context: braces in it are no template fields.
        raise PydanticCustomError("finding", "{text}", {"text": message, "code": code, "at": at})


def is_guid(value: str) -> bool:
    """Tell whether ``value`` is written like an id of the services."""
    return _GUID.fullmatch(value) is not None


def _check_guid(value: str) -> str:
    require(
        is_guid(value),
        "not_an_id",
        f'"{value[:60]}" is not an id such as 6f1c0f5e-0000-4000-8000-000000000001',
    )
    return value


def _check_branch(value: str) -> str:
    """Refuse what git refuses as a branch name (the rules of git-check-ref-format)."""
    require(
        not value.startswith("refs/"),
        "bad_branch",
        "A branch is written without its refs/heads/ prefix",
    )
    segments = value.split("/")
    bad = (
        re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{", value) is not None
        or value in {"@", "-"}
        or value.startswith("-")
        or value.endswith(".")
        or any(not s or s.startswith(".") or s.endswith(".lock") for s in segments)
    )
    require(not bad, "bad_branch", f'"{value[:60]}" is not a valid branch name')
    return value


def _check_directory(value: str) -> str:
    r"""Apply the directory rules.

    Source: fabric-api.md section 6.9, docs: a directory name may not start or end with a space
    or tab nor contain ``" / : < > \ * ? |``.
    """
    require(
        value.startswith("/"),
        "bad_directory",
        "A directory is written from the root of the repository and starts with /, such as /fabric",
    )
    if value == "/":
        return value
    for segment in value[1:].split("/"):
        require(
            segment not in {"", ".", ".."},
            "bad_directory",
            "A directory has no empty, . or .. parts and does not end with /",
        )
        require(
            segment == segment.strip(" \t"),
            "bad_directory",
            f'The directory name "{segment[:60]}" starts or ends with a space or tab',
        )
        require(
            re.search(r'[":<>\\*?|\x00-\x1f]', segment) is None,
            "bad_directory",
            f'The directory name "{segment[:60]}" has one of the characters " : < > \\ * ? |, '
            "which Fabric does not accept",
        )
    return value


def _check_url(value: str) -> str:
    """Accept http and https URLs without credentials in them; never repeat the value."""
    try:
        parts = urlsplit(value)
        host, has_userinfo = parts.hostname, "@" in parts.netloc
        _ = parts.port
    except ValueError:
        host, has_userinfo, parts = None, False, urlsplit("")
    require(
        not has_userinfo,
        "secret_in_url",
        "A URL must not hold a user name or password; use credentials instead",
    )
    require(
        parts.scheme in {"http", "https"} and host and not re.search(r"\s", value),
        "bad_url",
        "This must be a URL that starts with https:// (or http://) and names a host",
    )
    return value


Guid = Annotated[str, AfterValidator(_check_guid)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
Branch = Annotated[str, Field(min_length=1, max_length=244), AfterValidator(_check_branch)]
Directory = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_check_directory)]
HttpUrl = Annotated[str, Field(min_length=1), AfterValidator(_check_url)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
Percentage = Annotated[str, Field(pattern=r"^(100|[1-9]?[0-9])%$")]


class SecretRef(BaseModel):
    """The place of a secret: an environment variable, read when the secret is needed.

    Written as the string ``${env.NAME}`` and nothing else; the secret itself never enters a
    model, a plan or a message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    env: str

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, value: object) -> object:
        if isinstance(value, str):
            match = ENV_REFERENCE.fullmatch(value)
            require(match, "secret_literal", _LITERAL_HINT)
            return {"env": match.group(1)} if match else value
        return value

    @model_serializer
    def _write(self) -> str:
        return f"${{env.{self.env}}}"

    @classmethod
    @override
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the written form, a string."""
        del core_schema, handler
        return {"type": "string", "pattern": f"^{ENV_REFERENCE.pattern}$"}
