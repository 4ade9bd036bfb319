# SPDX-License-Identifier: EUPL-1.2

"""What objects are called at a server: the same for the same verzoek and document, always; and texts that fit there."""

import hashlib
import re
from typing import Final

MAX_IDENTIFICATIE: Final = 40
_DIGEST: Final = 12
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def identificatie(prefix: str, readable: str, *parts: str) -> str:
    """An identificatie of at most 40 letters, digits, `-` and `_`, made of a prefix and of what identifies the object.

    `readable` is for people, and cut or cleaned where it has to be; 48 bits of a digest over `parts` tell objects
    apart.
    """
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    room = MAX_IDENTIFICATIE - len(prefix) - _DIGEST - 1
    return f"{prefix}{_UNSAFE.sub('_', readable)[:room]}-{digest}"


def bounded(text: str, length: int) -> str:
    """A text in at most `length` characters, on one line, with an ellipsis where it was cut."""
    cleaned = " ".join(printable(text).split())
    return cleaned if len(cleaned) <= length else f"{cleaned[: length - 1].rstrip()}…"


def printable(text: str) -> str:
    """A text without what cannot be seen: controls, and marks that turn the direction of reading."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
