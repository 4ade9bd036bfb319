# SPDX-License-Identifier: EUPL-1.2

from datetime import UTC, datetime, timedelta
from zipfile import ZipFile

import pytest

from adapter.authorities import KnownAgreement
from adapter.config import AgreementConfig
from adapter.msh import send_job
from adapter.store import (
    AgreementSource,
    Direction,
    Flow,
    JobKind,
    MessageKind,
    MessageState,
    NewJob,
    find_jobs,
    get_message,
    put_agreement,
    set_message_state,
)
from cpa import agreement_for, parse_cpa

SOON = timedelta(hours=1)


@pytest.fixture
def in_use(shop) -> None:
    """The agreement of the world is in use."""
    document = shop.world.authorities[0].cpa_path.read_bytes()
    now = datetime.now(UTC)
    shop.use(
        lambda db: db.write(
            put_agreement, "voorbeeldstad", shop.cpa_id, document, AgreementSource.UPLOAD, now
        )
    )


@pytest.fixture
def acknowledgment(shop, in_use) -> int:
    """An acknowledgment that was sent, of message m1@dso."""
    shop.message()
    row = shop.message(
        "ack1@ons",
        direction=Direction.OUT,
        kind=MessageKind.ACKNOWLEDGMENT,
        action="Acknowledgment",
        ref_to_message_id="m1@dso",
        expires_at=datetime.now(UTC) + SOON,
    )
    states = (MessageState.CREATED, MessageState.TRANSMITTED, None, datetime.now(UTC))
    shop.use(lambda db: db.write(set_message_state, row, *states))
    return row


def test_messages_are_listed_newest_first(shop) -> None:
    for name in ("m1@dso", "m2@dso"):
        shop.message(name)
    listed = shop.json("message", "list")
    assert [one["messageId"] for one in listed] == ["m2@dso", "m1@dso"]
    assert (listed[0]["authority"], listed[0]["state"]) == ("voorbeeldstad", "received")
    lines = shop.run("message", "list").stdout.splitlines()
    assert lines[0].startswith("stored\tauthority")
    assert len(lines) == 3


def test_messages_are_found_by_what_is_known_of_them(shop) -> None:
    shop.message("m1@dso", conversation_id="c1")
    shop.message("m2@dso", conversation_id="c2", authority="elders")

    def names(*options: str) -> list[str]:
        return [one["messageId"] for one in shop.json("message", "list", *options)]

    assert names("--conversation-id", "c1") == ["m1@dso"]
    assert names("--message-id", "<m2@dso>") == ["m2@dso"]
    assert names("--authority", "elders") == ["m2@dso"]
    assert names("--state", "refused") == []
    assert names("--limit", "1") == ["m2@dso"]


def test_an_unknown_state_is_wrong_use(shop) -> None:
    assert shop.run("message", "list", "--state", "lost").exit_code == 2


def test_a_message_is_shown_with_all_that_belongs_to_it(shop, acknowledgment: int) -> None:
    shown = shop.json("message", "show", "<m1@dso>")
    (message,) = shown["messages"]
    assert [payload["sha256"] for payload in message["payloads"]] == ["ab" * 32]
    assert [(one["messageId"], one["state"]) for one in message["answers"]] == [("ack1@ons", "transmitted")]
    assert [event["action"] for event in shown["timeline"]] == ["message.received"]
    text = shop.run("message", "show", "m1@dso").stdout
    assert "ack1@ons" in text
    assert "message.received" in text


def test_every_row_of_a_message_id_is_shown(shop) -> None:
    for _ in range(2):
        shop.message("m1@dso")
    assert len(shop.json("message", "show", "m1@dso")["messages"]) == 2


def test_a_message_that_is_not_there_says_what_to_try(shop) -> None:
    for command in ("show", "resend", "retry"):
        result = shop.run("message", command, "m0@dso")
        assert result.exit_code == 1
        assert "stam-adapter message list" in result.stderr
        assert not result.stdout


def test_what_a_partner_wrote_cannot_drive_the_terminal(shop) -> None:
    shop.message("m1@dso", conversation_id="c\x1b[2J\x9b1m")
    for command in (("list",), ("show", "m1@dso")):
        text = shop.run("message", *command).stdout
        assert "\x1b" not in text
        assert "\x9b" not in text


