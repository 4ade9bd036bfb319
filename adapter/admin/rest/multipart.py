# SPDX-License-Identifier: EUPL-1.2

"""Messages as multipart/form-data: payloads of any size pass in fixed memory, to and from the spool.

A message that is sent has a part `requestProperties` (JSON) and a part `attachment` for each payload, in any order; one
that is fetched has `properties` first.
"""

import binascii
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import BodyPartReader, MultipartReader, hdrs, web

from adapter.admin.calls import ApplicationApi, Call, Refused, bad_request
from adapter.admin.rest.bodies import MAX_SMALL_JSON, as_object, load_json, too_large
from adapter.admin.rest.lookup import find_message
from adapter.admin.rest.messages import OCTETS, note_fetched, process_found, wants_processing
from adapter.admin.rest.sending import note_sent, read_wanted, send, spooling
from adapter.admin.rest.states import properties_of
from adapter.admin.streams import streaming
from adapter.msh import SubmittedPayload
from adapter.store import StoredPayload

MAX_PARTS: Final = 1000
"""Most payloads of one message."""

_CHUNK: Final = 256 * 1024
_PROPERTIES: Final = frozenset({"requestProperties", "properties"})
_ATTACHMENTS: Final = frozenset({"attachment", "attachments"})
_ENCODINGS: Final = frozenset({"7bit", "8bit", "binary", "base64"})
_UNSAFE = re.compile(r"[^\x20-\x7e]")


async def send_multipart(call: Call) -> web.StreamResponse:
    """Send a message with its payloads as parts; the answer is its MessageId."""
    if call.request.content_type != "multipart/form-data":
        raise Refused(415, "send it as multipart/form-data")
    try:
        async with spooling(call.api.spool) as payloads:
            wanted = read_wanted(await _read(call, payloads))
    except (ValueError, AssertionError, binascii.Error) as error:  # what the reader of aiohttp raises
        raise bad_request("the body is not multipart/form-data") from error
    return await note_sent(call, await send(call, wanted, tuple(payloads)))


async def get_multipart(call: Call) -> web.StreamResponse:
    """A message with its payloads as parts; with `process=true`, it is marked as dealt with."""
    process = wants_processing(call)
    found = await find_message(call)
    await note_fetched(call, found, process=process)
    boundary = secrets.token_hex(16)
    headers = {hdrs.CONTENT_TYPE: f'multipart/form-data; boundary="{boundary}"'}
    async with streaming(call.request, call.api.metrics, headers) as response:
        properties = json.dumps(properties_of(found.message, found.status(process=process)))
        facts = {"type": "application/json", "id": "properties"}
        await response.write(_head(boundary, "properties", facts) + properties.encode())
        for payload in found.payloads:
            await response.write(b"\r\n" + _head(boundary, "attachment", _facts(payload)))
            async for chunk in call.api.spool.open(payload.content):
                await response.write(chunk)
        if process:  # as for JSON: after the last payload, before the end
            await process_found(call, found)
        await response.write(f"\r\n--{boundary}--\r\n".encode())
    return response


async def _read(call: Call, payloads: list[SubmittedPayload]) -> dict[str, Any]:
    """Read all parts; payloads are added as they land, for who has to remove them. Returns the properties."""
    left = call.api.config().largest_message
    properties: dict[str, Any] | None = None
    reader = await call.request.multipart()
    while (part := await reader.next()) is not None:
        if isinstance(part, MultipartReader):
            raise bad_request("a part is a multipart itself")
        _check_encoding(part)
        if part.name in _PROPERTIES and properties is None:
            octets = await _small(part)
            properties = as_object(load_json(octets), part.name)
        elif part.name in _ATTACHMENTS:
            if len(payloads) == MAX_PARTS:
                raise bad_request(f"there are more than {MAX_PARTS} attachments")
            payloads.append(await _spooled(call.api, part, left))
            left -= payloads[-1].content.size
        else:
            raise bad_request(
                "there may be one part requestProperties, and any number of parts attachment, no others"
            )
    if properties is None:
        raise bad_request("the part requestProperties is missing")
    return properties


def _check_encoding(part: BodyPartReader) -> None:
    encoding = part.headers.get(hdrs.CONTENT_TRANSFER_ENCODING, "binary").lower()
    if encoding not in _ENCODINGS:
        raise bad_request(f"Content-Transfer-Encoding is none of {', '.join(sorted(_ENCODINGS))}")


async def _small(part: BodyPartReader) -> bytes:
    octets = bytearray()
    while chunk := await part.read_chunk(_CHUNK):
        octets += part.decode(chunk)
        if len(octets) > MAX_SMALL_JSON:
            raise too_large(MAX_SMALL_JSON)
    return bytes(octets)


async def _spooled(api: ApplicationApi, part: BodyPartReader, limit: int) -> SubmittedPayload:
    async with api.spool.writer() as writer:
        while chunk := await part.read_chunk(_CHUNK):
            await writer.write(bytes(part.decode(chunk)))
            if writer.size > limit:
                raise too_large(api.config().largest_message)
        content = await writer.commit()
    content_id = part.headers.get("Content-ID")
    return SubmittedPayload(
        content,
        part.headers.get(hdrs.CONTENT_TYPE, OCTETS),
        part.filename,
        content_id.strip().removeprefix("<").removesuffix(">") if content_id else None,
    )


def _facts(payload: StoredPayload) -> Mapping[str, str | None]:
    return {"type": payload.content_type or OCTETS, "id": payload.content_id, "filename": payload.name}


def _head(boundary: str, name: str, facts: Mapping[str, str | None]) -> bytes:
    """The headers of a part; what a partner chose can add no header and leave no quotes."""
    disposition = f'form-data; name="{name}"'
    if facts.get("filename"):
        disposition += f'; filename="{_safe(facts["filename"]).replace(chr(34), "%22")}"'
    lines = [
        f"--{boundary}",
        f"Content-Type: {_safe(facts['type'])}",
        "Content-Transfer-Encoding: binary",
        f"Content-Disposition: {disposition}",
    ]
    if facts.get("id"):
        lines.append(f"Content-ID: <{_safe(facts['id'])}>")
    return "\r\n".join([*lines, "", ""]).encode()


def _safe(text: str | None) -> str:
    return _UNSAFE.sub("_", text or "")
