"""The emulator's own certificate authority.

Clients trust it through one PEM file; nothing else of theirs has to change. The authority is made
once per data folder, so that a client which read the file still trusts the emulator after a
restart.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.emulator.private_files import write_private

if TYPE_CHECKING:
    import trustme

__all__ = ["Authority"]


class Authority:
    """Issues certificates that are valid for whoever trusts ``file``.

    Attributes:
        file: PEM of the authority's certificate; holds no key.
    """

    def __init__(self, authority: trustme.CA, file: Path) -> None:
        self._authority = authority
        self.file = file

    @classmethod
    def open(cls, folder: Path, *, keep: bool) -> Authority:
        """Return the authority of a folder, made anew if there is none.

        Args:
            folder: Gets ``ca.pem``, and ``ca-key.pem`` that only its owner may read.
            keep: Whether the key is written, for a later start to go on with it.
        """
        import trustme  # noqa: PLC0415 - costs start-up time that only TLS is worth

        file, key_file = folder / "ca.pem", folder / "ca-key.pem"
        if keep and file.exists() and key_file.exists():
            return cls(trustme.CA.from_pem(file.read_bytes(), key_file.read_bytes()), file)
        authority = trustme.CA(organization_name="Reconciler emulator")
        folder.mkdir(parents=True, exist_ok=True)
        if keep:
            write_private(key_file, authority.private_key_pem.bytes())
        file.write_bytes(authority.cert_pem.bytes())
        return cls(authority, file)

    def server_context(self, hosts: Sequence[str]) -> ssl.SSLContext:
        """Return a server's TLS settings with a certificate for these hosts.

        Args:
            hosts: Host names, ``*.`` wildcards and IP addresses.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        self._authority.issue_cert(*hosts).configure_cert(context)
        return context
