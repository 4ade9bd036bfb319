# SPDX-License-Identifier: EUPL-1.2

"""What the matrix does not vary, with the reference adapter: payloads, odd agreements, and signals that go astray."""

import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from adapter.ebms import TO_PARTY_MSH, read_envelope
from adapter.msh import MessageStatus
from adapter.simulator import SERVICE, Faults, Payload, SimulatedMsh
from adapter.simulator.world import REPLY
from adapter.store import MessageKind, MessageState, get_message
from tests.interop.conftest import XML, Meeting, note, payloads_of
from tests.interop.line import Trouble
from tests.interop.peer import PeerPayload
from tests.interop.test_interop_matrix import error_codes, is_signed

MEGABYTE = 1_000_000
LARGE = 100
"""Megabytes."""

ROOM = 48 * 1024 * 1024
"""How much the memory of the daemon may grow with a message of twice that size, in octets."""

ACKNOWLEDGMENT = "{http://www.oasis-open.org/committees/ebxml-msg/schema/msg-header-2_0.xsd}Acknowledgment"
ACTOR = "{http://schemas.xmlsoap.org/soap/envelope/}actor"

CONTENTS = (XML, os.urandom(3 * MEGABYTE), "één regel\r\nen nog één\r\n".encode(), b"", b"\x00\xff--=")
KINDS = ("application/xml", "application/pdf", "text/plain", "application/octet-stream", "image/png")
COUNTS = [(name, count) for name in ("be", "rms") for count in (0, 1, 5)]
ENCRYPTED = [("bee", 5), ("rme", 5)]


# --- payloads


@pytest.mark.parametrize(("name", "count"), COUNTS + ENCRYPTED)
async def test_any_number_of_payloads_of_the_peer_arrives_octet_for_octet(
    meeting: Meeting, name: str, count: int
) -> None:
    given = [meeting.payload(*one) for one in zip(CONTENTS[:count], KINDS[:count], strict=True)]
    sent = await meeting.peer.send(meeting.route(name), given)
    assert await meeting.peer.ended(sent) == "DELIVERED", await meeting.peer.attempts(sent)
    assert payloads_of(await meeting.delivered(name, sent)) == list(CONTENTS[:count])


@pytest.mark.parametrize(("name", "count"), COUNTS + ENCRYPTED)
async def test_any_number_of_our_payloads_arrives_octet_for_octet(
    meeting: Meeting, name: str, count: int
) -> None:
    sent = await meeting.ended((await meeting.we_send(name, *CONTENTS[:count])).id)
    assert sent.state in {MessageState.DELIVERED, MessageState.TRANSMITTED}
    got = await meeting.peer.payloads(sent.message_id, meeting.directory / "got")
    assert payloads_of(got) == list(CONTENTS[:count])


