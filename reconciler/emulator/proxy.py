"""An HTTP proxy that leads the real host names to this emulator, and nowhere else.

It only answers ``CONNECT`` and only copies bytes: the TLS connection inside ends at a listener of
the emulator that shows a certificate for the real names. Nothing it does ever leaves the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from reconciler.emulator.hosts import is_played

__all__ = ["Proxy"]

_HEAD_TIMEOUT_S = 30.0
_LARGEST_HEAD = 16_384
_CHUNK = 65_536


class Proxy:
    """Copies each tunnel to one loopback port.

    Attributes:
        url: What clients set as ``HTTPS_PROXY``.
    """

    def __init__(self, listener: socket.socket, target: tuple[str, int]) -> None:
        host, port = listener.getsockname()[:2]
        self.url = f"http://{host}:{port}"
        self._listener = listener
        self._target = target
        self._server: asyncio.Server | None = None
        self._tunnels: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Accept clients."""
        self._server = await asyncio.start_server(
            self._accept, sock=self._listener, limit=_LARGEST_HEAD
        )

    async def stop(self) -> None:
        """Accept no more clients and cut the tunnels that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tunnels = list(self._tunnels)
        for tunnel in tunnels:
            tunnel.cancel()
        await asyncio.gather(*tunnels, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tunnel = asyncio.create_task(self._serve(reader, writer))
        self._tunnels.add(tunnel)
        tunnel.add_done_callback(self._tunnels.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            refusal = await _refusal(reader)
            if refusal is not None:
                await _refuse(writer, refusal)
                return
            inner_reader, inner_writer = await asyncio.open_connection(*self._target)
            try:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
            finally:
                await _close(inner_writer)
        except OSError:
            return  # whoever went away needs no answer
        finally:
            await _close(writer)


async def _refusal(reader: asyncio.StreamReader) -> str | None:
    """Read the request for a tunnel; return the status line that refuses it, None to open it."""
    try:
        async with asyncio.timeout(_HEAD_TIMEOUT_S):
            head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return "400 Bad Request"
    except TimeoutError:
        return "408 Request Timeout"
    method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    if method != "CONNECT":
        return "405 Method Not Allowed"
    host, _, port = rest.partition(" ")[0].rpartition(":")
    return None if port == "443" and is_played(host) else "403 Forbidden"


async def _refuse(writer: asyncio.StreamWriter, status: str) -> None:
    text = b"This proxy only leads to the hosts that the emulator plays.\n"
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n"
        "Connection: close\r\n\r\n"
    )
    writer.write(head.encode() + text)
    await writer.drain()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy until the source ends; then the sink gets an end too, so that both sides finish."""
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(_CHUNK):
            sink.write(chunk)
            await sink.drain()
    with contextlib.suppress(OSError):
        if sink.can_write_eof():
            sink.write_eof()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
