"""Lists in pages.

Source: fabric-api.md section 5: the token is opaque and already URL-encoded text, both members are
absent or null on the last page (docs, spec), and one recorded API ends with an empty string.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode

from reconciler.emulator.fabric.errors import refuse
from reconciler.emulator.http import Answer, Call

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["paged"]

_ENDINGS: tuple[dict[str, str | None], ...] = (
    {},
    {"continuationToken": None, "continuationUri": None},
    {"continuationToken": "", "continuationUri": ""},
)


def paged(
    world: World,
    call: Call,
    entries: Sequence[Any],
    *,
    key: str = "value",
    size: int = 0,
    wire: Callable[[Any], Any] | None = None,
) -> Answer:
    """Answer with one page of a list.

    Args:
        world: Gives the page size and rotates the three spellings of the end.
        call: Its query may carry the token of an earlier page.
        entries: The whole list, in a stable order.
        key: Name of the list in the body.
        size: Page size instead of the configured one.
        wire: Makes what is sent of an entry; asked for those of the page only.
    """
    size = size or world.fabric.settings.page_size
    start = _offset(call.query.get("continuationToken"))
    page = list(entries[start : start + size])
    body: dict[str, Any] = {key: page if wire is None else [wire(entry) for entry in page]}
    if start + size < len(entries):
        token = _token(start + size, size)
        others = {
            name: value for name, value in call.query.items() if name.lower() != "continuationtoken"
        }
        query = "".join(f"&{pair}" for pair in (urlencode(others),) if pair)
        body["continuationToken"] = token
        body["continuationUri"] = (
            f"{world.urls.fabric_url}{quote(call.path)}?continuationToken={token}{query}"
        )
    else:
        body.update(_ENDINGS[world.fabric.last_pages % len(_ENDINGS)])
        world.fabric.last_pages += 1
    return Answer(200, body)


def _token(offset: int, size: int) -> str:
    encoded = base64.b64encode(f",{offset // size + 1},{offset},0".encode()).decode()
    return quote(encoded, safe="")


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        decoded = base64.b64decode(unquote(token), validate=True).decode()
        _, page, offset, end = decoded.split(",")
        if int(page) > 0 and int(offset) > 0 and end == "0":
            return int(offset)
    except (ValueError, binascii.Error, UnicodeDecodeError):
        pass
    raise refuse(400, "InvalidContinuationToken", "The continuation token is invalid")