def memory(pid: int, name: str) -> int:
    """A line of the memory account of a process, in octets."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (found,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(found.split()[1]) * 1024


@contextmanager
def growth(pid: int, what: str) -> Iterator[None]:
    """Check that the most memory a process ever had is not much more than it has now; note what it was."""
    before, began = memory(pid, "VmRSS"), time.monotonic()
    yield
    grown, took = memory(pid, "VmHWM") - before, time.monotonic() - began
    note(f"{what}: {took:.1f} s, daemon {before / MEGABYTE:.0f} MB + {grown / MEGABYTE:.0f} MB at most")
    assert grown < ROOM


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def test_100_mb_of_the_peer_arrives_in_memory_that_stays_flat(meeting: Meeting) -> None:
    path = meeting.directory / "large"
    path.write_bytes(os.urandom(MEGABYTE) * LARGE)
    with growth(meeting.pid, f"{LARGE} MB in"):
        sent = await meeting.peer.send(meeting.route("large"), [PeerPayload(path)])
        assert await meeting.peer.ended(sent) == "DELIVERED", await meeting.peer.attempts(sent)
        (got,) = await meeting.delivered("large", sent)
    assert len(await meeting.peer.attempts(sent)) == 1
    assert digest_of(got) == digest_of(path)


async def test_100_mb_of_ours_arrives_in_memory_that_stays_flat(meeting: Meeting) -> None:
    content = await meeting.spooled(*[os.urandom(MEGABYTE)] * LARGE)
    with growth(meeting.pid, f"{LARGE} MB out"):
        sent = await meeting.ended((await meeting.submit("large", content)).id)
    assert (sent.state, sent.attempts) == (MessageState.DELIVERED, 1)
    (got,) = await meeting.peer.payloads(sent.message_id, meeting.directory / "got")
    assert digest_of(got.path) == content.sha256


# --- agreements that differ


@pytest.mark.parametrize("name", ["unsignedack", "noactor", "noactorsync", "rmmixed", "rmsmixed"])
async def test_the_peer_takes_our_acknowledgment_under(meeting: Meeting, name: str) -> None:
    sent = await meeting.peer_sends(name, XML)
    assert await meeting.peer.ended(sent) == "DELIVERED", await meeting.peer.attempts(sent)
    assert len(await meeting.peer.attempts(sent)) == 1
    assert payloads_of(await meeting.delivered(name, sent)) == [XML]
    (acknowledgment,) = await meeting.answers(sent, MessageKind.ACKNOWLEDGMENT)
    assert is_signed(acknowledgment.envelope) is (name not in {"unsignedack", "rmmixed"})
    element = etree.fromstring(acknowledgment.envelope).find(f".//{ACKNOWLEDGMENT}")
    assert element is not None
    assert element.get(ACTOR) == (None if "noactor" in name else TO_PARTY_MSH)


@pytest.mark.parametrize("name", ["unsignedack", "noactor", "noactorsync", "rmmixed", "rmsmixed"])
async def test_we_take_the_acknowledgment_of_the_peer_under(meeting: Meeting, name: str) -> None:
    sent = await meeting.ended((await meeting.we_send(name, XML)).id)
    assert (sent.state, sent.attempts) == (MessageState.DELIVERED, 1)
    acknowledgment = await meeting.peer.envelope(await meeting.peer_answer(sent.message_id))
    assert is_signed(acknowledgment) is (name not in {"unsignedack", "rmmixed"})


async def test_what_we_encrypt_as_digikoppeling_asks_the_peer_decrypts(meeting: Meeting) -> None:
    sent = await meeting.ended((await meeting.we_send("gcm", XML)).id)
    assert (sent.state, sent.attempts) == (MessageState.DELIVERED, 1)
    got = await meeting.peer.payloads(sent.message_id, meeting.directory / "got")
    assert payloads_of(got) == [XML]


async def test_the_peer_cannot_encrypt_as_digikoppeling_asks(meeting: Meeting) -> None:
    sent = await meeting.peer_sends("gcm", XML)
    assert await meeting.peer.ended(sent) == "EXPIRED"
    (attempt,) = await meeting.peer.attempts(sent)
    assert "NoSuchAlgorithmException: http://www.w3.org/2009/xmlenc11#aes256-gcm" in (attempt.error or "")


# --- signals that go astray


async def test_an_acknowledgment_that_comes_after_we_gave_up_corrects_the_state(meeting: Meeting) -> None:
    async with meeting.line_to_us("late") as line:
        line.trouble.append(Trouble.HOLD)
        sent = await meeting.ended((await meeting.we_send("late", XML)).id)
        assert sent.state is MessageState.EXPIRED
        line.released.set()
        await meeting.ended(sent.id, MessageState.DELIVERED)
    assert line.seen == ["Acknowledgment"]
    assert meeting.logged("acknowledgment.late", ref=sent.message_id)


async def test_an_acknowledgment_that_comes_twice_changes_nothing(meeting: Meeting) -> None:
    async with meeting.line_to_us("rms") as line:
        line.trouble.append(Trouble.REPEAT)
        sent = await meeting.ended((await meeting.we_send("rms", XML)).id)

        async def came_again() -> bool:
            return bool(meeting.logged("acknowledgment.known", ref=sent.message_id))

        await meeting.until(came_again)
    again = await meeting.db.read(get_message, sent.id)
    assert again == sent
    assert sent.state is MessageState.DELIVERED


async def test_our_acknowledgment_that_comes_after_the_peer_gave_up_is_taken(meeting: Meeting) -> None:
    await meeting.peer.refuse(1_000)
    try:
        sent = await meeting.peer_sends("late", XML)
        assert await meeting.peer.ended(sent) == "EXPIRED"
    finally:
        await meeting.peer.refuse(0)
    (acknowledgment,) = await meeting.answers(sent, MessageKind.ACKNOWLEDGMENT)
    assert (await meeting.ended(acknowledgment.id)).state is MessageState.TRANSMITTED
    assert await meeting.peer.status(sent) == "EXPIRED"
    assert await meeting.peer.events(sent) == ["EXPIRED"]
    assert len(await meeting.delivered("late", sent)) == 1


async def test_our_acknowledgment_that_comes_twice_is_taken(meeting: Meeting) -> None:
    async with meeting.line_to_peer("rms") as line:
        line.trouble.append(Trouble.LOSE_ANSWER)
        sent = await meeting.peer_sends("rms", XML)
        assert await meeting.peer.ended(sent) == "DELIVERED"
        (acknowledgment,) = await meeting.answers(sent, MessageKind.ACKNOWLEDGMENT)
        again = await meeting.ended(acknowledgment.id)
    assert (again.state, again.attempts) == (MessageState.TRANSMITTED, 2)
    assert line.seen == ["Acknowledgment"] * 2
    assert await meeting.peer.events(sent) == ["DELIVERED"]


# --- what is repeated, asked or broken without being agreed


async def test_a_best_effort_message_that_the_line_repeats_is_delivered_twice(meeting: Meeting) -> None:
    """REL-03; the peer never repeats one by itself."""
    async with meeting.line_to_us("bes") as line:
        line.trouble.append(Trouble.REPEAT)
        sent = await meeting.peer_sends("bes", XML)

        async def twice() -> bool:
            return len(meeting.manifests("bes", sent)) == 2

        await meeting.until(twice)


async def test_the_peer_drops_the_repeat_of_a_best_effort_message(meeting: Meeting) -> None:
    async with meeting.line_to_peer("bes") as line:
        line.trouble.append(Trouble.REPEAT)
        sent = await meeting.ended((await meeting.we_send("bes", XML)).id)
    assert sent.state is MessageState.TRANSMITTED
    assert (await meeting.peer.received()).count(sent.message_id) == 1
    assert await meeting.peer.events(sent.message_id) == ["RECEIVED"]


async def test_the_status_of_a_message_is_what_the_peer_did_with_it(meeting: Meeting) -> None:
    sent = await meeting.ended((await meeting.we_send("rms", XML)).id)
    await meeting.peer.process(sent.message_id)
    assert (await meeting.we_ask_status("rms", sent.message_id)).reason == MessageStatus.PROCESSED
    assert (await meeting.we_ask_status("rms", "nothing@nowhere")).reason == MessageStatus.NOT_RECOGNIZED


@pytest.fixture
async def breaking(meeting: Meeting) -> AsyncIterator[SimulatedMsh]:
    """A sender with our codec and our keys, whose next signature does not hold; the daemon sends no such thing."""
    agreement = meeting.known("rms").agreement
    msh = SimulatedMsh(
        {agreement.cpa_id: agreement},
        meeting.keys("rms"),
        meeting.world.trust,
        lambda: datetime.now(UTC),
        Faults(break_signature=1),
    )
    yield msh
    await msh.close()


async def test_the_peer_refuses_a_message_whose_signature_does_not_hold(
    meeting: Meeting, breaking: SimulatedMsh
) -> None:
    """It is a judge of signatures, then, where it takes them."""
    sent = await breaking.send(meeting.authority("rms").cpa_id, SERVICE, REPLY, [Payload(XML)])
    assert await meeting.peer.status(sent.message_id) == "FAILED"
    error = await meeting.peer.envelope(await meeting.peer_answer(sent.message_id))
    assert error_codes(error) == ["SecurityFailure"]
    assert read_envelope(error).header.ref_to_message_id == sent.message_id
