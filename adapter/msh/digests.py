# SPDX-License-Identifier: EUPL-1.2

"""Digests of payloads that lie in the spool, by the algorithm that a signature names."""

import hashlib
from collections.abc import Mapping
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
