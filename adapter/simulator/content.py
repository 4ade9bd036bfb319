# SPDX-License-Identifier: EUPL-1.2

"""Generated document content: the same octets every time, made block by block, so that size costs no
memory.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class GeneratedContent:
    """`size` octets that follow from `seed`, beginning with `head` (cut off where size is smaller)."""

    seed: str
    size: int
    head: bytes = b""

    def blocks(self) -> Iterator[bytes]:
        """The content in blocks of at most 64 KiB; a few milliseconds for each 10 MB."""
        left = self.size
        first = self.head[:left]
        if first:
            left -= len(first)
            yield first
        number = 0
        while left > 0:
            block = _block(self.seed, number)[:left]
            number += 1
            left -= len(block)
            yield block

    def sha256(self) -> str:
        """The SHA-256 in hex, computed by generating the content once; takes about a second for 1 GB."""
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()


def _block(seed: str, number: int) -> bytes:
    # SHAKE gives 64 KiB from one short key, and the number in the key makes every block another one.
    return hashlib.shake_128(f"{seed}:{number}".encode()).digest(BLOCK)


def head_for(content_type: str) -> bytes:
    """The first octets by which the content is recognised as its media type; empty for the others."""
    return {
        "application/pdf": b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n",
        "image/png": b"\x89PNG\r\n\x1a\n",
        "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
        "application/msword": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    }.get(content_type, b"")


def small_pdf(lines: tuple[str, ...]) -> bytes:
    """A valid PDF of one page with a line of text for each item (PDF 1.4, standard font, Latin-1)."""
    text = b"BT /F1 12 Tf 60 780 Td 18 TL " + b" ".join(_pdf_line(line) for line in lines) + b" ET"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    )
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def _pdf_line(line: str) -> bytes:
    escaped = line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return b"(" + escaped.encode("cp1252", "replace") + b") Tj T*"
