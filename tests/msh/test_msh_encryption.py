# SPDX-License-Identifier: EUPL-1.2

"""Payloads that came encrypted are plain from the spool on; what cannot be decrypted does not tell how it failed."""

import base64
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from adapter.ebms import DESCRIPTIONS, EncryptionPlan, ErrorCode, encrypt_payload
from adapter.msh import SubmittedPayload
from adapter.store import MessageKind, find_messages, message_payloads
from tests.ebms.encrypted import (
    CBC,
    GCM,
    OAEP_NEW,
    OAEP_OLD,
    PKCS1,
    TRIPLEDES,
    Document,
    Receiver,
    encrypted_key,
    gcm,
    judge_encrypts,
)
from tests.memory import measured_peak
from tests.msh.conftest import Open
from tests.msh.house import House, Made, Part, Request, envelope_of, errors_of, notification, wrap

PDF = b"%PDF-1.7\r\n\x00\xff" * 20
KEY = bytes(range(32))


def of(house: House, name: str) -> Receiver:
    """An authority as one that others encrypt for."""
    keys = house.keys[name]
    return Receiver(keys.private_key, keys.certificate)


def by_us(house: House, part: Part, name: str) -> bytes:
    plan = EncryptionPlan(house.keys[name].certificate, part.content_type, part.content_id)
    return b"".join(encrypt_payload([part.content], plan))


def with_parts(made: Made, *contents: bytes) -> Request:
    """The request for a message with these octets as its payloads."""
    parts = [
        replace(part, content=octets, content_type="application/xml")
        for part, octets in zip(made.parts, contents, strict=True)
    ]
    return wrap(made, parts=parts)


def legacy(house_name: str, number: int) -> dict[str, str]:
    cpa_id = f"Verzoeknotificatie_00000099000000001000_0000009910000000{number}000_simulatie"
    return {"extra": f'[authorities.{house_name}.agreements."{cpa_id}"]\nlegacy = true\n'}


# --- decrypted


@pytest.mark.parametrize("name", ["rme", "bee", "rmesync"])
async def test_an_encrypted_payload_is_delivered_as_it_was(name: str, house: House):
    """Encrypted after it was signed; decrypted before the signature is verified, over the plain octets."""
    parts = [Part(PDF, content_type="application/pdf"), Part(bytes(200_000), content_type="image/png")]
    made = house.draft(name, parts=parts).make()
    response = await house.send(made, with_parts(made, *(by_us(house, part, name) for part in parts)))
    assert response.status == (200 if name == "rmesync" else 204)
    if name == "rme":
        assert (await house.answer(made)).problems == ()
    assert await house.deliveries() == 1
    (message,) = await house.db.read(find_messages, message_id=made.id)
    stored = await house.db.read(message_payloads, message.id)
    assert [payload.content_type for payload in stored] == ["application/pdf", "image/png"]
    files = sorted((house.state.parent / name).glob("*/payloads/*"), key=lambda path: path.stat().st_size)
    assert [path.read_bytes() for path in files] == [PDF, bytes(200_000)]
    assert len(house.spooled()) <= 1  # the large one, until retention removes it


@pytest.mark.parametrize(
    ("method", "key_method"),
    [(GCM[128], OAEP_OLD), (GCM[192], OAEP_OLD), (GCM[256], OAEP_OLD), (GCM[256], OAEP_NEW)],
)
async def test_what_libxmlsec1_encrypted_is_decrypted(method: str, key_method: str, house: House):
    part = notification()
    made = house.draft("rme", parts=[part]).make()
    digest = '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
    octets = judge_encrypts(
        part.content, of(house, "rme"), method, key_method, digest if key_method == OAEP_NEW else ""
    )
    await house.send(made, with_parts(made, octets))
    assert (await house.answer(made)).problems == ()
    await house.deliveries()
    (path,) = (house.state.parent / "rme").glob("*/payloads/*")
    assert path.read_bytes() == part.content


async def test_a_message_without_payloads_has_nothing_to_encrypt(house: House):
    made = house.draft("rme", parts=[]).make()
    await house.send(made)
    assert (await house.answer(made)).problems == ()
    assert await house.received() == 1


async def test_a_repeat_of_an_encrypted_message_gets_the_same_acknowledgment(house: House):
    """As it was sent before, and encrypted anew by a gateway: what was signed is the same."""
    part = Part(PDF, content_type="application/pdf")
    made = house.draft("rme", parts=[part]).make()
    request = with_parts(made, by_us(house, part, "rme"))
    anew = with_parts(made, by_us(house, part, "rme"))
    for number, attempt in enumerate((request, request, anew), start=1):
        assert (await house.send(made, attempt)).status == 204
        await house.answer(made, number)
    answers = {s.envelope for s in house.dso.msh.received if s.ref_to_message_id == made.id}
    assert len(answers) == 1
    assert await house.deliveries() == 1


