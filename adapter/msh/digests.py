# SPDX-License-Identifier: EUPL-1.2

"""Payloads that lie in the spool, as the signature code asks for them: their digests, and small ones whole."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from adapter.store import Content, Spool

SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"
_HASHES: Final[Mapping[str, str]] = {
    "http://www.w3.org/2000/09/xmldsig#sha1": "sha1",
    SHA256: "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}


def digest_of(spool: Spool, content: Content, algorithm: str) -> bytes:
    """The digest of a payload. Raises KeyError for an unknown algorithm, SpoolDamaged or SpoolUnavailable.

    SHA-256 was made while the payload was spooled; any other reads it again, so: in a thread.
    """
    name = _HASHES[algorithm]
    if name == "sha256":
        return bytes.fromhex(content.sha256)
    digest = hashlib.new(name, usedforsecurity=True)
    for chunk in spool.chunks(content):
        digest.update(chunk)
    return digest.digest()


class SpooledPayloads:
    """The payload parts of one message, by their Content-IDs; used from a thread."""

    def __init__(self, parts: Iterable[tuple[str | None, Content | None]], spool: Spool) -> None:
        self._parts = tuple(parts)
        self._spool = spool

    def digest(self, content_id: str, algorithm: str) -> bytes:
        """The digest of the decoded octets of a part. Raises KeyError for an unknown part or algorithm."""
        return digest_of(self._spool, self._content(content_id), algorithm)

    def read(self, content_id: str, limit: int) -> bytes:
        """The octets of a part of at most `limit` octets. Raises KeyError or ValueError."""
        content = self._content(content_id)
        if content.size > limit:
            raise ValueError(f"payload {content_id} has more than {limit} octets")
        return b"".join(self._spool.chunks(content))

    def _content(self, content_id: str) -> Content:
        found = [content for cid, content in self._parts if cid == content_id]
        if len(found) != 1 or found[0] is None:
            raise KeyError(content_id)
        return found[0]
