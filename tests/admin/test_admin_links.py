# SPDX-License-Identifier: EUPL-1.2

"""The whole way of a link: an http sink posts a manifest, and its receiver fetches the files by the links in it."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientError, ClientResponse, web
from aiohttp.test_utils import TestServer

from adapter.admin import create_admin_app
from adapter.admin.health import Health
from adapter.config import load_config
from adapter.delivery import Delivered, Sink, handover_of, load_package, make_sink
from adapter.sinks import SINK_TYPES, FileLink
from adapter.store import (
    FileKind,
    Flow,
    NewDelivery,
    NewFile,
    Origin,
    create_delivery,
    find_deliveries,
)
from tests.admin.house import Api, Client
from tests.sinks.handovers import MemoryCheckpoint, make_context

SECRET = "the secret of links"


@dataclass
class Linked:
    """A sink whose receiver keeps what it is posted, and the admin listener that its links lead to."""

    api: Api
    client: Client
    sink: Sink
    posted: list[dict[str, Any]]

    async def deliver(self, row: int) -> dict[str, Any]:
        """Deliver one delivery of the store; what the receiver was posted."""
        package = await self.api.db.read(load_package, row)
        opener = lambda _, content: lambda: self.api.spool.open(content)  # noqa: E731
        outcome = await self.sink.deliver(handover_of(package, opener, 1), MemoryCheckpoint())
        assert isinstance(outcome, Delivered)
        return self.posted[-1]

    async def get(self, href: str) -> ClientResponse:
        return await self.client.get(urlsplit(href).path)

    def refusals(self) -> list[str]:
        return [line["reason"] for line in self.api.logs if line["action"] == "admin.link_refused"]


@pytest.fixture
async def linked(
    api: Api, tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> AsyncIterator[Linked]:
    (tmp_path / "links.secret").write_text(SECRET)
    links = f'{{ url = "https://adapter.example", secret_file = "{tmp_path}/links.secret", valid = "1h" }}'
    path = api.world.directory / "with-links.toml"
    path.write_text(
        f"{api.world.config.read_text()}\n[authorities.stad.sinks.vth]\n"
        f'type = "http"\nform = "manifest"\nurl = "https://vth.example"\nlinks = {links}\n'
    )
    config = load_config(path, {})
    parts = replace(api.parts, config=lambda: config)
    client = await aiohttp_client(
        create_admin_app(health=Health({}, api.metrics), metrics=api.metrics, api=parts)
    )
    posted: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        posted.append(await request.json())
        return web.Response(status=201)

    app = web.Application()
    app.router.add_post("/", take)
    async with TestServer(app) as receiver:
        table = {
            "type": "http",
            "form": "manifest",
            "url": str(receiver.make_url("/")),
            "links": {
                "url": str(client.make_url("/")),
                "secret_file": str(tmp_path / "links.secret"),
                "valid": "1h",
            },
        }
        context = make_context(tmp_path, authority="stad", sink="vth", clock=api.clock)
        sink = make_sink(SINK_TYPES, "vth", table, context).sink
        yield Linked(api, client, sink, posted)
        await sink.close()


async def verzoek(api: Api, *files: tuple[str, str | None, bytes]) -> int:
    """A verzoek that was collected, with these paths, types and contents; its row."""
    new = tuple(
        [
            NewFile(FileKind.DOCUMENT, path=path, content_type=kind, content=await api.spooled(octets))
            for path, kind, octets in files
        ]
    )
    delivery = NewDelivery(
        authority="stad",
        sink="vth",
        flow=Flow.STAM,
        origin=Origin.RECONCILIATION,
        verzoeknummer="2023073100048",
        name="2023073100048-000",
        files=new,
    )
    return await api.db.write(create_delivery, delivery, None, api.clock())


LARGE = bytes(range(256)) * 4096


async def test_the_receiver_of_a_verzoek_fetches_every_file_by_its_link(linked: Linked) -> None:
    files = [("verzoek.xml", "text/xml", b"<verzoek/>"), ("bijlagen/plan é.pdf", None, LARGE)]
    posted = await linked.deliver(await verzoek(linked.api, *files))
    assert posted["verzoeknummer"] == "2023073100048"
    until = datetime.fromisoformat(posted["linksValidUntil"])
    assert timedelta() < until - linked.api.clock() <= timedelta(hours=1)
    for file, (path, kind, octets) in zip(posted["files"], files, strict=True):
        assert (file["path"], file["sha256"]) == (path, hashlib.sha256(octets).hexdigest())
        answer = await linked.get(file["href"])
        assert await answer.read() == octets
        assert answer.headers["Content-Type"] == (kind or "application/octet-stream")
        assert answer.headers["Content-Length"] == str(len(octets))
        digest = base64.b64encode(hashlib.sha256(octets).digest()).decode()
        assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''plan%20%C3%A9.pdf"
    assert linked.refusals() == []


async def test_the_payloads_of_a_message_have_links_too(linked: Linked) -> None:
    row = await linked.api.received("m-1", b"first", b"second", sink="vth")
    (delivery,) = await linked.api.db.read(find_deliveries, message=row)
    posted = await linked.deliver(delivery.id)
    answers = [await linked.get(file["href"]) for file in posted["files"]]
    assert [await answer.read() for answer in answers] == [b"first", b"second"]


async def test_a_link_that_expired_is_gone(linked: Linked) -> None:
    posted = await linked.deliver(await verzoek(linked.api, ("verzoek.xml", None, b"<verzoek/>")))
    linked.api.clock.shift = timedelta(hours=1)
    assert (await linked.get(posted["files"][0]["href"])).status == 410
    assert "expired" in linked.refusals()[0]


async def test_a_file_that_retention_removed_is_gone(linked: Linked) -> None:
    posted = await linked.deliver(await verzoek(linked.api, ("verzoek.xml", None, LARGE)))
    for path in linked.api.parts.spool._root.rglob("*"):  # type: ignore[attr-defined]
        if path.is_file():
            path.unlink()
    assert (await linked.get(posted["files"][0]["href"])).status == 410


async def test_a_file_that_was_damaged_never_arrives_whole(linked: Linked) -> None:
    posted = await linked.deliver(await verzoek(linked.api, ("verzoek.xml", None, LARGE)))
    (path,) = (path for path in linked.api.parts.spool._root.rglob("*") if path.is_file())  # type: ignore[attr-defined]
    path.chmod(0o600)
    path.write_bytes(LARGE[:-1] + b"x")
    with pytest.raises(ClientError):
        await (await linked.get(posted["files"][0]["href"])).read()


def token(linked: Linked, secret: str = SECRET, **changes: Any) -> str:
    expires = linked.api.clock() + timedelta(minutes=5)
    values = {"authority": "stad", "sink": "vth", "key": "2023073100048-000", "number": 0, "expires": expires}
    return FileLink(**(values | changes)).token(secret)


def encoded(fields: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


async def test_what_was_not_signed_with_the_secret_of_the_sink_is_not_found(linked: Linked) -> None:
    row = await verzoek(linked.api, ("a.xml", None, b"<a/>"), ("b.xml", None, b"<b/>"))
    await linked.deliver(row)
    good = token(linked)
    assert (await linked.get(f"/deliveries/{good}")).status == 200
    other = token(linked, number=1)
    wrong = [
        token(linked, "another secret"),
        token(linked, authority="dorp"),
        token(linked, sink="postbus"),
        token(linked, sink="nergens"),
        f"{other.partition('.')[0]}.{good.partition('.')[2]}",
        good.partition(".")[0],
        f"{good}x",
        encoded(["stad", "vth", "k", "nul", 0]),
        encoded(["stad", "vth", ["k"], 0, 0]),
        encoded(["stad", "vth", "k", 0, 10**30]),
        encoded({"a": 1}),
        "é",
        "[[[",
    ]
    for text in wrong:
        assert (await linked.get(f"/deliveries/{text}")).status == 404, text
    assert len(linked.refusals()) == len(wrong)
    assert linked.api.metrics.refused_total.labels(reason="admin_link")._value.get() == len(wrong)
    assert not any(SECRET in line for line in linked.refusals())


@pytest.mark.parametrize("changes", [{"key": "unknown"}, {"number": 2}, {"number": -1}])
async def test_what_is_not_in_the_store_is_gone(linked: Linked, changes: dict[str, Any]) -> None:
    await verzoek(linked.api, ("a.xml", None, b"<a/>"))
    assert (await linked.get(f"/deliveries/{token(linked, **changes)}")).status == 410


async def test_without_its_secret_a_link_is_not_found_and_the_log_says_why(
    linked: Linked, tmp_path: Path
) -> None:
    await verzoek(linked.api, ("a.xml", None, b"<a/>"))
    (tmp_path / "links.secret").unlink()
    assert (await linked.get(f"/deliveries/{token(linked)}")).status == 404
    assert "links.secret_file" in linked.refusals()[0]
