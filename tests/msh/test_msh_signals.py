# SPDX-License-Identifier: EUPL-1.2

"""Pings and other signals, and what is answered to them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from adapter.store import events_for
from tests.msh.house import SOAP, House, eb, envelope_of, errors_of, wrap


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("sign", [True, False])
async def test_a_ping_gets_a_pong(plain: bool, sign: bool, house: House):
    made = house.signal("Ping", sign=sign)
    response = await house.send(made, wrap(made, plain=plain))
    assert (response.status, response.body) == (204, b"")
    signal = await house.answer(made)
    assert (signal.action, signal.problems) == ("Pong", ())
    pong = envelope_of(signal.envelope)
    assert pong.manifest is None
    assert pong.ack_requested is None


async def test_a_ping_in_a_synchronous_channel_gets_its_pong_in_the_response(house: House):
    """Also without SyncReply in it."""
    made = house.signal("Ping", "sync")
    response = await house.send(made, wrap(made, plain=True))
    assert response.status == 200
    assert envelope_of(response.body).header.action == "Pong"
    assert envelope_of(response.body).header.ref_to_message_id == made.id


@pytest.mark.parametrize(("channel", "action"), [("rms", "pong.stored"), ("sync", "pong.returned")])
async def test_a_pong_leaves_a_line_on_the_timeline(house: House, channel: str, action: str):
    made = house.signal("Ping", channel)
    await house.send(made, wrap(made, plain=True))
    (event,) = await house.db.read(events_for, actions=("pong.stored", "pong.returned"))
    assert (event.action, event.conversation_id) == (action, made.header.conversation_id)
    assert await house.db.read(events_for, cpa_id=event.cpa_id, actions=(action,)) == [event]
    assert await house.db.read(events_for, cpa_id="another", actions=(action,)) == []


async def test_a_ping_under_an_expired_agreement_gets_silence(house: House):
    house.clock.shift = timedelta(days=61)
    made = house.signal("Ping")
    assert (await house.send(made)).status == 204
    assert len(house.lines("ping.ignored")) == 1
    assert await house.jobs() == []
    assert house.dso.msh.received == []


async def test_a_ping_with_a_broken_signature_is_refused(house: House):
    made = house.signal("Ping", sign=True)
    made = replace(made, envelope=made.envelope.replace(b"Z</eb:Timestamp>", b"1Z</eb:Timestamp>"))
    await house.send(made)
    assert errors_of((await house.answer(made)).envelope)[0][0] == "SecurityFailure"


def _acknowledge(root: etree._Element) -> None:
    attributes = {f"{{{SOAP}}}mustUnderstand": "1", eb("version"): "2.0"}
    entry = etree.SubElement(root[0], eb("Acknowledgment"), attributes)
    etree.SubElement(entry, eb("Timestamp")).text = "2026-06-01T12:00:00Z"
    etree.SubElement(entry, eb("RefToMessageId")).text = "unknown@adapter"


def _report(root: etree._Element) -> None:
    attributes = {
        f"{{{SOAP}}}mustUnderstand": "1",
        eb("version"): "2.0",
        eb("highestSeverity"): "Error",
    }
    entry = etree.SubElement(root[0], eb("ErrorList"), attributes)
    etree.SubElement(entry, eb("Error"), {eb("errorCode"): "Unknown", eb("severity"): "Error"})


@pytest.mark.parametrize(
    ("action", "edit", "line"),
    [
        ("Acknowledgment", _acknowledge, "signal.received"),
        ("MessageError", _report, "signal.received"),
        ("Pong", None, "signal.unexpected"),
    ],
)
async def test_a_signal_about_an_unknown_message_is_only_logged(
    action: str, edit: Any, line: str, house: House
):
    made = house.signal(action, edit=edit, ref_to_message_id="unknown@adapter")
    response = await house.send(made)
    assert (response.status, response.body) == (204, b"")
    assert len(house.lines(line)) == 1
    assert await house.count("message") == 0
    assert await house.jobs() == []


@pytest.mark.parametrize(("action", "edit"), [("Acknowledgment", _acknowledge), ("MessageError", _report)])
async def test_a_broken_signal_is_never_answered_with_an_error(action: str, edit: Any, house: House):
    made = house.signal(action, edit=edit, sign=True, ref_to_message_id="unknown@adapter")
    broken = replace(made, envelope=made.envelope.replace(b"unknown@adapter", b"changed@adapter"))
    assert (await house.send(broken)).status == 204
    assert house.lines("message.refused")[0]["reason"] == "SecurityFailure"
    assert house.refused("SecurityFailure") == 1
    assert await house.jobs() == []
    assert await house.count("message") == 0


async def test_an_acknowledgment_that_asks_for_one_gets_none(house: House):
    def ask(root: etree._Element) -> None:
        _acknowledge(root)
        attributes = {f"{{{SOAP}}}mustUnderstand": "1", eb("version"): "2.0", eb("signed"): "false"}
        etree.SubElement(root[0], eb("AckRequested"), attributes)

    made = house.signal("Acknowledgment", edit=ask, ref_to_message_id="unknown@adapter")
    assert (await house.send(made)).status == 204
    assert await house.jobs() == []
    assert await house.count("message") == 0
