# SPDX-License-Identifier: EUPL-1.2

import base64
import hashlib
import io
import json
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from adapter.ebms import read_envelope
from adapter.simulator import ACTION, SERVICE
from adapter.store import (
    Direction,
    JobKind,
    MessageState,
    find_jobs,
    find_messages,
    message_payloads,
    set_message_state,
)
from cpa import Profile
from tests.admin.house import DSO, REPLY, Api, properties


def source(octets: bytes, **changes: Any) -> dict[str, Any]:
    return {
        "name": "brief.txt",
        "contentId": "brief@stad",
        "contentType": "text/plain",
        "content": base64.b64encode(octets).decode(),
        **changes,
    }


async def sent(api: Api, message_id: str) -> Any:
    (message,) = await api.db.read(find_messages, message_id=message_id, direction=Direction.OUT)
    return message


async def test_a_message_is_sent_with_its_payloads(api: Api) -> None:
    body = {
        "properties": properties(api, conversationId="c1", refToMessageId="m0@dso"),
        "dataSources": [source(b"x")],
    }
    response = await api.call("POST", "/ebms/messages", json=body, user="stad")
    assert response.status == 200, await response.text()
    assert response.content_type == "text/plain"
    message = await sent(api, await response.text())
    assert (message.authority, message.action, message.state) == ("stad", REPLY, MessageState.CREATED)
    assert (message.conversation_id, message.ref_to_message_id) == ("c1", "m0@dso")
    assert read_envelope(message.envelope).header.service == SERVICE
    (payload,) = await api.db.read(message_payloads, message.id)
    assert (payload.name, payload.content_type, payload.content_id) == (
        "brief.txt",
        "text/plain",
        "brief@stad",
    )
    assert await api.spool.read(payload.content) == b"x"
    assert [job.kind for job in await api.db.read(find_jobs)] == [JobKind.SEND]
    assert api.audits() == [("stad", "message.send", message.message_id)]


@pytest.mark.parametrize("sources", [[], None])
async def test_a_message_needs_no_payload_and_no_party_that_the_cpa_knows(api: Api, sources: Any) -> None:
    given = properties(api)
    for name in ("fromPartyId", "fromRole", "toPartyId"):
        del given[name]
    response = await api.call(
        "POST", "/ebms/messages", json={"properties": given, "dataSources": sources, "extra": 1}
    )
    assert response.status == 200
    message = await sent(api, await response.text())
    assert (message.from_party, message.to_party) == (api.party("stad"), DSO)


async def test_a_message_id_of_the_application_is_used_once(api: Api) -> None:
    body = {"properties": properties(api, messageId="mine")}
    response = await api.call("POST", "/ebms/messages", json=body)
    assert (await response.text()).startswith("mine@")
    response = await api.call("POST", "/ebms/messages", json=body)
    assert response.status == 400
    assert "used before" in await response.text()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"cpaId": "CPA-none"}, "no agreement CPA-none"),
        ({"cpaId": None}, "cpaId is missing"),
        ({"service": ""}, "service is missing"),
        ({"service": "urn:other"}, "urn:other"),
        ({"service": SERVICE.name}, SERVICE.name),
        ({"action": 7}, "action is not a text"),
        ({"action": ACTION}, ACTION),
        ({"fromPartyId": DSO}, "fromPartyId"),
        ({"toPartyId": "urn:osb:oin:00000099000000009000"}, "toPartyId"),
        ({"fromRole": "DSO-LV"}, "role"),
    ],
)
async def test_a_message_that_is_not_agreed_is_refused_with_the_reason(
    api: Api, changes: dict[str, Any], says: str
) -> None:
    large = source(b"x" * 100_000)
    body = {"properties": properties(api, **changes), "dataSources": [large]}
    response = await api.call("POST", "/ebms/messages", json=body)
    assert response.status == 400
    assert says in await response.text()
    assert await api.db.read(find_messages) == []
    assert api.files() == []
    assert api.audits() == []


@pytest.mark.parametrize(
    "sources",
    [
        {},
        ["x"],
        [source(b"x" * 100_000), source(b"", content="%")],
        [source(b"x" * 100_000), source(b"", content=None)],
        [source(b"x" * 100_000), source(b"", contentType="")],
        [source(b"x" * 100_000), source(b"", name=1)],
    ],
)
async def test_a_payload_that_is_none_leaves_nothing_behind(api: Api, sources: Any) -> None:
    body = {"properties": properties(api), "dataSources": sources}
    response = await api.call("POST", "/ebms/messages", json=body)
    assert response.status == 400
    assert api.files() == []