async def test_old_methods_are_accepted_where_the_agreement_is_legacy(open_house: Open):
    house = await open_house(**legacy("rme", 5))
    part = notification()
    made = house.draft("rme", parts=[part]).make()
    await house.send(made, with_parts(made, judge_encrypts(part.content, of(house, "rme"), CBC[256], PKCS1)))
    assert (await house.answer(made)).problems == ()
    await house.deliveries()
    (path,) = (house.state.parent / "rme").glob("*/payloads/*")
    assert path.read_bytes() == part.content


# --- refused

Make = Callable[[House, Part], bytes]


def _document(**changes: Any) -> Make:
    return lambda house, part: Document(plain=part.content, to=of(house, "rme"), **changes).octets()


def _flipped(house: House, part: Part) -> bytes:
    data = bytearray(gcm(KEY, part.content))
    data[20] ^= 1
    return _document(data=bytes(data))(house, part)


def _without_tag(house: House, part: Part) -> bytes:
    return _document(data=gcm(KEY, part.content)[:-16])(house, part)


def _short_key(house: House, part: Part) -> bytes:
    return _document(wrapped=of(house, "rme").wrap(KEY[:16]))(house, part)


def _damaged_key(house: House, part: Part) -> bytes:
    wrapped = bytearray(base64.b64decode(of(house, "rme").wrap(KEY)))
    wrapped[5] ^= 1
    return _document(wrapped=base64.b64encode(wrapped).decode())(house, part)


def _for_another(house: House, part: Part) -> bytes:
    """Wrapped for another key, under the name of our certificate."""
    return _document(wrapped=of(house, "rms").wrap(KEY))(house, part)


