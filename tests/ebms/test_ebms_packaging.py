# SPDX-License-Identifier: EUPL-1.2

"""Outgoing bodies, read back by the standard library and by our own parser."""

import email
from email.policy import HTTP

import pytest

from adapter.ebms.content_type import parse_content_type
from adapter.ebms.mime import MultipartParser, PartBegin, PartData
from adapter.ebms.packaging import OutgoingPayload, PackagingProblem, content_disposition, package_message

ENVELOPE = b"<?xml version='1.0'?><Envelope/>"


def payload(
    content_id="p1@us", octets=b"one\r\n\x00two\r", content_type="application/xml", name=None, size=None
):
    return OutgoingPayload(
        content_id,
        content_type,
        len(octets) if size is None else size,
        name,
        lambda: [octets[:3], octets[3:]],
    )


def read(body):
    return b"".join(body.stream_sync())


def test_a_message_without_payloads_is_plain_xml():
    body = package_message(ENVELOPE)
    assert dict(body.headers) == {
        "SOAPAction": '"ebXML"',
        "Content-Type": "text/xml; charset=UTF-8",
        "Content-Length": str(len(ENVELOPE)),
    }
    assert read(body) == ENVELOPE


def test_a_message_with_payloads_has_the_soap_part_first_and_named():
    body = package_message(ENVELOPE, [payload(), payload("p2@us", b"%PDF", "application/pdf")], start="s@us")
    content_type = parse_content_type(dict(body.headers)["Content-Type"])
    assert content_type.media_type == "multipart/related"
    assert content_type.parameters["type"] == "text/xml"
    assert content_type.parameters["start"] == "<s@us>"
    octets = read(body)
    assert len(octets) == body.content_length == int(dict(body.headers)["Content-Length"])
    header = f"Content-Type: {dict(body.headers)['Content-Type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(header + octets, policy=HTTP).get_payload()
    assert [part["Content-ID"] for part in parts] == ["<s@us>", "<p1@us>", "<p2@us>"]
    assert [part["Content-Transfer-Encoding"] for part in parts] == ["binary"] * 3
    assert parts[0].get_content_type() == "text/xml"


def test_our_own_parser_reads_the_exact_octets_back():
    body = package_message(ENVELOPE, [payload(octets=b"\r\n--x\r\n"), payload("p2@us", b"")], start="s@us")
    boundary = parse_content_type(dict(body.headers)["Content-Type"]).parameters["boundary"]
    parser = MultipartParser(boundary.encode())
    events = parser.feed(read(body)) + parser.close()
    parts = []
    for event in events:
        if isinstance(event, PartBegin):
            parts.append([event.headers.content_id, b""])
        elif isinstance(event, PartData):
            parts[-1][1] += event.data
    assert parts == [["s@us", ENVELOPE], ["p1@us", b"\r\n--x\r\n"], ["p2@us", b""]]


def test_an_attempt_later_gives_the_same_octets_and_headers():
    first, second = (package_message(ENVELOPE, [payload()]) for _ in range(2))
    assert first.headers == second.headers
    assert read(first) == read(first) == read(second)


def test_a_single_part_can_be_a_multipart():
    body = package_message(ENVELOPE, multipart=True)
    assert dict(body.headers)["Content-Type"].startswith("multipart/related; ")


def test_a_multipart_with_payloads_cannot_be_plain():
    with pytest.raises(PackagingProblem):
        package_message(ENVELOPE, [payload()], multipart=False)


def test_parts_can_go_without_transfer_encoding():
    assert b"Transfer" not in read(package_message(ENVELOPE, [payload()], transfer_encoding=False))


async def test_payloads_are_streamed_asynchronously():
    opened = []

    async def chunks():
        opened.append(1)
        yield b"ab"
        yield b"cd"

    body = package_message(ENVELOPE, [OutgoingPayload("a@us", "text/plain", 4, None, chunks), payload()])
    assert opened == []
    octets = b"".join([chunk async for chunk in body.stream()])
    assert len(octets) == body.content_length
    assert b"\r\n\r\nabcd\r\n--" in octets
    with pytest.raises(PackagingProblem, match="asynchronously"):
        read(body)


@pytest.mark.parametrize("size", [0, 8, 10, 1000])
async def test_a_payload_of_another_size_than_announced_is_a_problem(size):
    body = package_message(ENVELOPE, [payload(octets=b"123456789", size=size)])
    with pytest.raises(PackagingProblem, match="octets"):
        read(body)
    with pytest.raises(PackagingProblem, match="octets"):
        [chunk async for chunk in body.stream()]


@pytest.mark.parametrize("content_id", ["", "a b", "a>b", "<a>", "a\r\nX: y", "é", "soap-part", "a" * 600])
def test_an_unusable_content_id_is_a_problem(content_id):
    with pytest.raises(PackagingProblem):
        package_message(ENVELOPE, [payload(content_id)])


def test_a_content_id_used_twice_is_a_problem():
    with pytest.raises(PackagingProblem, match="twice"):
        package_message(ENVELOPE, [payload(), payload()])


@pytest.mark.parametrize(
    "content_type", ["", "xml", "text/xml\r\nX: y", "multipart/mixed; boundary=a", "text/é"]
)
def test_an_unusable_media_type_is_a_problem(content_type):
    with pytest.raises(PackagingProblem):
        package_message(ENVELOPE, [payload(content_type=content_type)])


@pytest.mark.parametrize("boundary", ["", "a b", "a\r\nb", "a" * 71, 'a"'])
def test_an_unusable_boundary_is_a_problem(boundary):
    with pytest.raises(PackagingProblem):
        package_message(ENVELOPE, [payload()], boundary=boundary)


def test_a_negative_size_is_a_problem():
    with pytest.raises(PackagingProblem):
        package_message(ENVELOPE, [payload(size=-1)])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.pdf", 'attachment; filename="a.pdf"'),
        ("é.pdf", "attachment; filename=\"_.pdf\"; filename*=UTF-8''%C3%A9.pdf"),
        ('a"; x="b', "attachment; filename=\"a__ x=_b\"; filename*=UTF-8''a%22%3B%20x%3D%22b"),
        ("a\r\nX-Evil: 1", "attachment; filename=\"a__X-Evil_ 1\"; filename*=UTF-8''aX-Evil%3A%201"),
        ("../../etc", "attachment; filename=\".._.._etc\"; filename*=UTF-8''..%2F..%2Fetc"),
    ],
)
def test_a_file_name_cannot_break_out_of_its_header(name, expected):
    assert content_disposition(name) == expected
    octets = read(package_message(ENVELOPE, [payload(name=name)]))
    assert f"Content-Disposition: {expected}\r\n".encode() in octets


def test_a_file_name_with_a_lone_surrogate_is_written():
    assert content_disposition("a\ud800") == "attachment; filename=\"a_\"; filename*=UTF-8''a%3F"
