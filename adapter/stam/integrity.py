# SPDX-License-Identifier: EUPL-1.2

"""What is announced of a file beside its octets: its size and its digests, by the link to it or by the headers that it
came with. What came otherwise is not kept.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urldefrag, urlencode

_ADVICE: Final = " (if it is the link that is wrong: [authorities.….dso] check_announced = false)"
_LENGTHS: Final = {"sha-256": 32, "sha-512": 64}
"""The digests that are checked, by their names in RFC 9530, with their octets."""

_SIZE_KEYS: Final = ("size", "omvang", "bestandsomvang", "contentLength")
_DIGEST_KEYS: Final = ("sha256", "sha-256", "sha512", "sha-512", "hash", "checksum", "digest", "integriteit")
_ALGORITHM_KEYS: Final = ("algoritme", "algorithm")
_VALUE_KEYS: Final = ("waarde", "value", "hash")
_KNOWN: Final = re.compile(r"sha[-_]?(?:256|512)", re.IGNORECASE)
_PREFIX: Final = re.compile(r"sha[-_]?(?:256|512)[:=]", re.IGNORECASE)
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_ITEM: Final = re.compile(r"(sha-(?:256|512))\s*=\s*:?([A-Za-z0-9+/]+=*):?", re.IGNORECASE)


class Mismatch(ValueError):
    """A file is not what was announced; the message says how."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a file must be, as far as it was announced; digests by the name of their algorithm, in lower-case hex."""

    size: int | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_link(cls, node: Mapping[str, Any]) -> Self:
        """What the properties of a link say; what cannot be understood is no announcement."""
        sizes = (_size(node.get(key)) for key in _SIZE_KEYS)
        digests: dict[str, str] = {}
        for key in _DIGEST_KEYS:
            found = _digest(node.get(key))
            if found is not None:
                digests.setdefault(*found)
        return cls(next((size for size in sizes if size is not None), None), digests)

    @classmethod
    def split(cls, address: str) -> tuple[str, Self]:
        """The address that `on` made, without its fragment, and what that says."""
        href, fragment = urldefrag(address)
        values = dict(parse_qsl(fragment))
        return href, cls(
            _size(values.pop("size", None)),
            {name: value for name, value in values.items() if name in _LENGTHS},
        )

    def check_size(self, size: int) -> None:
        """Compare a size. Raises Mismatch."""
        if self.size is not None and size != self.size:
            raise Mismatch(f"it has {size} bytes, and {self.size} were announced{_ADVICE}")

    def on(self, href: str) -> str:
        """An address that carries this in its fragment, which is never sent: so it is there after a restart too."""
        values = ({"size": str(self.size)} if self.size is not None else {}) | dict(self.digests)
        return f"{urldefrag(href).url}#{urlencode(values)}" if values else href


def header_digests(headers: Mapping[str, str]) -> dict[str, str]:
    """The digests of a whole representation that its headers give (RFC 9530 3, RFC 3230 4.3.2, RFC 1864)."""
    found: dict[str, str] = {}
    for name in ("Repr-Digest", "Content-Digest", "Digest"):
        for algorithm, value in _ITEM.findall(headers.get(name, "")):
            octets = _octets(value)
            if octets is not None and len(octets) == _LENGTHS[algorithm.lower()]:
                found.setdefault(algorithm.lower(), octets.hex())
    octets = _octets(headers.get("Content-MD5", "").strip())
    if octets is not None and len(octets) == 16:
        found["md5"] = octets.hex()
    return found


class Tally:
    """Counts and digests a file as it comes, by the algorithms of what was announced of it."""

    def __init__(self, expected: Expected, headers: Mapping[str, str]) -> None:
        """Begin a file that came with these headers."""
        self._expected = expected
        by_link = [(name, value, _ADVICE) for name, value in expected.digests.items()]
        self._wanted = [*by_link, *((name, value, "") for name, value in header_digests(headers).items())]
        names = {name for name, _, _ in self._wanted}
        self._digests = {name: hashlib.new(name.replace("-", ""), usedforsecurity=False) for name in names}

    def add(self, chunk: bytes) -> None:
        """Take the next octets in."""
        for digest in self._digests.values():
            digest.update(chunk)

    def check(self, size: int) -> None:
        """Compare the whole file, of so many octets. Raises Mismatch."""
        self._expected.check_size(size)
        for name, value, advice in self._wanted:
            found = self._digests[name].hexdigest()
            if found != value:
                raise Mismatch(f"its {name} is {found}, and {value} was announced{advice}")


def _size(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:18])
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _digest(value: object) -> tuple[str, str] | None:
    """Algorithm and hex of a digest: the text itself, in hex or base64, or an object with that text in it.

    Which algorithm it is follows from its length; others than SHA-256 and SHA-512 are let be.
    """
    if isinstance(value, Mapping):
        names = [value[key] for key in _ALGORITHM_KEYS if key in value]
        if not all(isinstance(name, str) and _KNOWN.fullmatch(name) for name in names):
            return None
        value = next((value[key] for key in _VALUE_KEYS if key in value), None)
    if not isinstance(value, str):
        return None
    text = _PREFIX.sub("", value.strip(), count=1).strip(":")
    for name, length in _LENGTHS.items():
        if _HEX.fullmatch(text) and len(text) == 2 * length:
            return name, text.lower()
        octets = _octets(text)
        if octets is not None and len(octets) == length:
            return name, octets.hex()
    return None


def _octets(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None
