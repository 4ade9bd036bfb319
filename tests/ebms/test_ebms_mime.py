# SPDX-License-Identifier: EUPL-1.2

"""Multipart bodies, whole, broken and hostile, in chunks of every size."""

import base64
import quopri
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.ebms.mime import (
    MimeLimits,
    MimeProblem,
    MultipartParser,
    PartBegin,
    PartData,
    PartEnd,
    PartProblem,
    content_id_of,
    find_content_id,
    strip_brackets,
)
from tests.memory import measured_peak

BODY = (
    b"preamble\r\n--b=1\r\nContent-Type: text/xml; charset=UTF-8\r\nContent-ID: <s@x>\r\n\r\n<a/>\r\n"
    b"--b=1 \t\r\nCONTENT-ID:\r\n <p1@x>\r\nContent-Type: application/xml\r\n\r\none\r\n--b=12\r\n\n--b=\r"
    b"\r\n--b=1--\r\nepilogue --b=1\r\n"
)
PARTS = [("s@x", b"<a/>", None), ("p1@x", b"one\r\n--b=12\r\n\n--b=\r", None)]


def parse(body, boundary=b"b=1", limits=None, sizes=None):
    """Parts as (content id, octets, problem); the events are checked for their order."""
    parser = MultipartParser(boundary, limits)
    events, position = [], 0
    for size in sizes or [len(body)]:
        events += parser.feed(body[position : position + size])
        position += size
    events += parser.feed(body[position:]) + parser.close()
    parts, opened = [], False
    for event in events:
        assert opened != isinstance(event, PartBegin)
        if isinstance(event, PartBegin):
            parts.append([event.headers.content_id, b"", None])
            opened = True
        elif isinstance(event, PartData):
            assert event.data
            assert parts[-1][2] is None
            parts[-1][1] += event.data
        elif isinstance(event, PartProblem):
            assert parts[-1][2] is None
            parts[-1][2] = event.reason
        else:
            assert isinstance(event, PartEnd)
            opened = False
    assert not opened
    return [tuple(part) for part in parts]


def part(octets, headers=b"Content-ID: <p@x>"):
    return b"--b=1\r\n" + headers + b"\r\n\r\n" + octets + b"\r\n--b=1--"


def test_a_body_is_split_into_its_exact_octets():
    assert parse(BODY) == PARTS


