# SPDX-License-Identifier: EUPL-1.2

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from adapter.ebms import (
    AckRequested,
    EbmsError,
    ErrorCode,
    MessageHeader,
    OutgoingPayload,
    Party,
    SignalAction,
    build_business_message,
    build_message_error,
    package_message,
    reply_header,
    serialize,
    sign_envelope,
)
from adapter.pki import KeyPair, load_key_pair
from adapter.simulator import (
    ACTION,
    DSO_OIN,
    SERVICE,
    VerzoekSpec,
    World,
    make_verzoek,
    notification_xml,
    verzoeknummer,
)
from cpa import PartyId
from cpa.names import OIN_TYPE

Cli = Callable[..., Result]
NOTIFICATION = b"<verzoeknotificatie><verzoeknummer>2023073100048</verzoeknummer></verzoeknotificatie>"


@dataclass(frozen=True, slots=True)
class Made:
    """A message as files: the bare envelope, and the whole body."""

    envelope: bytes
    head: bytes
    body: bytes

    @property
    def whole(self) -> bytes:
        return self.head + b"\r\n" + self.body


def header_of(world: World, message_id: str = "m1@dso") -> MessageHeader:
    authority = world.authorities[0]
    return MessageHeader(
        sender=Party((PartyId(DSO_OIN, OIN_TYPE),), "DSO-LV"),
        receiver=Party((PartyId(authority.oin, OIN_TYPE),), "BevoegdGezag"),
        cpa_id=authority.cpa_id,
        conversation_id="2023073100048",
        service=SERVICE,
        action=ACTION,
        message_id=message_id,
        timestamp=datetime.now(UTC),
        duplicate_elimination=True,
    )


def make(world: World, *, keys: KeyPair | None, payload: bytes = NOTIFICATION) -> Made:
    """A notification of DSO-LV, signed with these keys."""
    root = build_business_message(
        header_of(world), ack_requested=AckRequested(signed=True), sync_reply=False, content_ids=["p1@dso"]
    )
    if keys is not None:
        sign_envelope(
            root,
            private_key=keys.private_key,
            certificate=keys.certificate,
            payload_digests=[("p1@dso", hashlib.sha256(payload).digest())],
        )
    envelope = serialize(root)
    part = OutgoingPayload("p1@dso", "application/xml", len(payload), "notificatie.xml", lambda: [payload])
    body = package_message(envelope, [part])
    head = "".join(f"{name}: {value}\r\n" for name, value in body.headers).encode()
    return Made(envelope, head, b"".join(body.stream_sync()))


