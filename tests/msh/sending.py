# SPDX-License-Identifier: EUPL-1.2

"""Messages that we sent, and wait for; signals of the partner about them, right or wrong; agreements that differ from
the usual.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from lxml import etree

from adapter.ebms import (
    Acknowledgment,
    EbmsError,
    ErrorCode,
    MessageHeader,
    OutgoingPayload,
    Severity,
    SignalAction,
    build_acknowledgment,
    build_message_error,
    package_message,
    reference_digests,
    reply_header,
    serialize,
    sign_envelope,
    signatures_of,
)
from adapter.msh import new_message_id
from adapter.pki import KeyPair
from adapter.simulator import World
from adapter.store import (
    EndpointOverride,
    StoredMessage,
    StoredPayload,
    message_payloads,
    put_endpoint_override,
)
from tests.msh.house import House, Made, Request, envelope_of, wrap

HOUR = timedelta(hours=1)
INTERVAL = 3 * HOUR
TYPES = (
    "application/xml",
    "application/pdf",
    'text/plain; charset="iso-8859-1"',
    "image/png",
    "application/zip",
)
"""Of the payloads below, each its own."""


def payloads() -> list[bytes]:
    """Five of which each goes wrong in its own way when it is not taken octet by octet; one has a file."""
    return [
        "<gemeente>Súdwest-Fryslân</gemeente>\r\n".encode(),
        b"%PDF-1.7\r\n\r\n--=_part_\n\x00\xff",
        "één\nregel".encode("latin-1"),
        b"",
        bytes(range(256)) * 512,
    ]


async def until_answered(house: House, message: StoredMessage, attempt: int = 1) -> StoredMessage:
    """Wait until an attempt is over, and the next one is due at its time."""

    async def so() -> bool:
        if (await house.reload(message)).attempts != attempt:
            return False
        # In this order: a job seen ready before the attempt was counted may be under way by now.
        return [job.state for job in await house.jobs() if job.subject == message.id] == ["ready"]

    await house.until(so)
    return await house.reload(message)


async def next_attempt(house: House, message: StoredMessage) -> StoredMessage:
    """Let the interval pass, and wait until the attempt that is then due is over."""
    attempt = (await house.reload(message)).attempts
    house.pass_time(INTERVAL)
    return await until_answered(house, message, attempt + 1)


async def sent(house: House, name: str = "rms", *octets: bytes) -> StoredMessage:
    """A message that was sent once and waits."""
    return await until_answered(house, await house.submit(name, *octets))


async def override(house: House, authority: str, destination: str) -> None:
    source = f"https://localhost:{house.world.ports.dso_ebms}/ebms"
    await house.db.write(
        put_endpoint_override, EndpointOverride(authority, source, destination), house.clock()
    )


def references_of(message: StoredMessage) -> tuple[etree._Element, ...]:
    """Copies of the references in our signature."""
    found = signatures_of(etree.fromstring(message.envelope))
    return tuple(etree.fromstring(one.element) for one in reference_digests(found[0][0])) if found else ()


def reply(message: StoredMessage, action: SignalAction, house: House, **changes: Any) -> MessageHeader:
    header = reply_header(
        envelope_of(message.envelope).header,
        action,
        message_id=new_message_id("dso.example"),
        now=house.clock(),
    )
    return replace(header, **changes)


def acknowledgment(
    house: House,
    message: StoredMessage,
    *,
    references: Sequence[etree._Element] | None = None,
    signer: KeyPair | None = None,
    signed: bool = True,
    before: Callable[[etree._Element], None] | None = None,
    **changes: Any,
) -> Made:
    """An Acknowledgment of a message of ours, right but for what a test changes."""
    header = reply(message, SignalAction.ACKNOWLEDGMENT, house, **changes)
    named = references_of(message) if references is None else tuple(references)
    root = build_acknowledgment(header, Acknowledgment(house.clock(), message.message_id, named))
    if before is not None:
        before(root)
    if signed:
        keys = signer or house.keys["dso"]
        sign_envelope(root, private_key=keys.private_key, certificate=keys.certificate)
    return Made(header, serialize(root), ())


def error(
    house: House,
    message: StoredMessage,
    *codes: ErrorCode,
    severity: Severity = Severity.ERROR,
    **changes: Any,
) -> Made:
    """A MessageError about a message of ours."""
    header = reply(message, SignalAction.MESSAGE_ERROR, house, **changes)
    found = tuple(EbmsError(code, f"/place/of/{code.value}", severity=severity) for code in codes)
    return Made(header, serialize(build_message_error(header, found)), ())


async def say(house: House, made: Made, keys: str = "dso") -> int:
    """Post a signal in a session of its own; the HTTP status."""
    return (await house.post(plain(made), keys=keys)).status


def plain(made: Made) -> Request:
    return wrap(made, plain=True)


async def body_of(house: House, message: StoredMessage) -> bytes:
    """The octets of the body as they must be at every attempt, from what is stored."""
    stored: tuple[StoredPayload, ...] = await house.db.read(message_payloads, message.id)
    spool = house.spool()
    described = [
        OutgoingPayload(
            p.content_id or "",
            p.content_type or "",
            p.content.size,
            p.name,
            lambda p=p: spool.open(p.content),
        )
        for p in stored
    ]
    return b"".join([chunk async for chunk in package_message(message.envelope, described).stream()])


def with_cpa(
    world: World, folder: Path, name: str, *changes: tuple[str | re.Pattern[str], str]
) -> dict[str, dict[str, str]]:
    """Settings of a daemon whose authority has its agreement with changes in the text."""
    text = (world.directory / "cpa" / f"{name}.xml").read_text()
    for old, new in changes:
        text, number = re.subn(old if isinstance(old, re.Pattern) else re.escape(old), new, text)
        assert number, old
    path = folder / f"{name}-changed.xml"
    path.write_text(text)
    return {"replacing": {f'cpas = ["cpa/{name}.xml"': f'cpas = ["{path}"'}}
