# SPDX-License-Identifier: EUPL-1.2

"""Messages of the partner that are to be taken."""

from tests.msh.house import House, Made, Part, Request

BINARY = Part(b"\x00\r\n\r--=_border\n\xff" * 40, content_type="application/octet-stream")


async def accepted(house: House, made: Made, request: Request | None = None, deliveries: int = 1) -> None:
    """Send a message; assert that it is taken, acknowledged in order, and delivered."""
    response = await house.send(made, request)
    assert (response.status, response.body) == (204, b"")
    signal = await house.answer(made)
    assert (signal.action, signal.problems) == ("Acknowledgment", ())
    assert await house.deliveries() == deliveries


async def acknowledgments(house: House, made: Made) -> list[bytes]:
    return [s.envelope for s in house.dso.msh.received if s.ref_to_message_id == made.id]
