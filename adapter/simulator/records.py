# SPDX-License-Identifier: EUPL-1.2

"""What the simulated DSO-LV sends and gets back, as it was on the wire."""

from collections.abc import Mapping
from dataclasses import dataclass

from adapter.ebms import (
    Envelope,
    MultipartParser,
    OutgoingBody,
    PartBegin,
    PartData,
    ReferenceDigest,
    parse_content_type,
    read_envelope,
)


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload to send, whole in memory: what DSO-LV sends over ebMS is small."""

    content: bytes
    content_type: str = "application/xml"
    name: str | None = None


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that was sent: its octets, how its signature refers to them, and the HTTP answer.

    `status` is None where the connection was cut before there was an answer, or the message got lost; `retry_after`
    is the header of that name, if any.
    """

    message_id: str
    conversation_id: str
    cpa_id: str
    body: OutgoingBody
    envelope: bytes
    references: tuple[ReferenceDigest, ...]
    status: int | None
    response: bytes = b""
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class ReceivedSignal:
    """A signal that came back, in the HTTP response or to our endpoint.

    `problems` says what is wrong with it: an acknowledgment must be signed and hold the references of the message
    where that was asked.
    """

    action: str
    ref_to_message_id: str | None
    envelope: bytes
    problems: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[str, ...]:
        """The error codes, of a MessageError."""
        listed = read_envelope(self.envelope).error_list
        return tuple(error.code for error in listed.errors) if listed is not None else ()


@dataclass(frozen=True, slots=True)
class TakenMessage:
    """A business message that the adapter sent us, with its payloads by Content-ID as they came over the line.

    `types` are the Content-Types of the payloads, `body` the whole body and `headers` those of the request.
    """

    envelope: Envelope
    octets: bytes
    payloads: Mapping[str, bytes]
    types: Mapping[str, str]
    body: bytes
    headers: Mapping[str, str]


def unpack(body: bytes, content_type: str) -> tuple[bytes, Mapping[str, bytes], Mapping[str, str]]:
    """The SOAP part, and payloads and their types by Content-ID; the SOAP part comes first, as the adapter sends it."""
    parsed = parse_content_type(content_type)
    if not parsed.is_multipart:
        return body, {}, {}
    parser = MultipartParser(parsed.parameters.get("boundary", "").encode("latin-1", "replace"))
    parts: list[tuple[str, bytearray]] = []
    types: dict[str, str] = {}
    for event in (*parser.feed(body), *parser.close()):
        match event:
            case PartBegin(headers):
                parts.append((headers.content_id or "", bytearray()))
                types[headers.content_id or ""] = headers.get("Content-Type") or ""
            case PartData(data):
                parts[-1][1].extend(data)
            case _:
                pass
    payloads = {content_id: bytes(data) for content_id, data in parts[1:]}
    return bytes(parts[0][1]), payloads, {content_id: types[content_id] for content_id in payloads}