@pytest.fixture
def look(cli: Cli, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def run(content: bytes, *options: object) -> dict[str, Any]:
        file = tmp_path / "file"
        file.write_bytes(content)
        result = cli("inspect", file, "--json", *options)
        assert result.exit_code == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return run


Look = Callable[..., dict[str, Any]]


@pytest.fixture
def agreed(made_once: World) -> tuple[str, Path]:
    return "--cpa", made_once.authorities[0].cpa_path


def test_a_cpa_is_recognised(made_once: World, look: Look) -> None:
    found = look(made_once.authorities[0].cpa_path.read_bytes())
    assert (found["kind"], found["cpaId"]) == ("cpa", made_once.authorities[0].cpa_id)


def test_a_whole_message_is_judged_by_its_agreement(made_once: World, look: Look, agreed) -> None:
    found = look(make(made_once, keys=made_once.dso_keys).whole, *agreed)
    assert (found["kind"], found["message"], found["messageId"]) == ("ebms", "business message", "m1@dso")
    assert found["agreement"]["profile"] == "osb-rm-s"
    signature = found["signature"]
    assert (signature["holds"], signature["judgedBy"]) == (True, "CPA, certificate A_CERT_SIGN")
    assert signature["certificate"]["oin"] == DSO_OIN
    assert signature["remark"] is None
    digest = hashlib.sha256(NOTIFICATION).hexdigest()
    (payload,) = found["payloads"]
    assert (payload["sha256"], payload["size"], payload["inManifest"]) == (digest, len(NOTIFICATION), True)
    assert payload["verzoeknummer"] == "2023073100048"
    assert [one["digest"] for one in signature["references"] if one["uri"] == "cid:p1@dso"] == [digest]


def test_without_an_agreement_it_is_said_that_nobody_is_proven(made_once: World, look: Look) -> None:
    signature = look(make(made_once, keys=made_once.dso_keys).whole)["signature"]
    assert (signature["holds"], signature["judgedBy"]) == (True, "KeyInfo")
    assert "proves nothing about who signed" in signature["remark"]


def test_people_see_whether_the_signature_holds(made_once: World, cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "message.http"
    file.write_bytes(make(made_once, keys=made_once.dso_keys).whole)
    text = cli("inspect", file).stdout
    assert "holds" in text
    assert "proves nothing about who signed" in text
    assert DSO_OIN in text


@pytest.mark.parametrize(
    "start",
    [b"", b"POST /ebms HTTP/1.1\r\nHost: a\r\n", b"HTTP/1.1 200 OK\r\n"],
    ids=["headers", "request", "response"],
)
def test_a_body_is_read_with_any_start(made_once: World, look: Look, agreed, start: bytes) -> None:
    assert look(start + make(made_once, keys=made_once.dso_keys).whole, *agreed)["signature"]["holds"] is True


def test_a_multipart_body_without_headers_is_read(made_once: World, look: Look, agreed) -> None:
    assert look(make(made_once, keys=made_once.dso_keys).body, *agreed)["signature"]["holds"] is True


def test_headers_with_bare_line_feeds_are_read(made_once: World, look: Look, agreed) -> None:
    made = make(made_once, keys=made_once.dso_keys)
    saved = made.head.replace(b"\r\n", b"\n") + b"\n" + made.body
    assert look(saved, *agreed)["signature"]["holds"] is True


def test_a_changed_payload_breaks_the_signature(made_once: World, look: Look, agreed) -> None:
    whole = make(made_once, keys=made_once.dso_keys).whole.replace(
        b"<verzoeknummer>2023", b"<verzoeknummer>2024"
    )
    for options in ((), agreed):
        signature = look(whole, *options)["signature"]
        assert signature["holds"] is False
        assert "content was changed" in signature["reason"]


def test_a_changed_envelope_breaks_the_signature(made_once: World, look: Look, agreed) -> None:
    envelope = make(made_once, keys=made_once.dso_keys).envelope.replace(b"m1@dso", b"m2@dso")
    assert look(envelope, *agreed)["signature"]["holds"] is False


def test_the_signature_of_another_does_not_hold_by_the_agreement(
    made_once: World, look: Look, agreed, tmp_path: Path
) -> None:
    forger = load_key_pair(
        *made_once.pki.issue("Vervalser", "00000099999999999000").write(tmp_path, "forger")
    )
    whole = make(made_once, keys=forger).whole
    assert look(whole)["signature"]["holds"] is True
    signature = look(whole, *agreed)["signature"]
    assert signature["holds"] is False
    assert signature["keyInfo"]["oin"] == "00000099999999999000"


def test_a_renewed_certificate_of_the_partner_is_named(
    made_once: World, look: Look, agreed, tmp_path: Path
) -> None:
    renewed = load_key_pair(*made_once.pki.issue("DSO-LV", DSO_OIN).write(tmp_path, "renewed"))
    signature = look(make(made_once, keys=renewed).whole, *agreed)["signature"]
    assert signature["holds"] is True
    assert "another certificate of the same OIN" in signature["remark"]


def test_of_a_bare_envelope_the_payloads_are_not_judged(made_once: World, look: Look, agreed) -> None:
    found = look(make(made_once, keys=made_once.dso_keys).envelope, *agreed)
    assert found["signature"]["holds"] is True
    assert "only the envelope was verified" in found["signature"]["remark"]
    assert found["payloads"] == []


def test_an_unsigned_message_that_must_be_signed_is_named(made_once: World, look: Look, agreed) -> None:
    signature = look(make(made_once, keys=None).whole, *agreed)["signature"]
    assert (signature["present"], signature["holds"]) == (False, None)
    assert "asks for a signature" in signature["remark"]


def test_a_missing_payload_breaks_the_signature(made_once: World, look: Look, agreed) -> None:
    whole = make(made_once, keys=made_once.dso_keys).whole.replace(
        b"Content-ID: <p1@dso>", b"Content-ID: <p2@dso>"
    )
    found = look(whole, *agreed)
    assert found["signature"]["holds"] is False
    assert found["payloads"][0]["inManifest"] is False


def test_an_agreement_that_does_not_fit_is_said_so(made_once: World, look: Look, tmp_path: Path) -> None:
    cpa = tmp_path / "other.xml"
    text = made_once.authorities[0].cpa_path.read_text()
    cpa.write_text(text.replace(made_once.authorities[0].cpa_id, "CPA-2"))
    agreement = look(make(made_once, keys=made_once.dso_keys).whole, "--cpa", cpa)["agreement"]
    assert agreement["cpaId"] == "CPA-2"
    assert "not this one" in agreement["problem"]
    cpa.write_text(text.replace(ACTION, "ietsAnders"))
    agreement = look(make(made_once, keys=made_once.dso_keys).whole, "--cpa", cpa)["agreement"]
    assert f"sends '{ACTION}'" in agreement["problem"]


def test_a_signal_shows_its_errors(made_once: World, look: Look, agreed) -> None:
    header = reply_header(
        header_of(made_once), SignalAction.MESSAGE_ERROR, message_id="e1@ons", now=datetime.now(UTC)
    )
    root = build_message_error(header, (EbmsError(ErrorCode.SECURITY_FAILURE, "/x", "secret"),))
    found = look(serialize(root), *agreed)
    assert (found["message"], found["refToMessageId"]) == ("MessageError", "m1@dso")
    assert [error["code"] for error in found["errors"]] == ["SecurityFailure"]


def test_a_large_payload_is_read_in_chunks(made_once: World, look: Look, agreed) -> None:
    payload = b"x" * (6 * 1024 * 1024)
    found = look(make(made_once, keys=made_once.dso_keys, payload=payload).whole, *agreed)
    assert found["payloads"][0]["size"] == len(payload)
    assert found["signature"]["holds"] is True


def test_a_notification_is_recognised(look: Look) -> None:
    spec = VerzoekSpec(verzoeknummer(date(2023, 7, 31), 48), "00000099100000001000")
    found = look(notification_xml(make_verzoek(spec)))
    assert (found["kind"], found["verzoeknummer"]) == ("verzoeknotificatie", spec.verzoeknummer)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\x00\x01\x02", "neither XML nor an HTTP body"),
        (b"<html/>", "root element <html>"),
        (b"<a><b></a>", "XML that cannot be read"),
        (b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "XML that cannot be read"),
        (b"<Envelope xmlns='http://www.w3.org/2003/05/soap-envelope'/>", "not one of ebMS 2.0"),
        (b"Content-Type: application/pdf\r\n\r\n%PDF", "of type application/pdf"),
        (b"Host: a\r\n\r\nbody", "there is no Content-Type"),
        (b"--b\r\nContent-ID: <a>\r\n\r\nbroken off", "no closing boundary"),
        (b"Content-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", "save it decoded"),
    ],
)
def test_what_is_not_known_fails_and_says_what_was_looked_for(
    cli: Cli, tmp_path: Path, content: bytes, reason: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    result = cli("inspect", file, "--json")
    assert result.exit_code == 1
    assert reason in result.stderr
    assert "looked for: a CPA" in result.stderr
    assert reason in json.loads(result.stdout)["error"]["problems"][0]


def test_an_agreement_that_is_no_cpa_fails(cli: Cli, made_once: World, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.xml"
    wrong.write_text("<wrong/>")
    result = cli("inspect", made_once.authorities[0].cpa_path, "--cpa", wrong)
    assert result.exit_code == 1
    assert "give a CPA with --cpa" in result.stderr
