"""The content of an answer, read no further than a bound, whatever the service sends.

The library would unpack whole answers into memory, and one packed several times over grows a
million times from one piece of the network to the next; so answers are unpacked here.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import httpx

__all__ = ["ACCEPTED", "MOST_BYTES", "Content", "read_content"]

ACCEPTED = "gzip, deflate"
"""What is asked for as ``Accept-Encoding``, and all that is unpacked."""

MOST_BYTES = 128 * 1024 * 1024
"""More than any documented answer holds."""

MOST_ERROR_BYTES = 1024 * 1024
"""More than any error says; the rest is not read."""

_AUTO = 47  # zlib's own wrapper or gzip's
_BARE = -15


@dataclass(frozen=True, slots=True)
class Content:
    """What an answer holds; ``problem`` says why it is not all, "" when it is."""

    data: bytes
    problem: str = ""


async def read_content(answer: httpx.Response, *, most: int = MOST_BYTES) -> Content:
    """Read an answer that was asked for as a stream.

    Raises:
        httpx.HTTPError: the connection broke.
    """
    if answer.status_code >= 400:
        most = min(most, MOST_ERROR_BYTES)
    if answer.is_stream_consumed:  # what carries requests in one process has read it
        data = answer.content
        return Content(data[:most], _too_large(most) if len(data) > most else "")
    packing = answer.headers.get("content-encoding", "").strip().lower()
    if packing in {"", "identity"}:
        return await _plain(answer, most)
    if packing not in {"gzip", "x-gzip", "deflate"}:
        return Content(b"", "content packed in a way that was not asked for")
    return await _unpacked(answer, most)


async def _plain(answer: httpx.Response, most: int) -> Content:
    data = bytearray()
    async for piece in answer.aiter_raw():
        data += piece
        if len(data) > most:
            return Content(bytes(data[:most]), _too_large(most))
    return Content(bytes(data))


async def _unpacked(answer: httpx.Response, most: int) -> Content:
    data = bytearray()
    unpacker = None
    async for piece in answer.aiter_raw():
        if not piece:
            continue
        try:
            if unpacker is None:
                # "deflate" comes with and without zlib's wrapper, which has this low nibble.
                wrapped = piece[0] & 0x0F == 8 or piece[0] == 0x1F
                unpacker = zlib.decompressobj(_AUTO if wrapped else _BARE)
            data += unpacker.decompress(piece, most + 1 - len(data))
        except zlib.error:
            return Content(bytes(data), "content that cannot be unpacked")
        if len(data) > most:
            return Content(bytes(data[:most]), _too_large(most))
    if unpacker is not None and not unpacker.eof:
        return Content(bytes(data), "content that cannot be unpacked: it is cut off")
    return Content(bytes(data))


def _too_large(most: int) -> str:
    return f"more than {most >> 20} MiB"