async def test_json_that_is_too_large_is_not_read(api: Api) -> None:
    body = {"properties": properties(api), "dataSources": [source(b"x" * (12 * 1024 * 1024))]}
    octets = io.BytesIO(json.dumps(body).encode())
    headers = {"Content-Type": "application/json"}
    assert (await api.call("POST", "/ebms/messages", data=octets, headers=headers)).status == 413


async def test_waiting_messages_are_listed_oldest_first(api: Api) -> None:
    await api.received("m1@dso")
    await api.received("m2@dso", authority="dorp", action="andere")
    await api.received("m3@dso")
    await api.received("m4@dso", sink=None)  # in no mailbox
    assert await api.json("/ebms/messages/unprocessed") == ["m1@dso", "m2@dso", "m3@dso"]
    assert await api.json("/ebms/messages/unprocessed?maxNr=0") == ["m1@dso", "m2@dso", "m3@dso"]
    assert await api.json("/ebms/messages/unprocessed?maxNr=2") == ["m1@dso", "m2@dso"]
    assert await api.json("/ebms/messages/unprocessed", user="stad") == ["m1@dso", "m3@dso"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fromRole", "DSO-2"),
        ("toRole", "Dorp"),
        ("service", f"{SERVICE.type}:andere"),
        ("action", "andere"),
        ("conversationId", "c2"),
        ("messageId", "m2@dso"),
        ("refToMessageId", "m0@dso"),
        ("fromPartyId", "urn:osb:oin:00000099000000005000"),
        ("toPartyId", "DORP"),
        ("cpaId", "CPA"),
    ],
)
async def test_waiting_messages_are_filtered(api: Api, name: str, value: str) -> None:
    await api.received("m1@dso")
    own = {"toPartyId": api.party("dorp"), "cpaId": api.authority("dorp").cpa_id}
    value = own.get(name, value)
    await api.received(
        "m2@dso",
        authority="dorp",
        from_role="DSO-2",
        to_role="Dorp",
        service="andere",
        action="andere",
        conversation_id="c2",
        ref_to_message_id="m0@dso",
        from_party="urn:osb:oin:00000099000000005000",
    )
    assert await api.json("/ebms/messages/unprocessed", params={name: value}) == ["m2@dso"]
    assert await api.json("/ebms/messages/unprocessed", params={name: "none"}) == []
    events = await api.json("/ebms/events/unprocessed", params={name: value})
    assert [event["messageId"] for event in events] == ["m2@dso"]


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "99999999999"])
async def test_a_number_is_a_number(api: Api, number: str) -> None:
    response = await api.call("GET", "/ebms/messages/unprocessed", params={"maxNr": number})
    assert response.status == 400


async def test_a_message_has_its_properties_and_payloads(api: Api) -> None:
    large = bytes(range(256)) * 2048 + b"!"  # a file, of several chunks that are no multiple of 3
    await api.received("m1@dso", b"een", large, ref_to_message_id="m0@stad")
    message = await api.json("/ebms/messages/m1@dso")
    contents = [base64.b64decode(source.pop("content")) for source in message["dataSources"]]
    assert contents == [b"een", large]
    assert message == {
        "properties": {
            "cpaId": api.authority("stad").cpa_id,
            "fromParty": {"partyId": DSO, "role": "DSO-LV"},
            "toParty": {"partyId": api.party("stad"), "role": "BevoegdGezag"},
            "service": f"{SERVICE.type}:{SERVICE.name}",
            "action": ACTION,
            "timestamp": "2026-03-01T12:00:00.123Z",
            "conversationId": "conversation-m1@dso",
            "messageId": "m1@dso",
            "refToMessageId": "m0@stad",
            "messageStatus": "RECEIVED",
        },
        "dataSources": [
            {"name": "deel0.txt", "contentId": "part0@dso", "contentType": "text/plain"},
            {"name": "deel1.txt", "contentId": "part1@dso", "contentType": "text/plain"},
        ],
    }


