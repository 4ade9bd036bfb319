# SPDX-License-Identifier: EUPL-1.2

"""The API against a running daemon and its partner, also by the client that others wrote for the reference adapter."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from adapter.admin import create_admin_app
from adapter.admin.health import Health
from adapter.config import Config
from adapter.daemon import Daemon, Materials
from adapter.msh import Submitter
from adapter.simulator import ACTION, SERVICE, Faults, Payload, SimulatedDso
from adapter.store import open_database
from tests.admin.house import DSO, TOKENS, Api, Client, certificate, properties
from tests.waiting import until_stored

PATIENCE = 30.0


@dataclass
class Line:
    """A daemon and its partner, and the API over the store of the daemon."""

    api: Api
    dso: SimulatedDso

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        await until_stored(self.api.db, condition, PATIENCE)


@pytest.fixture
async def line(
    api: Api, config: Config, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> AsyncIterator[Line]:
    """The daemon has the store to itself; the API writes to it beside it, as the command line does."""
    await api.client.close()
    await api.db.close()
    dso = SimulatedDso(api.world, api.clock, Faults())
    await dso.start()
    daemon = Daemon(config, Materials(clock=api.clock))
    await daemon.start()
    db = open_database("sqlite", config.state, exclusive=False)
    submitter = Submitter(db, api.spool, api.registry.current, api.clock)
    parts = replace(api.parts, db=db, submitter=submitter)
    client = await aiohttp_client(
        create_admin_app(health=Health({}, api.metrics), metrics=api.metrics, api=parts)
    )
    yield Line(replace(api, db=db, client=client, parts=parts), dso)
    await client.close()
    await db.close()
    await daemon.stop()
    await dso.stop()


def ping(api: Api, name: str = "stad", **changes: str) -> str:
    values = {"cpa": api.authority(name).cpa_id, "from": api.party(name), "to": DSO} | changes
    return f"/ebms/ping/{values['cpa']}/from/{values['from']}/to/{values['to']}"


async def test_a_ping_is_answered(line: Line) -> None:
    response = await line.api.call("POST", ping(line.api), user="stad")
    assert response.status == 204, await response.text()
    assert line.api.audits() == [("stad", "ping", line.api.authority("stad").cpa_id)]


async def test_a_ping_that_nobody_takes_says_so_without_inner_detail(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    await line.dso.stop()
    response = await line.api.call("POST", ping(line.api))
    assert response.status == 500
    text = await response.text()
    assert text.startswith("It could not be sent! See message ")
    assert "refused" not in text.lower()


@pytest.mark.parametrize("changes", [{"cpa": "CPA-none"}, {"from": DSO}, {"to": "urn:osb:oin:x"}])
async def test_a_ping_between_others_is_a_bad_request(api: Api, changes: dict[str, str]) -> None:
    assert (await api.call("POST", ping(api, **changes))).status == 400


async def test_a_ping_without_answer_ends_in_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.admin.rest.signals.PATIENCE", timedelta(milliseconds=20))
    response = await api.call("POST", ping(api))  # no daemon runs
    assert response.status == 500
    assert (await response.text()).startswith("No response received!")


async def test_the_partner_says_what_became_of_a_message(line: Line) -> None:
    api = line.api
    response = await api.call("POST", "/ebms/messages", json={"properties": properties(api)})
    message_id = await response.text()
    await line.until(lambda: _has_status(api, message_id, "DELIVERED"))
    response = await api.call("GET", f"/ebms/messages/{message_id}/status")
    assert response.status == 200, await response.text()
    assert (await response.json())["status"] in {"RECEIVED", "PROCESSED"}


async def _has_status(api: Api, message_id: str, status: str) -> bool:
    message = await api.json(f"/ebms/messages/{message_id}")
    return bool(message["properties"]["messageStatus"] == status)


async def test_of_a_received_message_we_know_ourselves_what_became(api: Api) -> None:
    await api.received("m1@dso")
    assert (await api.json("/ebms/messages/m1@dso/status"))["status"] == "RECEIVED"


@pytest.fixture
def ebms() -> Any:
    return pytest.importorskip("ebms_adapter_client", reason="ebms-adapter-client is not installed")


async def test_the_client_of_the_reference_adapter_sends_and_receives(line: Line, ebms: Any) -> None:
    api = line.api
    with connect(ebms, api) as client:
        await asyncio.to_thread(client.ping, api.authority("stad").cpa_id, api.party("stad"), DSO)
        message_id = await asyncio.to_thread(client.send_message, request(ebms, api))
        await line.until(lambda: _has_status(api, message_id, "DELIVERED"))
        taken = await line.dso.msh.wait_for_message()
        assert list(taken.payloads.values()) == [b"%PDF"]
        status = await asyncio.to_thread(client.get_message_status, message_id)
        assert status.status in {ebms.EbMSMessageStatus.RECEIVED, ebms.EbMSMessageStatus.PROCESSED}
        events = await asyncio.to_thread(client.list_unprocessed_message_events)
        assert [(event.message_id, event.type) for event in events] == [
            (message_id, ebms.MessageEventType.DELIVERED)
        ]
        await asyncio.to_thread(client.process_message_event, message_id)

        sent = await line.dso.msh.send(api.authority("stad").cpa_id, SERVICE, ACTION, [Payload(b"<in/>")])
        await line.until(lambda: _waits(api, sent.message_id))
        (event,) = await asyncio.to_thread(client.list_unprocessed_message_events)
        assert event.type is ebms.MessageEventType.RECEIVED
        message = await asyncio.to_thread(client.get_message, sent.message_id)
        assert message.properties.message_status is ebms.EbMSMessageStatus.RECEIVED
        assert message.properties.from_party.party_id == DSO
        assert message.properties.timestamp.tzinfo is not None
        assert [source.content for source in message.data_sources] == [b"<in/>"]
        await asyncio.to_thread(client.process_message, sent.message_id)
        assert await asyncio.to_thread(client.list_unprocessed_message_ids) == []


async def test_the_client_of_the_reference_adapter_manages(api: Api, ebms: Any) -> None:
    with connect(ebms, api) as client:
        await asyncio.to_thread(manage, ebms, client, api)


def manage(ebms: Any, client: Any, api: Api) -> None:
    stad = api.authority("stad")
    cpa = stad.cpa_path.read_text().replace(stad.cpa_id, "CPA/nieuw")
    client.validate_cpa(cpa)
    assert client.insert_cpa(cpa) == "CPA/nieuw"
    with pytest.raises(ebms.EbmsBadRequestError, match="exists already"):
        client.insert_cpa(cpa)
    assert client.insert_cpa(cpa, overwrite=True) == "CPA/nieuw"
    assert "CPA/nieuw" in client.list_cpa_ids()
    assert client.get_cpa("CPA/nieuw") == cpa
    client.delete_cpa("CPA/nieuw")
    with pytest.raises(ebms.EbmsNotFoundError):
        client.get_cpa("CPA/nieuw")
    with pytest.raises(ebms.EbmsBadRequestError):
        client.validate_cpa("<a/>")
    client.clear_cpa_cache()

    mapping = ebms.URLMapping("https://a.example:1/ebms", "https://b.example/ebms")
    client.create_url_mapping(mapping)
    assert client.list_url_mappings() == [mapping]
    client.delete_url_mapping(mapping.source)
    assert client.list_url_mappings() == []
    with pytest.raises(ebms.EbmsNotFoundError):
        client.delete_url_mapping(mapping.source)
    client.clear_url_mapping_cache()

    own = certificate(api, "stad")
    for cpa_id in (stad.cpa_id, ""):
        certificate_mapping = ebms.CertificateMapping(own, certificate(api, "dorp"), cpa_id)
        client.create_certificate_mapping(certificate_mapping)
        assert client.list_certificate_mappings() == [certificate_mapping]
        client.delete_certificate_mapping(cpa_id, own)
    with pytest.raises(ebms.EbmsNotFoundError):
        client.delete_certificate_mapping("", own)
    client.clear_certificate_mapping_cache()

    message_id = client.send_message(request(ebms, api))
    again = client.resend_message(message_id)
    assert again != message_id
    assert client.get_message(again).data_sources[0].content == b"%PDF"
    assert client.get_message(again).properties.message_status is ebms.EbMSMessageStatus.CREATED
    with pytest.raises(ebms.EbmsBadRequestError, match="no agreement"):
        client.ping("CPA-none", api.party("stad"), DSO)
    filters = ebms.MessageFilter(cpa_id=stad.cpa_id, from_party_id=DSO)
    assert client.list_unprocessed_message_ids(filters, max_nr=5) == []
    types = [ebms.MessageEventType.FAILED, ebms.MessageEventType.EXPIRED]
    assert client.list_unprocessed_message_events(filters, event_types=types) == []


def connect(ebms: Any, api: Api) -> Any:
    url = str(api.client.make_url("/"))
    return ebms.EbmsAdapterClient(
        ebms.EbmsAdapterClientConfig(url, username="beheer", password=TOKENS["beheer"])
    )


def request(ebms: Any, api: Api) -> Any:
    given = properties(api)
    return ebms.MessageRequest(
        ebms.MessageRequestProperties(
            cpa_id=given["cpaId"],
            from_party_id=given["fromPartyId"],
            from_role=given["fromRole"],
            service=given["service"],
            action=given["action"],
        ),
        [ebms.DataSource(content_type="application/pdf", content=b"%PDF", name="brief.pdf")],
    )


async def _waits(api: Api, message_id: str) -> bool:
    return message_id in await api.json("/ebms/messages/unprocessed")
