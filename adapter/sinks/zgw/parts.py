# SPDX-License-Identifier: EUPL-1.2

"""The content of a large document: sent by bestandsdelen, as it is read, and gone on with where it stopped (ZGW
Documenten API 1.1 and later).

The server says into how many parts, and how large each is; it keeps the document locked until the last one is there.
Which parts it has is asked, never remembered.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from adapter.delivery import HandoverFile, Permanent, StepFailed, Temporary
from adapter.sinks.zgw.client import ZgwClient, text_in
from adapter.sinks.zgw.registration import permanent

_BOUNDARY: Final = "stam-adapter-bestandsdeel-5f3c1b8e72d94a06"


@dataclass(frozen=True, slots=True)
class Part:
    """One bestandsdeel: octets `start` to `start + size` of the content."""

    url: str
    start: int
    size: int
    is_there: bool
    lock: str


async def send_parts(client: ZgwClient, document: Mapping[str, Any], file: HandoverFile) -> None:
    """Sends the parts that the server does not have yet, and unlocks the document.

    Raises StepFailed; ContentDamaged and ContentUnavailable, from reading the file, pass, and the server then has
    not got the part that was being sent.
    """
    parts = _parts(document, file)
    for number, part in enumerate(parts, 1):
        if not part.is_there:
            await _send(client, part, file, f"sending part {number} of {len(parts)} of {file.path}")
    lock = str(document.get("lock") or "") or next((part.lock for part in parts if part.lock), "")
    url = text_in(document, "url", "document")
    await client.order(f"{url}/unlock", {"lock": lock}, f"unlocking {file.path}")


def is_incomplete(document: Mapping[str, Any]) -> bool:
    """Whether a document waits for parts of its content, and not for somebody who changes it."""
    return bool(document.get("locked")) and bool(document.get("bestandsdelen"))


def _parts(document: Mapping[str, Any], file: HandoverFile) -> list[Part]:
    """The parts in their order; StepFailed where they do not make up the file."""
    listed = document.get("bestandsdelen")
    described = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    parts: list[Part] = []
    start = 0
    for one in sorted(described, key=lambda each: _number(each, "volgnummer")):
        size = _number(one, "omvang")
        url = text_in(one, "url", "bestandsdeel")
        parts.append(Part(url, start, size, one.get("voltooid") is True, str(one.get("lock") or "")))
        start += size
    if start != file.size:
        raise permanent(
            f"{file.path}: the server asks for {len(parts)} parts of together {start} bytes, and the file has "
            f"{file.size}; remove the document {document.get('url')} there, then retry"
        )
    return parts


def _number(part: Mapping[str, Any], key: str) -> int:
    value = part.get(key)
    if not isinstance(value, int):
        raise StepFailed(Temporary(f"bestandsdeel: the answer cannot be used: it has no {key}"), undone=False)
    return value


async def _send(client: ZgwClient, part: Part, file: HandoverFile, what: str) -> None:
    head, tail = _form(part.lock)
    failures: list[Exception] = []
    headers = {
        "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
        "Content-Length": str(len(head) + part.size + len(tail)),
    }
    body = _body(head, _slice(file, part.start, part.size), tail, failures)
    try:
        await client.put(part.url, headers, body, what)
    except StepFailed:
        if failures:  # the request failed because there was nothing good to send
            raise failures[0] from None
        raise


def _form(lock: str) -> tuple[bytes, bytes]:
    """What goes before and after the content in a form of two fields (RFC 7578)."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="lock"\r\n\r\n{lock}\r\n'
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="inhoud"; filename="inhoud"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode(), f"\r\n--{_BOUNDARY}--\r\n".encode()


async def _body(
    head: bytes, content: AsyncIterable[bytes], tail: bytes, failures: list[Exception]
) -> AsyncIterator[bytes]:
    yield head
    try:
        async for chunk in content:
            yield chunk
    except Exception as error:  # told as a broken connection by the client, so kept for who asked
        failures.append(error)
        raise
    yield tail


async def _slice(file: HandoverFile, start: int, size: int) -> AsyncGenerator[bytes, None]:
    """Octets of a file. Of its last ones none leave here before all of it was found to be undamaged."""
    end = start + size
    held = b""
    position = 0
    async with aclosing(file.open()) as chunks:
        async for chunk in chunks:
            wanted = chunk[max(0, start - position) : max(0, end - position)]
            position += len(chunk)
            if wanted:
                if held:
                    yield held
                held = wanted
            if position >= end and end < file.size:
                break
    if position < end:
        raise StepFailed(Permanent(f"{file.path} ended before its {file.size} bytes were read"), undone=True)
    if held:
        yield held
