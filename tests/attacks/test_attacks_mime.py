# SPDX-License-Identifier: EUPL-1.2

"""Attacks by the parts of a message, by name, beside those of docs/bad-input.md, against a running daemon."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.msh.house import House, Part, Request, wrap

LINE = b"--=_border"

Attack = Callable[[Request], Request]


def body(old: bytes, new: bytes) -> Attack:
    """Replaces octets of the body, the first time they occur."""

    def change(request: Request) -> Request:
        assert old in request.body
        return replace(request, body=request.body.replace(old, new, 1))

    return change


def content_type(old: str, new: str) -> Attack:
    """Replaces text of the Content-Type of the message."""

    def change(request: Request) -> Request:
        value = request.headers["Content-Type"]
        assert old in value
        return replace(request, headers={**request.headers, "Content-Type": value.replace(old, new)})

    return change


def behind(octets: bytes) -> Attack:
    return lambda request: replace(request, body=request.body + octets)


ATTACKS: dict[str, Attack] = {
    "a flood before the first part": body(LINE, b"x" * 2**17 + b"\r\n" + LINE),
    "a flood behind the last part": behind(b"x" * 2**17),
    "a flood of headers in a part": body(b"Content-ID", b"X: y\r\n" * 5_000 + b"Content-ID"),
    "a header line of 1 MB in a part": body(b"Content-ID", b"X: " + b"y" * 2**20 + b"\r\nContent-ID"),
    "a folded header without end in a part": body(
        b"Content-ID", b"X: y\r\n" + b" y\r\n" * 5_000 + b"Content-ID"
    ),
    "headers of a part without end": body(b"\r\n\r\n<?xml", b"\r\nX: y" * 2**16),
    "two boundaries in the Content-Type": content_type(
        'boundary="=_border"', 'boundary="=_border"; boundary="x"'
    ),
    "an empty boundary": content_type("=_border", ""),
    "a boundary of 1 kB": content_type("=_border", "x" * 1024),
    "a boundary with a line break in it": content_type("=_border", "=_\tborder"),
    "a boundary among the headers of a part": body(b"Content-ID", LINE + b"\r\nContent-ID"),
    "two types of the SOAP part": body(b"Content-Type:", b"Content-Type: text/html\r\nContent-Type:"),
    "a SOAP part that is encoded twice over": body(
        b"Content-ID", b"Content-Transfer-Encoding: x-gzip\r\nContent-ID"
    ),
    "no part at all": lambda request: replace(request, body=LINE + b"--\r\n"),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_attack_by_the_parts_is_refused(house: House, attack: str) -> None:
    response = await house.post(ATTACKS[attack](wrap(house.draft().make())))
    assert response.status in {415, 500}
    assert house.lines("request.failed") == []
    assert len([line for line in house.logs if line["action"] in {"request.fault", "request.refused"}]) == 1
    await house.assert_nothing_kept()


async def test_a_boundary_in_a_payload_does_not_make_a_part_of_it(house: House) -> None:
    """Nothing that is not at the start of a line, whole, ends a part; what is signed is what is delivered."""
    part = Part(b"x --=_border\r\n--=_borderline\r\n --=_border--\r\n--=_border-\r\ny")
    made = house.draft(parts=[part]).make()
    assert (await house.send(made)).status == 204
    await house.answer(made)
    assert await house.deliveries() == 1


async def test_a_part_that_is_smuggled_in_is_not_delivered(house: House) -> None:
    """It is not in the Manifest, and no signature covers it."""
    made = house.draft().make()
    request = wrap(made, parts=[*made.parts, Part(b"<smuggled/>")])
    assert (await house.send(made, request)).status == 204
    await house.at_rest()
    assert await house.count("payload") == len(made.parts)