async def test_what_is_absent_is_left_out(api: Api) -> None:
    await api.received("m1@dso", from_role=None, service_type=None, service="urn:x:y")
    message = await api.json("/ebms/messages/m1@dso")
    assert message["properties"]["fromParty"] == {"partyId": DSO}
    assert "refToMessageId" not in message["properties"]
    assert message["properties"]["service"] == "urn:x:y"
    assert message["dataSources"] == []


async def test_a_message_id_with_a_slash_is_found(api: Api) -> None:
    await api.received("a/b?c#d%2F@dso")
    response = await api.call("GET", "/ebms/messages/a%2Fb%3Fc%23d%252F@dso")
    assert response.status == 200


async def test_a_message_that_is_fetched_stays_until_it_is_processed(api: Api) -> None:
    row = await api.received("m1@dso", b"x")
    await api.json("/ebms/messages/m1@dso?process=false")
    assert await api.json("/ebms/messages/unprocessed") == ["m1@dso"]
    for _ in range(2):  # who did not hear the answer asks again
        assert (await api.call("PATCH", "/ebms/messages/m1@dso", user="stad")).status == 204
    assert await api.json("/ebms/messages/unprocessed") == []
    assert await api.state(row) == "processed"
    assert (await api.json("/ebms/messages/m1@dso"))["properties"]["messageStatus"] == "PROCESSED"
    assert api.audits() == [("stad", "message.process", "m1@dso")]


async def test_a_message_can_be_fetched_and_processed_in_one_call(api: Api) -> None:
    await api.received("m1@dso", b"x")
    assert (await api.call("GET", "/ebms/messages/m1@dso?process=true", user="kijker")).status == 403
    message = await api.json("/ebms/messages/m1@dso?process=true", user="stad")
    assert message["properties"]["messageStatus"] == "PROCESSED"
    assert base64.b64decode(message["dataSources"][0]["content"]) == b"x"
    assert await api.json("/ebms/messages/unprocessed") == []
    await api.json("/ebms/messages/m1@dso?process=true", user="stad")
    assert api.audits() == [("stad", "message.process", "m1@dso")]


async def test_an_answer_that_breaks_off_is_no_whole_answer_and_processes_nothing(api: Api) -> None:
    await api.received("m1@dso", b"x" * 300_000)
    (name,) = api.files()
    (path,) = api.config.state.rglob(name)
    path.unlink()
    for path_of_call in ("/ebms/messages/m1@dso", "/ebms/messages/mtom/m1@dso"):
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
            await api.call("GET", f"{path_of_call}?process=true")
    assert await api.json("/ebms/messages/unprocessed") == ["m1@dso"]
    assert len([line for line in api.logs if line["action"] == "admin.failed"]) == 2


async def test_two_messages_under_one_id_are_listed_fetched_and_processed_one_after_the_other(
    api: Api,
) -> None:
    await api.received("m1@dso", b"een")
    await api.received("m1@dso", b"twee")
    assert await api.json("/ebms/messages/unprocessed") == ["m1@dso", "m1@dso"]
    contents = []
    for _ in range(2):
        message = await api.json("/ebms/messages/m1@dso")
        contents.append(base64.b64decode(message["dataSources"][0]["content"]))
        await api.call("PATCH", "/ebms/messages/m1@dso")
    assert contents == [b"een", b"twee"]
    assert await api.json("/ebms/messages/unprocessed") == []


async def test_an_unknown_message_is_not_found_but_to_process_it_again_is_no_error(api: Api) -> None:
    for path in ("/ebms/messages/none", "/ebms/messages/mtom/none", "/ebms/messages/none/status"):
        assert (await api.call("GET", path)).status == 404
    assert (await api.call("PUT", "/ebms/messages/none")).status == 404
    assert (await api.call("PATCH", "/ebms/messages/none")).status == 204
    assert (await api.call("PATCH", "/ebms/events/none")).status == 204
    assert api.audits() == []


async def submitted(api: Api, *sources: dict[str, Any]) -> Any:
    body = {"properties": properties(api, conversationId="c1"), "dataSources": list(sources)}
    response = await api.call("POST", "/ebms/messages", json=body)
    return await sent(api, await response.text())