@pytest.mark.parametrize("position", range(len(BODY)))
def test_a_body_is_split_alike_when_it_is_cut_anywhere(position):
    assert parse(BODY, sizes=[position]) == PARTS


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16])
def test_a_body_is_split_alike_in_small_pieces(size):
    assert parse(BODY, sizes=[size] * (len(BODY) // size)) == PARTS


@settings(deadline=None)
@given(
    st.lists(
        st.binary(max_size=300) | st.from_regex(rb"[\r\n\-b=1 ]{0,40}", fullmatch=True),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([b"\r\n", b"\n"]),
    st.lists(st.integers(1, 50), max_size=100),
)
def test_any_payloads_in_any_chunks_come_back(payloads, line_end, sizes):
    boundary = b"----=_x"
    while any(boundary in octets for octets in payloads):
        boundary += b"y"
    body = b"".join(
        b"--" + boundary + line_end + b"Content-ID: <%d>" % number + line_end * 2 + octets + line_end
        for number, octets in enumerate(payloads)
    )
    found = parse(body + b"--" + boundary + b"--", boundary, sizes=sizes)
    # With lone line feeds around the boundary, a CR at the end of a payload looks like part of the line break.
    expected = [octets.removesuffix(b"\r") if line_end == b"\n" else octets for octets in payloads]
    assert found == [(str(number), octets, None) for number, octets in enumerate(expected)]


@settings(deadline=None)
@given(st.binary(max_size=400), st.lists(st.integers(1, 20), max_size=100))
def test_base64_in_any_chunks_comes_back(octets, sizes):
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    body = part(encoded, b"Content-ID: <p@x>\r\nContent-Transfer-Encoding: BASE64")
    assert parse(body, sizes=sizes) == [("p@x", octets, None)]


@settings(deadline=None)
@given(st.binary(max_size=400), st.lists(st.integers(1, 20), max_size=100))
def test_quoted_printable_in_any_chunks_comes_back(octets, sizes):
    octets = octets.replace(b"\r", b"").replace(b"\n", b"")
    encoded = quopri.encodestring(octets, quotetabs=True)
    body = part(encoded, b"Content-ID: <p@x>\r\nContent-Transfer-Encoding: quoted-printable")
    assert parse(body, sizes=sizes) == [("p@x", octets, None)]


@pytest.mark.parametrize(
    ("encoded", "octets"),
    [
        (b"a=3Db", b"a=b"),
        (b"a=3db", b"a=b"),
        (b"soft=\r\n line=  \r\nbreak=\nend", b"soft linebreakend"),
        (b"space  \t \r\nat end \t", b"space\r\nat end"),
        (b"a b", b"a b"),
        (b"keep\r\nbreaks\nas they came\r", b"keep\r\nbreaks\nas they came\r"),
        (b"soft at the end=", b"soft at the end"),
        (b"=0D=0A", b"\r\n"),
        (b"raw \xe9", b"raw \xe9"),
        (b"", b""),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_quoted_printable_is_decoded(encoded, octets, size):
    body = part(encoded, b"Content-ID: <p@x>\r\nContent-Transfer-Encoding: quoted-printable")
    assert parse(body, sizes=[size] * len(body)) == [("p@x", octets, None)]


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        (b"base64", b"AAA"),
        (b"base64", b"AA!A"),
        (b"base64", b"AA==AAAA"),
        (b"base64", b"AAAA=AAA"),
        (b"base64", b"\xff\xff\xff\xff"),
        (b"quoted-printable", b"=ZZ"),
        (b"quoted-printable", b"a=4"),
        (b"quoted-printable", b"= x"),
        (b"quoted-printable", b"a" + b" " * 3000 + b"b"),
        (b"x-uuencode", b"begin"),
        (b"", b"x"),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_a_corrupt_or_unknown_encoding_breaks_the_part_only(encoding, encoded, size):
    first = b"--b=1\r\nContent-ID: <p@x>\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + encoded
    body = first + b"\r\n" + part(b"good", b"Content-ID: <q@x>")
    found = parse(body, sizes=[size] * len(body))
    if (encoding, size) == (b"quoted-printable", 1000) and b"   " in encoded:
        assert found[0][2] is None or "white space" in found[0][2]
    elif encoding == b"":
        assert found[0][1:] == (b"x", None)
    else:
        assert found[0][2]
    assert found[1] == ("q@x", b"good", None)


@pytest.mark.parametrize("encoding", [b"7bit", b"8bit", b"Binary", b' "binary" '])
def test_identity_encodings_leave_the_octets_alone(encoding):
    body = part(b"\x00=41\xff", b"Content-Transfer-Encoding: " + encoding)
    assert parse(body) == [(None, b"\x00=41\xff", None)]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (b"Content-Type: multipart/mixed; boundary=x", "multipart inside"),
        (b"Content-Type: nonsense", "media type"),
        (b"Content-ID: <a>\r\ncontent-id: <b>", "content-id twice"),
        (b"Content-Type: a/b\r\nContent-Type: a/b", "content-type twice"),
        (b"no colon here", "not a header line"),
        (b" folded first: x", "not a header line"),
        (b": no name", "not a header line"),
    ],
)
def test_unusable_headers_break_the_part_only(headers, reason):
    first = b"--b=1\r\n" + headers + b"\r\n\r\nx\r\n"
    found = parse(first + part(b"good"))
    assert reason in found[0][2]
    assert found[0][1] == b""
    assert found[1] == ("p@x", b"good", None)


def test_headers_are_kept_as_received_and_read_in_any_case():
    raw = b"CONTENT-id : <a@b>\r\nX-Folded: one\r\n\ttwo\r\n  three\r\nX-Raw: \xc3\xab\xa0\r\n"
    events = MultipartParser(b"b").feed(b"--b\r\n" + raw + b"\r\nx")
    headers = events[0].headers
    assert headers.raw == raw
    assert headers.content_id == "a@b"
    assert headers.get("x-folded") == "one two three"
    assert headers.get("X-RAW") == "Ã«\xa0"
    assert headers.get("absent") is None
    assert headers.content_type.media_type == "text/plain"
    assert headers.transfer_encoding == "7bit"


def test_a_part_may_be_empty_with_or_without_headers():
    assert parse(b"--b=1\r\n\r\n\r\n--b=1\r\nContent-ID: <a>\r\n\r\n--b=1--") == [
        (None, b"", None),
        ("a", b"", None),
    ]


@pytest.mark.parametrize(
    ("body", "octets"),
    [
        (b"--b=1\n\nx\n--b=1--\n", b"x"),
        (b"--b=1\r\n\r\nx\r\r\n--b=1--", b"x\r"),
        (b"--b=1\r\n\r\nx\r--b=1--\r\n--b=1--", b"x\r--b=1--"),
        (b"--b=1\r\n\r\n--b=1x\r\n--b=1--", b"--b=1x"),
        (b"--b=1\r\n\r\nx\r\n--b=1-\r\n--b=1--", b"x\r\n--b=1-"),
        (b"--b=1\r\n\r\nx\r\n--b=1--y\r\n--b=1--", b"x\r\n--b=1--y"),
        (b"--b=1\r\n\r\nx\r\n --b=1\r\n--b=1--", b"x\r\n --b=1"),
        (b"--b=1\r\n\r\n\r\n\r\n--b=1--  \t", b"\r\n"),
        (b"--b=1\r\n\r\nx\r\n--b=1--\r", b"x"),
        (b"--b=1\r\n\r\n\n\n--b=1--", b"\n"),
        (b"--b=1\r\n\r\nx\r\n--b=1" + b" " * 300 + b"\r\n--b=1--", b"x\r\n--b=1" + b" " * 300),
    ],
)
def test_line_breaks_around_boundaries(body, octets):
    assert parse(body) == [(None, octets, None)]
    assert parse(body, sizes=[1] * len(body)) == [(None, octets, None)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        b"--b=1",
        b"--b=1--",
        b"--b=1\r\n",
        b"--b=1\r\nContent-ID: <a>\r\n",
        b"--b=1\r\n\r\nx",
        b"--b=1\r\n\r\nx\r\n--b=1",
        b"--b=1\r\n\r\nx\r\n--b=1-",
        b"--b=1\r\n\r\nx\r\n--b=1\r\n",
        b"--b=1\r\nContent-ID: <a>\r\n--b=1\r\n\r\nx\r\n--b=1--",
    ],
)
def test_an_incomplete_body_is_a_mime_problem(body):
    with pytest.raises(MimeProblem):
        parse(body)
    with pytest.raises(MimeProblem):
        parse(body, sizes=[1] * len(body))


@pytest.mark.parametrize("boundary", [b"", b"a ", b"a\n", b"a\r\nb", b"a" * 201])
def test_an_unusable_boundary_is_a_mime_problem(boundary):
    with pytest.raises(MimeProblem):
        MultipartParser(boundary)


def test_a_refused_body_stays_refused():
    parser = MultipartParser(b"b")
    with pytest.raises(MimeProblem):
        parser.feed(b"--b--\r\n")
    with pytest.raises(MimeProblem, match="before"):
        parser.feed(b"--b\r\n\r\nx\r\n--b--\r\n")
    with pytest.raises(MimeProblem, match="before"):
        parser.close()


def test_ten_thousand_parts_are_refused_at_once():
    body = b"--b=1\r\n\r\nx\r\n" * 10_000 + b"--b=1--"
    parser = MultipartParser(b"b=1", MimeLimits(parts=50))
    fed = 0

    def feed_all():
        nonlocal fed
        for fed in range(0, len(body), 64):
            parser.feed(body[fed : fed + 64])

    with pytest.raises(MimeProblem, match="more than 50 parts"):
        feed_all()
    assert fed < 1000


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"--b=1\r\nX: " + b"a" * 2000, "headers of a part"),
        (b"--b=1\r\nX: " + b"a" * 2000 + b"\r\n\r\n", "headers of a part"),
        (b"--b=1\r\n" + b"X: a\r\n" * 30, "header lines"),
        (b"--b=1\r\nX: a\r\n" + b" a\r\n" * 30, "header lines"),
        (b"a" * 3000, "outside the parts"),
        (b"--b=1\r\n\r\nx\r\n--b=1--\r\n" + b"a" * 3000, "outside the parts"),
    ],
)
@pytest.mark.parametrize("size", [1, 10_000])
def test_bounds_are_kept(body, reason, size):
    limits = MimeLimits(parts=5, header_bytes=1000, header_lines=20, around_bytes=1000)
    with pytest.raises(MimeProblem, match=reason):
        parse(body, limits=limits, sizes=[size] * (len(body) // size + 1))


def test_memory_does_not_grow_with_a_payload():
    parser = MultipartParser(b"b")
    parser.feed(b"--b\r\n\r\n")
    chunk = b"\r\n--bx" * 10_000
    parser.feed(chunk)
    with measured_peak() as peak:
        total = 0
        for _ in range(30):
            total += sum(len(event.data) for event in parser.feed(chunk))
    assert total > 29 * len(chunk)
    assert peak.octets < 10 * len(chunk)


@pytest.mark.parametrize(
    "content",
    [
        b"\r\n--b=1x" * 100_000,
        b"\r\n--b=1 \t \tx" * 100_000,
        b"\n" * 1_000_000,
        b"\r" * 1_000_000,
        b"-" * 1_000_000,
        b"\n--b=1" + b" " * 1_000_000,
    ],
)
@pytest.mark.parametrize("encoding", [b"binary", b"base64", b"quoted-printable"])
def test_hostile_content_takes_linear_time(content, encoding):
    body = part(content, b"Content-Transfer-Encoding: " + encoding)
    started = time.monotonic()
    parse(body, sizes=[1000] * (len(body) // 1000 + 1))
    assert time.monotonic() - started < 5


def test_content_ids_are_compared_after_decoding_once():
    assert strip_brackets(" <a@b> ") == "a@b"
    assert strip_brackets("a@b") == "a@b"
    assert content_id_of("cid:a%40b") == "a@b"
    assert content_id_of("CID:a%2540b") == "a%40b"
    assert content_id_of("http://x") is None
    assert content_id_of("cid:") is None


@pytest.mark.parametrize(
    ("url", "content_ids", "found"),
    [
        ("cid:a%40b", ["a@b"], "a@b"),
        ("cid:a%40b", ["a%40b"], "a%40b"),
        ("cid:a%40b", ["a%40b", "a@b"], "a@b"),
        ("cid:A@b", ["a@b"], None),
        ("a@b", ["a@b"], None),
        ("cid:a@b", [], None),
    ],
)
def test_a_cid_url_finds_its_content_id(url, content_ids, found):
    assert find_content_id(url, content_ids) == found


def test_a_part_without_content_id_has_none():
    events = MultipartParser(b"b").feed(b"--b\r\nContent-ID: <>\r\n\r\nx")
    assert events[0].headers.content_id is None
