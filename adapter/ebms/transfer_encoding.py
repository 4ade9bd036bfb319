# SPDX-License-Identifier: EUPL-1.2

"""Incremental decoders for the Content-Transfer-Encodings of RFC 2045 section 6."""

import binascii
import re
from typing import Final, Protocol

IDENTITY: Final = frozenset({"7bit", "8bit", "binary"})
"""Encodings that leave the octets as they are."""

MAX_TRAILING_SPACE: Final = 1000
"""Longest white space at the end of a quoted-printable line, in octets; it is held back until decided."""

_WHITE_SPACE = b" \t\r\n"
# Possessive quantifiers and the look-behind keep this linear on long runs of white space.
_QP_TOKEN = re.compile(rb"=[ \t]*+\r?\n|=([0-9A-Fa-f]{2})|(?<![ \t])[ \t]++(?=\r?\n)|=")


class TransferProblem(ValueError):
    """Octets that are not in the transfer encoding they are said to be in, or an unknown encoding."""


class Decoder(Protocol):
    """Decodes one part: any number of `feed`, then `finish`."""

    def feed(self, data: bytes) -> bytes:
        """Decode what can be decoded so far. Raises TransferProblem."""

    def finish(self) -> bytes:
        """Decode what was held back. Raises TransferProblem when the part ends too early."""


def decoder_for(encoding: str) -> Decoder:
    """The decoder of an encoding, named in lower case (PKG-10). Raises TransferProblem for an unknown one."""
    if encoding in IDENTITY:
        return IdentityDecoder()
    if encoding == "base64":
        return Base64Decoder()
    if encoding == "quoted-printable":
        return QuotedPrintableDecoder()
    raise TransferProblem(f"unknown Content-Transfer-Encoding {encoding[:40]!r}")


class IdentityDecoder:
    """7bit, 8bit and binary."""

    def feed(self, data: bytes) -> bytes:
        """The octets themselves."""
        return data

    def finish(self) -> bytes:
        """Nothing is ever held back."""
        return b""


class Base64Decoder:
    """Base64, strict but for white space: nothing else outside the alphabet, padding at the very end only."""

    def __init__(self) -> None:
        self._held = b""
        self._padded = False

    def feed(self, data: bytes) -> bytes:
        """Decode all complete groups of four characters. Raises TransferProblem."""
        characters = self._held + data.translate(None, _WHITE_SPACE)
        whole = len(characters) // 4 * 4
        self._held = characters[whole:]
        if not characters:
            return b""
        if self._padded:
            raise TransferProblem("base64 goes on after its padding")
        try:
            decoded = binascii.a2b_base64(characters[:whole], strict_mode=True) if whole else b""
        except binascii.Error as error:
            raise TransferProblem(f"corrupt base64: {error}") from error
        self._padded = characters[:whole].endswith(b"=")
        return decoded

    def finish(self) -> bytes:
        """Nothing may be left. Raises TransferProblem."""
        if self._held:
            raise TransferProblem("base64 ends in the middle of a group")
        return b""


class QuotedPrintableDecoder:
    """Quoted-printable: soft line breaks and white space at line ends go, line breaks stay as they came."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Decode up to what the next octets could still change. Raises TransferProblem."""
        text = self._held + data
        safe = _decidable(text)
        self._held = text[safe:]
        if len(self._held) > MAX_TRAILING_SPACE:
            raise TransferProblem("a quoted-printable line has too much white space")
        return _QP_TOKEN.sub(_decode_token, text[:safe])

    def finish(self) -> bytes:
        """Decode what is left; a soft line break may have lost its line break to the boundary."""
        rest, self._held = self._held.rstrip(b" \t"), b""
        if rest == b"=":
            return b""
        return _QP_TOKEN.sub(_decode_token, rest)


def _decidable(text: bytes) -> int:
    """Length of the beginning of `text` whose decoding does not depend on what follows."""
    end = len(text) - 1 if text.endswith(b"\r") else len(text)
    bare = len(text[:end].rstrip(b" \t"))
    if text[bare - 1 : bare] == b"=" and bare:
        return bare - 1
    if bare == len(text) and bare > 1 and text[bare - 2 : bare - 1] == b"=":
        return bare - 2
    return bare


def _decode_token(match: re.Match[bytes]) -> bytes:
    if match[1] is not None:
        return bytes.fromhex(match[1].decode("ascii"))
    if match[0] == b"=":
        raise TransferProblem("corrupt quoted-printable: an = that escapes nothing")
    return b""
