# SPDX-License-Identifier: EUPL-1.2

"""Names that came from outside, made safe to be the name of a file or directory.

Two kinds of name leave this module. A *key* (`safe_name`, `delivery_name`, `message_name`) stands for one
text for ever: it is the directory of a delivery, so two different texts never share one, and a text that had
to be changed carries a short digest of the original after a `~`. A *file name* (`unique_names`) is for the
eyes of whoever opens the directory: it stays as close to the original as it can, and a number tells equal
ones apart within one directory.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

_MAX_BYTES = 200  # staging dot, "-r12" and ".json" still fit in the 255 bytes that file systems allow
_MIN_BYTES = 48  # room for a digest, a number and an extension
_EMPTY = "unnamed"
_DIGEST_CHARS = 10

_FORBIDDEN = frozenset('<>:"/\\|?*')
# Controls, invisible and direction-changing characters, lone surrogates, unassigned ones, line and paragraph
# separators.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
_RESERVED = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"}
)
# What is longer, or has other characters in it, is not an extension but the rest of a sentence.
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,15}\Z")
_MARKED = re.compile(rf"~[0-9a-f]{{{_DIGEST_CHARS}}}(\.[A-Za-z0-9]{{1,15}})?\Z")


def safe_name(text: str, *, max_bytes: int = _MAX_BYTES) -> str:
    """The one safe key of a text: NFC, without separators, control characters, leading dots, trailing dots or
    spaces, not a device name of Windows, never empty, and at most `max_bytes` of UTF-8, with its extension
    kept.

    A text that is safe already comes back as it is; any other gets `~` and ten hexadecimal digits of its
    SHA-256 before its extension, so that different texts have different keys. ValueError when `max_bytes` is
    under 48.
    """
    _check_bound(max_bytes)
    cleaned = _bounded(_cleaned(text), max_bytes)
    # A text that only looks as if it carried our digest gets one too: else it could be made to equal
    # another's key.
    if cleaned == text and not _MARKED.search(text):
        return text
    return _marked(cleaned, text, max_bytes)


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Safe file names for one directory, in the order given; one that differs from an earlier one in nothing
    but upper and lower case gets `-2`, `-3`, … before its extension.
    """
    taken: set[str] = set()
    counters: dict[str, int] = {}
    result = []
    for name in names:
        cleaned = _bounded(_cleaned(name), _MAX_BYTES)
        candidate = cleaned
        number = counters.get(_folded(cleaned), 1)
        while _folded(candidate) in taken:
            number += 1
            candidate = _with_suffix(cleaned, f"-{number}", _MAX_BYTES)
        counters[_folded(cleaned)] = number
        taken.add(_folded(candidate))
        result.append(candidate)
    return tuple(result)


def delivery_name(verzoeknummer: str, volgnummer: str | int) -> str:
    """The key `<verzoeknummer>-<volgnummer>` of a delivery of flow stam, safe for a path (STAM: the
    verzoeknummer stays the same over Aanvullen and Intrekken, the volgnummer tells them apart).
    """
    text = f"{verzoeknummer}-{volgnummer}"
    if "-" not in str(volgnummer):
        return safe_name(text)
    # The last hyphen would no longer tell where the verzoeknummer ends: "1-2" and "3" must not meet "1" and
    # "2-3".
    return _marked(_bounded(_cleaned(text), _MAX_BYTES), f"{verzoeknummer}\0{volgnummer}", _MAX_BYTES)


def sink_lane(authority: str, sink: str) -> str:
    """The lane of the jobs that deliver to a sink."""
    return f"sink:{authority}/{sink}"


def message_name(message_id: str, reception: int = 1) -> str:
    """The key of a delivery of flow message: the MessageId made safe, with `-n` from the second reception of
    a best-effort message on (such a message is delivered each time it is received).
    """
    key = safe_name(message_id)
    return key if reception <= 1 else f"{key}-{reception}"


def _check_bound(max_bytes: int) -> None:
    if max_bytes < _MIN_BYTES:
        raise ValueError(f"max_bytes is {max_bytes}; a safe name needs at least {_MIN_BYTES}")


def _cleaned(text: str) -> str:
    """The text with everything replaced or removed that a file system or a person could trip over, of any
    length.
    """
    normal = unicodedata.normalize("NFC", text)
    name = "".join("_" if _is_forbidden(char) else char for char in normal)
    name = name.strip().rstrip(". ")
    without_dots = name.lstrip(".")
    name = "_" * (len(name) - len(without_dots)) + without_dots
    if name.partition(".")[0].rstrip().upper() in _RESERVED:
        name = f"_{name}"
    return name or _EMPTY


def _is_forbidden(char: str) -> bool:
    return char in _FORBIDDEN or unicodedata.category(char) in _FORBIDDEN_CATEGORIES


def _marked(cleaned: str, original: str, max_bytes: int) -> str:
    digest = hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest()
    return _with_suffix(cleaned, f"~{digest[:_DIGEST_CHARS]}", max_bytes)


def _with_suffix(name: str, suffix: str, max_bytes: int) -> str:
    """The name with a suffix before its extension, its stem cut so that the whole fits."""
    stem, extension = _split(name)
    room = max_bytes - len(suffix.encode()) - len(extension.encode())
    return f"{_cut(stem, room)}{suffix}{extension}"


def _bounded(name: str, max_bytes: int) -> str:
    return name if len(name.encode()) <= max_bytes else _with_suffix(name, "", max_bytes)


def _split(name: str) -> tuple[str, str]:
    """Stem and extension (with its dot); the extension is empty where there is none worth keeping."""
    found = _EXTENSION.search(name)
    return (name[: found.start()], found.group()) if found and found.start() else (name, "")


def _cut(stem: str, room: int) -> str:
    if len(stem.encode()) <= room:
        return stem
    return stem.encode()[:room].decode(errors="ignore").rstrip(". ")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
