# SPDX-License-Identifier: EUPL-1.2

"""Evidence of a message that was received and acknowledged: everything as it was on the wire, and judged again."""

import io
import json
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zipfile import ZipFile

import pytest
from sqlalchemy import Connection, update

from adapter.store import (
    AgreementSource,
    Direction,
    NewMessage,
    StoredMessage,
    agreement_in_force,
    find_messages,
    get_message,
    insert_message,
    put_agreement,
)
from adapter.store.schema import message as message_table
from adapter.views.evidence import Evidence, evidence_archive, evidence_of_messages
from adapter.views.judged import judge
from tests.msh.house import House, Made, Part, notification

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Opened:
    """An archive of evidence, by what is in it."""

    def __init__(self, octets: bytes) -> None:
        self.zip = ZipFile(io.BytesIO(octets))
        self.names = self.zip.namelist()

    def of(self, way: str, file: str) -> bytes:
        (name,) = [one for one in self.names if f"-{way}-" in one and one.endswith(f"/{file}")]
        return self.zip.read(name)

    def json(self, way: str) -> Any:
        return json.loads(self.of(way, "message.json"))


async def received(house: House, made: Made) -> list[StoredMessage]:
    assert (await house.send(made)).status == 204
    await house.answer(made)
    return await house.db.read(find_messages, message_id=made.id)


async def evidence(house: House, messages: Sequence[StoredMessage]) -> Opened:
    about: Evidence = await house.db.read(evidence_of_messages, messages)
    pieces = evidence_archive(house.db, house.spool(), about, NOW)
    return Opened(b"".join([piece async for piece in pieces]))


@pytest.fixture
async def made(house: House) -> Made:
    return house.draft(
        "rms", parts=[notification(), Part(b"%PDF" * 50_000, content_type="application/pdf")]
    ).make()


async def test_evidence_has_everything_as_it_was_on_the_wire(house: House, made: Made) -> None:
    found = await evidence(house, await received(house, made))
    assert found.of("received", "envelope.xml") == made.envelope
    assert b"SOAPAction" in found.of("received", "http-headers.txt")
    payloads = found.json("received")["payloads"]
    assert [found.zip.read(one["path"]) for one in payloads] == [part.content for part in made.parts]
    assert all(any(line.startswith("Content-ID:") for line in one["headers"]) for one in payloads)
    sent_back = (await house.db.read(find_messages, ref_to_message_id=made.id, direction=Direction.OUT))[0]
    assert found.of("sent", "envelope.xml") == sent_back.envelope


async def test_evidence_says_whether_signatures_hold_and_by_which_agreement(house: House, made: Made) -> None:
    found = await evidence(house, await received(house, made))
    for way in ("received", "sent"):
        shown = found.json(way)
        assert shown["signature"]["holds"] is True, shown["signature"]
        assert shown["signature"]["judgedBy"].startswith("CPA")
        assert shown["agreement"]["cpaId"] == shown["cpaId"]
        assert found.zip.read(shown["agreementInForce"]["path"]).startswith(b"<")
    references = found.json("received")["signature"]["references"]
    assert len(references) == 1 + len(made.parts)


async def test_evidence_tells_what_happened_for_people_and_machines(house: House, made: Made) -> None:
    found = await evidence(house, await received(house, made))
    actions = [one["action"] for one in json.loads(found.zip.read("timeline.json"))]
    text = found.zip.read("timeline.txt").decode()
    assert actions[0] == "message.received"
    assert [line.split("  ")[1] for line in text.splitlines()] == actions
    assert made.id in found.zip.read("README.txt").decode()


async def test_a_signature_that_does_not_hold_any_more_says_so(house: House, made: Made) -> None:
    (message,) = await received(house, made)

    def change(conn: Connection) -> None:
        octets = message.envelope.replace(b"ConversationId>", b"ConversationId>x", 1)
        conn.execute(update(message_table).where(message_table.c.id == message.id).values(envelope=octets))

    await house.db.write(change)
    found = await evidence(house, await house.db.read(find_messages, message_id=made.id))
    assert found.json("received")["signature"]["holds"] is False


async def test_a_message_of_no_agreement_is_judged_by_what_it_carries_and_says_that(
    house: House, made: Made
) -> None:
    (message,) = await received(house, made)
    found = judge(message, (), None, house.spool(), NOW)
    assert found["agreement"] == {"problem": "no agreement was in force for this message"}
    assert "--cpa" not in json.dumps(found, default=str)


async def test_an_envelope_that_cannot_be_read_says_why(house: House, made: Made) -> None:
    (message,) = await received(house, made)
    assert judge(replace(message, envelope=b"<no"), (), None, house.spool(), NOW)["problem"]


async def test_a_document_that_came_in_use_twice_is_there_once(house: House, made: Made) -> None:
    (message,) = await received(house, made)
    row = await house.db.read(agreement_in_force, message.authority, message.cpa_id, message.created_at)
    assert row is not None
    for document in (row.document + b"\n", row.document):
        source = AgreementSource.UPLOAD
        await house.db.write(put_agreement, row.authority, row.cpa_id, document, source, house.clock())
    again = await house.db.write(insert_copy, message, house.clock() + timedelta(seconds=1))
    found = await evidence(house, [message, await house.db.read(get_message, again)])
    assert len([name for name in found.names if name.startswith("agreements/")]) == 1


def insert_copy(conn: Connection, message: StoredMessage, now: datetime) -> int:
    """Receive a message once more, later."""
    given = {field.name: getattr(message, field.name) for field in fields(NewMessage)}
    return insert_message(conn, NewMessage(**given), None, now)


async def test_more_than_one_archive_has_is_said_to_be_left_out(
    house: House, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = await received(house, made)
    assert (await house.db.read(evidence_of_messages, messages)).is_whole
    monkeypatch.setattr("adapter.views.evidence.MOST", 1)
    found = await evidence(house, messages)
    assert json.loads(found.zip.read("manifest.json"))["isWhole"] is False
