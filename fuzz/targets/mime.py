# SPDX-License-Identifier: EUPL-1.2

"""A request as it comes to the endpoint: the first line is its Content-Type, the rest is its body."""

from adapter.ebms import (
    ContentTypeProblem,
    Event,
    MimeProblem,
    MultipartParser,
    PartBegin,
    PartData,
    PartEnd,
    PartProblem,
    parse_content_type,
)

_SIZES = (1, 2, 7, 64)

Part = tuple[bytes, bytes, bool]
"""The headers of a part as received, its octets, and whether it was sound."""


def one_input(data: bytes) -> None:
    """Split a body; it must come apart alike in whatever pieces it arrives."""
    first, _, body = data.partition(b"\n")
    try:
        boundary = parse_content_type(first.decode("latin-1")).parameters.get("boundary", "")
        MultipartParser(boundary.encode("latin-1", "replace"))
    except (ContentTypeProblem, MimeProblem):
        return
    marker = boundary.encode("latin-1", "replace")
    whole = _split(marker, body, len(body) or 1)
    for size in _SIZES:
        if len(body) // size < 2000:
            pieces = _split(marker, body, size)
            assert pieces == whole, f"in pieces of {size} octets it reads otherwise"


def _split(boundary: bytes, body: bytes, size: int) -> list[Part] | None:
    """The sound parts with their octets, and the broken ones; None where the body is refused."""
    parser = MultipartParser(boundary)
    events: list[Event] = []
    try:
        for at in range(0, len(body), size):
            events += parser.feed(body[at : at + size])
        events += parser.close()
    except MimeProblem:
        return None
    return _parts(events)


def _parts(events: list[Event]) -> list[Part]:
    parts: list[Part] = []
    is_open = False
    for event in events:
        match event:
            case PartBegin(headers):
                assert not is_open
                is_open = True
                parts.append((headers.raw, b"", True))
                _ = headers.content_id, headers.transfer_encoding
            case PartData(data):
                assert is_open
                raw, octets, sound = parts[-1]
                assert data
                assert sound
                parts[-1] = raw, octets + data, True
            case PartProblem(reason):
                assert is_open
                assert reason
                # how much of a broken part came before it broke depends on the pieces
                parts[-1] = parts[-1][0], b"", False
            case PartEnd():
                assert is_open
                is_open = False
    assert not is_open
    return parts
