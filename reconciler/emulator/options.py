"""What may be chosen when the emulator starts.

Nothing here changes what the services mean; it only decides where the emulator listens, what it
remembers and how fast its operations are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Auth", "EmulatorOptions", "Speed"]

Speed = Literal["instant", "fast", "real"]
Auth = Literal["any", "entra"]


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """The command line of the emulator, as a value.

    Attributes:
        port: Loopback port to listen on; 0 takes a free one.
        data: Folder that keeps repositories and state across restarts; None keeps nothing.
        scenario: File that is loaded once the server listens, unless ``data`` already has a state.
        ready_file: Written atomically once the server listens.
        speed: How long operations take and what ``Retry-After`` says.
        auth: ``any`` accepts every token; ``entra`` only tokens of the emulator's own Entra, for
            the right audience and not expired.
        tls: Whether the URLs are https, with the emulator's own certificate authority.
        proxy: Whether an HTTP proxy leads the real host names here.
        seed: Makes ids reproducible: the same requests in the same order get the same ids.
        latency_ms: How long every request is on its way, in real time.
    """

    port: int = 0
    data: Path | None = None
    scenario: Path | None = None
    ready_file: Path | None = None
    speed: Speed = "fast"
    auth: Auth = "any"
    tls: bool = False
    proxy: bool = False
    seed: int | None = None
    latency_ms: float = 0.0