def test_an_acknowledgment_is_sent_again_with_the_same_octets(shop, acknowledgment: int) -> None:
    before = shop.use(lambda db: db.read(get_message, acknowledgment))
    result = shop.run("message", "resend", "ack1@ons")
    assert result.exit_code == 0
    assert "as soon as the daemon runs" in result.stdout
    (job,) = shop.use(lambda db: db.read(find_jobs))
    document = parse_cpa(shop.world.authorities[0].cpa_path.read_bytes())
    known = KnownAgreement(
        "voorbeeldstad",
        agreement_for(document, shop.world.authorities[0].oin),
        AgreementConfig(),
        frozenset(),
    )
    assert (job.kind, job.subject, job.lane) == (JobKind.SEND, acknowledgment, send_job(known).lane)
    after = shop.use(lambda db: db.read(get_message, acknowledgment))
    assert after.state is MessageState.CREATED
    assert after.envelope == before.envelope
    assert shop.run("message", "resend", "ack1@ons").exit_code == 0
    assert len(shop.jobs()) == 1


def test_a_received_message_is_not_sent_but_its_answer_is(shop, acknowledgment: int) -> None:
    result = shop.run("message", "resend", "m1@dso")
    assert result.exit_code == 1
    assert "stam-adapter message resend ack1@ons" in result.stderr
    assert "stam-adapter message retry m1@dso" in result.stderr
    assert shop.jobs() == []


@pytest.mark.usefixtures("in_use")
def test_what_the_partner_waits_for_no_longer_is_not_sent(shop) -> None:
    shop.message(
        "ack1@ons",
        direction=Direction.OUT,
        kind=MessageKind.ACKNOWLEDGMENT,
        expires_at=datetime.now(UTC) - SOON,
    )
    result = shop.run("message", "resend", "ack1@ons")
    assert result.exit_code == 1
    assert "ask the partner to send the message again" in result.stderr
    assert shop.jobs() == []


def test_nothing_is_sent_under_an_agreement_that_is_not_in_use(shop) -> None:
    shop.message("ack1@ons", direction=Direction.OUT, kind=MessageKind.ACKNOWLEDGMENT)
    result = shop.run("message", "resend", "ack1@ons")
    assert result.exit_code == 1
    assert "stam-adapter cpa add" in result.stderr


@pytest.mark.usefixtures("in_use")
def test_a_ping_is_not_sent_again(shop) -> None:
    shop.message("ping1@ons", direction=Direction.OUT, kind=MessageKind.PING)
    result = shop.run("message", "resend", "ping1@ons")
    assert result.exit_code == 1
    assert f"stam-adapter ping {shop.cpa_id}" in result.stderr


def test_the_routing_of_a_message_is_tried_again(shop) -> None:
    row = shop.message(job=NewJob(JobKind.ROUTE, "route"))
    shop.park(JobKind.ROUTE, "no route")
    (message,) = shop.json("message", "show", "m1@dso")["messages"]
    assert [(job["state"], job["reason"]) for job in message["jobs"]] == [("parked", "no route")]
    assert shop.run("message", "retry", "m1@dso").exit_code == 0
    assert shop.jobs() == [("route", "ready", row)]


def test_the_delivery_of_a_message_as_it_is_is_tried_again(shop) -> None:
    row = shop.message()
    delivery = shop.delivery(flow=Flow.MESSAGE, message=row, name="m1", verzoeknummer=None)
    shop.park(JobKind.DELIVER)
    assert shop.run("message", "retry", "m1@dso").exit_code == 0
    assert shop.jobs() == [("deliver", "ready", delivery)]


def test_nothing_parked_is_nothing_to_try_again(shop) -> None:
    shop.message(job=NewJob(JobKind.ROUTE, "route"))
    result = shop.run("message", "retry", "m1@dso")
    assert result.exit_code == 1
    assert "nothing of m1@dso is parked" in result.stderr


def test_evidence_is_written_to_a_file_for_its_owner_alone_and_once(shop, acknowledgment: int) -> None:
    path = shop.world.directory / "message.zip"
    result = shop.run("message", "show", "m1@dso", "--evidence", path)
    assert result.exit_code == 0, result.stderr
    assert str(path) in result.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    with ZipFile(path) as made:
        names = made.namelist()
    assert "messages/001-received-verzoeknotificatie/envelope.xml" in names
    assert "messages/002-sent-Acknowledgment/envelope.xml" in names
    assert [name for name in names if name.startswith("agreements/")]
    entries = shop.json("audit", "list", "--action", "message.evidence")
    assert [(one["subject"], one["authority"], one["kind"]) for one in entries] == [
        ("m1@dso", "voorbeeldstad", "look")
    ]
    octets = path.read_bytes()
    again = shop.run("message", "show", "m1@dso", "--evidence", path)
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert path.read_bytes() == octets


def test_evidence_that_cannot_be_written_leaves_nothing(shop) -> None:
    shop.message()
    path = shop.world.directory / "elsewhere" / "message.zip"
    result = shop.run("message", "show", "m1@dso", "--evidence", path)
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert not path.parent.exists()