def _cut(house: House, part: Part) -> bytes:
    whole = _document()(house, part)
    return whole[: len(whole) * 2 // 3]


REFUSED: dict[str, Make] = {
    "clear": lambda _, part: part.content,
    "octet changed": _flipped,
    "tag cut off": _without_tag,
    "key of another length": _short_key,
    "damaged key": _damaged_key,
    "for another key": _for_another,
    "for another certificate": lambda house, part: by_us(house, part, "rms"),
    "cut document": _cut,
    "not base64": _document(cipher_text="!!!!"),
    "CBC and RSA 1.5": lambda house, part: judge_encrypts(part.content, of(house, "rme"), CBC[256], PKCS1),
    "CBC": lambda house, part: judge_encrypts(part.content, of(house, "rme"), CBC[128], OAEP_OLD),
    "RSA 1.5": lambda house, part: judge_encrypts(part.content, of(house, "rme"), GCM[256], PKCS1),
    "triple DES": lambda house, part: judge_encrypts(part.content, of(house, "rme"), TRIPLEDES, OAEP_OLD),
    "no cipher": _document(encrypted_keys=encrypted_key("", method="urn:x-none")),
}
"""Payloads that are not encrypted as agreed, or cannot be decrypted."""

ORACLES = ("octet changed", "tag cut off", "key of another length", "damaged key", "for another key")


async def refuse(house: House, case: str, part: Part) -> tuple[Made, bytes]:
    """Send a message with a sound payload and one of the above; the MessageError that comes back."""
    sound = Part(b"x" * 200_000)
    made = house.draft("rme", parts=[sound, part]).make()
    request = with_parts(made, by_us(house, sound, "rme"), REFUSED[case](house, part))
    response = await house.send(made, request)
    assert (response.status, response.body) == (204, b"")
    signal = await house.answer(made)
    assert signal.problems == ()
    return made, signal.envelope


def without_ids(octets: bytes, made: Made, part: Part) -> bytes:
    """What an answer says, apart from what differs in every answer."""
    plain = octets.replace(made.id.encode(), b"ID").replace(part.content_id.encode(), b"CID")
    plain = re.sub(rb"<eb:(MessageId|Timestamp)>[^<]*<", b"<", plain)
    return re.sub(rb"<ds:Signature[ >].*</ds:Signature>", b"", plain, flags=re.DOTALL)


@pytest.mark.parametrize("case", REFUSED)
async def test_a_payload_that_is_not_encrypted_as_agreed_is_refused(case: str, house: House):
    """Nothing is left in the spool, not even of the payload before it, which was decrypted."""
    part = Part(b"y" * 100_000)
    _, octets = await refuse(house, case, part)
    assert errors_of(octets) == [("SecurityFailure", f"cid:{part.content_id}")]
    listed = envelope_of(octets).error_list
    assert listed is not None
    assert listed.errors[0].description == DESCRIPTIONS[ErrorCode.SECURITY_FAILURE]
    assert house.lines("message.refused")[0]["reason"] == "SecurityFailure"
    await house.at_rest()
    await house.assert_nothing_kept()


async def test_nobody_learns_whether_key_tag_or_data_was_wrong(house: House):
    """Not from the answer, and not from the log, which somebody may be shown (ENC-08)."""
    answers, lines = set(), set()
    for number, case in enumerate(ORACLES):
        part = Part(b"y" * 1000, content_id=f"{number}@dso.example")
        made, octets = await refuse(house, case, part)
        answers.add(without_ids(octets, made, part))
        (line,) = [one for one in house.lines("message.refused") if part.content_id in str(one["problems"])]
        lines.add(str(line["problems"]).replace(part.content_id, "CID"))
    assert len(answers) == 1
    assert len(lines) == 1


async def test_the_padding_of_an_old_cipher_is_no_oracle(open_house: Open):
    """Changed in the last block the padding breaks, changed in the first only the signature does."""
    house = await open_house(**legacy("rme", 5))
    answers = set()
    for number, at in enumerate((-1, 0)):
        part = Part(b"y" * 1000, content_id=f"{number}@dso.example")
        document = judge_encrypts(part.content, of(house, "rme"), CBC[256], PKCS1)
        *before, data, after = re.split(rb"(?<=CipherValue>)([^<]+)(?=<)", document)
        octets = bytearray(base64.b64decode(data))
        octets[at] ^= 0x7F
        made = house.draft("rme", parts=[part]).make()
        await house.send(made, with_parts(made, b"".join((*before, base64.b64encode(octets), after))))
        answers.add(without_ids((await house.answer(made)).envelope, made, part))
    assert len(answers) == 1
    (padding, signature) = (line["problems"] for line in house.lines("message.refused"))
    assert padding != signature
    await house.at_rest()
    await house.assert_nothing_kept()


async def test_a_signature_over_the_encrypted_octets_does_not_hold(house: House):
    """Encrypted first, then signed: not as agreed (ENC-05)."""
    part = notification()
    encrypted = replace(part, content=by_us(house, part, "rme"))
    made = house.draft("rme", parts=[encrypted]).make()
    await house.send(made)
    assert errors_of((await house.answer(made)).envelope)[0][0] == "SecurityFailure"
    await house.at_rest()
    await house.assert_nothing_kept()


async def test_a_repeat_of_a_refused_message_gets_the_same_error(house: House):
    part = notification()
    made = house.draft("rme", parts=[part]).make()
    request = with_parts(made, _flipped(house, part))
    for number in (1, 2):
        await house.send(made, request)
        await house.answer(made, number)
    assert len({s.envelope for s in house.dso.msh.received}) == 1
    sound = with_parts(made, by_us(house, part, "rme"))
    await house.send(made, sound)
    assert (await house.answer(made, 3)).problems == ()
    assert await house.received() == 1


# --- our key


def _keys(name: str, stem: str) -> dict[str, dict[str, str]]:
    old = f'certificate = "tls/{name}.pem"\nkey = "tls/{name}.key"\n\n[authorities.{name}.dso]'
    return {"replacing": {old: old.replace(f"tls/{name}.", f"tls/{stem}.")}}


@pytest.mark.parametrize("stem", ["stranger", "rme-renewed"])
async def test_with_another_key_than_the_agreed_one_nothing_is_taken(stem: str, open_house: Open, world: Any):
    """The partner comes again, when the right key may be there; a refusal would end its retries.

    A renewed certificate may sign, but has another key than the one that the partner encrypts for.
    """
    oin = next(authority.oin for authority in world.authorities if authority.name == "rme")
    if stem != "stranger":
        world.pki.issue(stem, oin).write(world.directory / "tls", stem)
    house = await open_house(**_keys("rme", stem))
    part = notification()
    made = house.draft("rme", parts=[part]).make()
    response = await house.send(made, with_parts(made, by_us(house, part, "rme")))
    assert response.status == 503
    assert "Retry-After" in response.headers
    (line,) = house.lines("request.postponed")
    assert line["reason"] == "cannot_decrypt"
    assert "tells its partner to encrypt for" in line["detail"]
    await house.assert_nothing_kept()
    assert await house.db.read(find_messages, kind=MessageKind.BUSINESS) == []


# --- large

SIZE = 48 * 2**20


async def test_memory_stays_flat_while_a_large_payload_is_decrypted(house: House):
    part = Part(bytes(range(256)) * (SIZE // 256), content_type="application/zip")
    made = house.draft("rme", parts=[part]).make()
    request = with_parts(made, b"MARK")
    before, after = request.body.split(b"MARK")
    encrypted = memoryview(by_us(house, part, "rme"))

    async def octets() -> AsyncIterator[bytes]:
        yield before
        for at in range(0, len(encrypted), 2**18):
            yield bytes(encrypted[at : at + 2**18])
        yield after

    house.announce(made)
    with measured_peak() as peak:
        response = await house.post(request, body=octets())
    assert response.status == 204
    assert peak.octets < 16 * 2**20
    assert (await house.answer(made)).problems == ()
    await house.deliveries()
    (path,) = (house.state.parent / "rme").glob("*/payloads/*")
    assert path.read_bytes() == part.content


async def test_memory_stays_flat_while_a_large_payload_is_encrypted(open_house: Open):
    house = await open_house(dso=False)
    content = bytes(2**20)
    async with house.spool().writer() as writer:
        for _ in range(SIZE // len(content)):
            await writer.write(content)
        spooled = await writer.commit()
    with measured_peak() as peak:
        message = await house.submit("rme", payloads=(SubmittedPayload(spooled),))
    assert peak.octets < 16 * 2**20
    (stored,) = await house.db.read(message_payloads, message.id)
    assert stored.content.size > SIZE * 4 // 3
