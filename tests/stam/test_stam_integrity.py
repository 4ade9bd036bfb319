# SPDX-License-Identifier: EUPL-1.2

"""What a link or a header announces of a file is understood in the forms in use, and carried along with its address."""

import base64
from typing import Any

import pytest

from adapter.stam import read_references
from adapter.stam.integrity import Expected, Mismatch, Tally, header_digests

SHA256 = "ab" * 32
SHA512 = "cd" * 64
BASE64 = base64.b64encode(bytes.fromhex(SHA256)).decode()


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, Expected()),
        ({"size": 12}, Expected(12)),
        ({"omvang": "12"}, Expected(12)),
        ({"bestandsomvang": 0}, Expected(0)),
        ({"contentLength": 12}, Expected(12)),
        ({"size": "12 kB"}, Expected()),
        ({"size": -1}, Expected()),
        ({"size": True}, Expected()),
        ({"sha256": SHA256}, Expected(digests={"sha-256": SHA256})),
        ({"sha256": SHA256.upper()}, Expected(digests={"sha-256": SHA256})),
        ({"hash": BASE64}, Expected(digests={"sha-256": SHA256})),
        ({"hash": f"sha-256=:{BASE64}:"}, Expected(digests={"sha-256": SHA256})),
        ({"checksum": f"SHA256:{SHA256}"}, Expected(digests={"sha-256": SHA256})),
        ({"checksum": SHA512}, Expected(digests={"sha-512": SHA512})),
        ({"sha256": SHA256, "sha512": SHA512}, Expected(digests={"sha-256": SHA256, "sha-512": SHA512})),
        (
            {"integriteit": {"algoritme": "sha_256", "waarde": SHA256}},
            Expected(digests={"sha-256": SHA256}),
        ),
        ({"integriteit": {"algoritme": "sha3-256", "waarde": SHA256}}, Expected()),
        ({"checksum": "d41d8cd98f00b204e9800998ecf8427e"}, Expected()),
        ({"hash": "geen idee"}, Expected()),
        ({"hash": 12, "checksum": None}, Expected()),
    ],
)
def test_what_a_link_announces(properties: dict[str, Any], expected: Expected) -> None:
    assert Expected.of_link(properties) == expected


@pytest.mark.parametrize(
    "expected",
    [
        Expected(),
        Expected(0),
        Expected(12, {"sha-256": SHA256}),
        Expected(digests={"sha-512": SHA512, "sha-256": SHA256}),
    ],
)
def test_an_address_carries_it_and_is_itself_again_without_it(expected: Expected) -> None:
    href = "https://dso.example/d%20e?sleutel=a%26b"
    assert Expected.split(expected.on(href)) == (href, expected)


def test_the_references_give_it_with_each_link() -> None:
    data = f'{{"_links": {{"document": {{"href": "/d#x", "size": 3, "sha256": "{SHA256}"}}}}}}'.encode()
    (link,) = read_references(data, "https://dso.example/v").documents
    assert link.address == f"https://dso.example/d#size=3&sha-256={SHA256}"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Repr-Digest": f"sha-256=:{BASE64}:"}, {"sha-256": SHA256}),
        ({"Repr-Digest": f"md5=:AAAA:, sha-256=:{BASE64}:"}, {"sha-256": SHA256}),
        ({"Digest": f"SHA-256={BASE64},adler32=03da0195"}, {"sha-256": SHA256}),
        ({"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, {"md5": "d41d8cd98f00b204e9800998ecf8427e"}),
        ({"Repr-Digest": "sha-256=:AAAA:"}, {}),
        ({"Repr-Digest": "onzin"}, {}),
        ({"Content-MD5": "onzin"}, {}),
        ({}, {}),
    ],
)
def test_what_headers_announce(headers: dict[str, str], expected: dict[str, str]) -> None:
    assert header_digests(headers) == expected


def test_link_and_header_must_both_be_right() -> None:
    empty = {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
    Tally(Expected(0), empty).check(0)
    with pytest.raises(Mismatch, match="sha-256"):
        Tally(Expected(0, {"sha-256": SHA256}), empty).check(0)
    with pytest.raises(Mismatch, match="1 were announced"):
        Tally(Expected(1), empty).check(0)
    tally = Tally(Expected(), empty)
    tally.add(b"x")
    with pytest.raises(Mismatch, match="md5"):
        tally.check(1)