@pytest.mark.parametrize(
    ("state", "status", "event"),
    [
        (MessageState.DELIVERED, "DELIVERED", "DELIVERED"),
        (MessageState.TRANSMITTED, "DELIVERED", "DELIVERED"),
        (MessageState.FAILED, "DELIVERY_FAILED", "FAILED"),
        (MessageState.EXPIRED, "EXPIRED", "EXPIRED"),
        (MessageState.SENT, "CREATED", None),
    ],
)
async def test_a_message_that_was_sent_has_its_status_and_event(
    api: Api, state: MessageState, status: str, event: str | None
) -> None:
    message = await submitted(api)
    await api.db.write(set_message_state, message.id, MessageState.CREATED, state, None, api.clock())
    shown = await api.json(f"/ebms/messages/{message.message_id}")
    assert shown["properties"]["messageStatus"] == status
    expected = [] if event is None else [{"messageId": message.message_id, "type": event}]
    assert await api.json("/ebms/events/unprocessed") == expected


async def test_a_message_is_sent_again_as_a_new_one(api: Api) -> None:
    large = bytes(range(256)) * 2000
    first = await submitted(api, source(b"x"), source(large, contentId="groot@stad", name=None))
    response = await api.call("PUT", f"/ebms/messages/{first.message_id}", user="stad")
    assert response.status == 200, await response.text()
    second = await sent(api, await response.text())
    assert second.message_id != first.message_id
    assert second.conversation_id == first.conversation_id == "c1"
    payloads = [await api.db.read(message_payloads, one.id) for one in (first, second)]
    assert [[p.content.sha256 for p in both] for both in payloads] == [
        [hashlib.sha256(b"x").hexdigest(), hashlib.sha256(large).hexdigest()]
    ] * 2
    assert payloads[0][1].content.key != payloads[1][1].content.key  # each is removed with its own message
    assert api.audits()[-1] == ("stad", "message.resend", first.message_id)


async def test_a_received_message_cannot_be_sent_again(api: Api) -> None:
    await api.received("m1@dso", b"x" * 100_000)
    response = await api.call("PUT", "/ebms/messages/m1@dso")
    assert response.status == 400
    assert len(api.files()) == 1


async def test_an_encrypted_message_cannot_be_sent_again(api: Api) -> None:
    await api.received(
        "m1@stad",
        b"<EncryptedData/>",
        sink=None,
        direction=Direction.OUT,
        profile=Profile.OSB_RM_E,
        action=REPLY,
    )
    response = await api.call("PUT", "/ebms/messages/m1@stad")
    assert response.status == 400
    assert "encrypted" in await response.text()
    assert await api.db.read(find_jobs) == []


async def test_events_are_listed_by_type_until_they_are_processed(api: Api) -> None:
    await api.received("m1@dso")
    message = await submitted(api)
    await api.db.write(
        set_message_state, message.id, MessageState.CREATED, MessageState.FAILED, "no", api.clock()
    )
    received = {"messageId": "m1@dso", "type": "RECEIVED"}
    failed = {"messageId": message.message_id, "type": "FAILED"}
    path = "/ebms/events/unprocessed"
    assert await api.json(path) == [received, failed]
    assert await api.json(f"{path}?eventTypes=FAILED") == [failed]
    assert await api.json(f"{path}?eventTypes=FAILED&eventTypes=RECEIVED") == [received, failed]
    assert await api.json(f"{path}?eventTypes=EXPIRED,RECEIVED") == [received]
    assert await api.json(f"{path}?maxNr=1") == [received]
    assert (await api.call("GET", f"{path}?eventTypes=received")).status == 400
    for _ in range(2):
        assert (await api.call("PATCH", "/ebms/events/m1@dso", user="stad")).status == 204
    assert await api.json(path) == [failed]
    assert await api.json("/ebms/messages/unprocessed") == []  # with the event goes the message
    assert api.audits()[-1] == ("stad", "event.process", "m1@dso")


async def test_a_message_is_valid_json_and_its_moments_are_iso_8601(api: Api) -> None:
    await api.received('m"1@dso', b"x", action='quote " and \\ and é')
    response = await api.call("GET", '/ebms/messages/m"1@dso')
    message = json.loads(await response.read())
    assert message["properties"]["action"] == 'quote " and \\ and é'
    assert datetime.fromisoformat(message["properties"]["timestamp"]).tzinfo is not None
