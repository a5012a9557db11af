"""Item definitions between bytes and the wire's base64 parts.

Source: ``ItemDefinition`` in ``platform/definitions/platform.json`` (spec); payloads are
``InlineBase64`` only.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from reconciler.clients.fabric.models import (
    BulkExport,
    DefinitionPart,
    ExportedItem,
    ItemDefinition,
)
from reconciler.clients.wire import WireModel, body_of, parse
from reconciler.errors import ClientError

__all__ = ["bulk_export_from", "definition_from", "definition_json"]


class _Part(WireModel):
    path: str
    payload: str = ""
    payload_type: str = "InlineBase64"


class _Definition(WireModel):
    format: str | None = None
    parts: tuple[_Part, ...]


class _DefinitionAnswer(WireModel):
    definition: _Definition


class _IndexEntry(WireModel):
    id: str
    root_path: str


class _BulkAnswer(WireModel):
    item_definitions_index: tuple[_IndexEntry, ...]
    definition_parts: tuple[_Part, ...]


def definition_from(body: object, *, what: str) -> ItemDefinition:
    """Decode a getDefinition result."""
    found = parse(_DefinitionAnswer, body, what=what).definition
    return ItemDefinition(
        parts=tuple(_decoded(part, what) for part in found.parts), format=found.format
    )


def bulk_export_from(body: object, *, what: str) -> BulkExport:
    """Decode a bulkExportDefinitions result."""
    found = parse(_BulkAnswer, body, what=what)
    return BulkExport(
        items=tuple(ExportedItem(e.id, e.root_path) for e in found.item_definitions_index),
        parts=tuple(_decoded(part, what) for part in found.definition_parts),
    )


def definition_json(
    parts: Sequence[DefinitionPart], definition_format: str | None = None
) -> dict[str, object]:
    """Encode parts for a request."""
    return body_of(
        format=definition_format,
        parts=[
            {
                "path": part.path,
                "payload": base64.b64encode(part.payload).decode(),
                "payloadType": "InlineBase64",
            }
            for part in parts
        ],
    )


def _decoded(part: _Part, what: str) -> DefinitionPart:
    if part.payload_type != "InlineBase64":
        raise ClientError(f"{what}: part {part.path!r} has a payload type this tool cannot read")
    try:
        payload = base64.b64decode(part.payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ClientError(f"{what}: part {part.path!r} is not valid base64") from error
    return DefinitionPart(part.path, payload)
