# SPDX-License-Identifier: EUPL-1.2

"""What the tests of the application API work with: a store, the application over HTTP, and messages in it."""

import base64
import itertools
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient
from cryptography.hazmat.primitives.serialization import Encoding

from adapter.admin import ApplicationApi, Live
from adapter.admin.rest.routes import Route
from adapter.config import Config
from adapter.daemon.registry import Registry
from adapter.observe import Metrics
from adapter.pki import load_key_pair
from adapter.simulator import ACTION, DSO_OIN, SERVICE, World, WorldAuthority
from adapter.store import (
    Content,
    Database,
    DeliveryState,
    Flow,
    NewDelivery,
    NewPayload,
    Origin,
    Spool,
    complete_delivery,
    create_delivery,
    get_message,
    insert_message,
)
from tests.clock import Clock
from tests.messages import new_message

API = "/service/rest/v19"
DSO = f"urn:osb:oin:{DSO_OIN}"
REPLY = "bevestiging"
TOKENS = {
    "beheer": "the-token-of-beheer",
    "stad": "the:token:of:stad",
    "kijker": "the-token-of-kijker",
    "wissel": "the-token-of-wissel",
    "hersteller": "the-token-of-hersteller",
    "dorper": "the-token-of-dorper",
}

Client = TestClient[web.Request, web.Application]
Entry = MutableMapping[str, Any]


@dataclass
class Api:
    """The application API over HTTP; calls are made as a user, `beheer` unless said otherwise."""

    world: World
    config: Config
    db: Database
    spool: Spool
    registry: Registry
    metrics: Metrics
    clock: Clock
    parts: ApplicationApi
    live: Live
    client: Client
    logs: list[Entry]
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def call(
        self, method: str, path: str, *, user: str | None = "beheer", **options: Any
    ) -> aiohttp.ClientResponse:
        """Make a call; the answer is read."""
        if user is not None:
            login = {"Authorization": aiohttp.encode_basic_auth(user, TOKENS[user], "utf-8")}
            options["headers"] = login | options.get("headers", {})
        response = await self.client.request(method, API + path, **options)
        await response.read()
        return response

    async def json(self, path: str, **options: Any) -> Any:
        """What a GET answers."""
        response = await self.call("GET", path, **options)
        assert response.status == 200, await response.text()
        return await response.json()

    def audits(self) -> list[tuple[str, str, str]]:
        """User, action and object of every change that was logged."""
        return [
            (line["user"], line["did"], line["object"])
            for line in self.logs
            if line["action"] == "admin.audit" and (line["kind"], line["outcome"]) == ("change", "done")
        ]

    def authority(self, name: str) -> WorldAuthority:
        return next(one for one in self.world.authorities if one.name == name)

    def party(self, name: str) -> str:
        return f"urn:osb:oin:{self.authority(name).oin}"

    # --- messages in the store

    async def received(
        self,
        message_id: str,
        *payloads: bytes,
        authority: str = "stad",
        sink: str | None = "postbus",
        **changes: Any,
    ) -> int:
        """A received message, which waits in a mailbox where there is a sink; its row."""
        values: dict[str, Any] = {
            "authority": authority,
            "cpa_id": self.authority(authority).cpa_id,
            "message_id": message_id,
            "conversation_id": f"conversation-{message_id}",
            "from_party": DSO,
            "from_role": "DSO-LV",
            "to_party": self.party(authority),
            "to_role": "BevoegdGezag",
            "service": SERVICE.name,
            "service_type": SERVICE.type,
            "action": ACTION,
        }
        contents = [await self.spooled(octets) for octets in payloads]
        parts = [
            NewPayload(content, f"part{number}@dso", "text/plain", f"deel{number}.txt")
            for number, content in enumerate(contents)
        ]
        now = self.clock()
        new = new_message(datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC), **(values | changes))
        row = await self.db.write(insert_message, new, None, now, payloads=parts)
        if sink is not None:
            name = f"m{next(self._numbers)}"
            delivery = NewDelivery(
                authority=authority,
                sink=sink,
                flow=Flow.MESSAGE,
                origin=Origin.NOTIFICATION,
                message=row,
                name=name,
            )
            delivery_row = await self.db.write(create_delivery, delivery, None, now)
            await self.db.write(complete_delivery, delivery_row, DeliveryState.READY, now, keep=True)
        return row

    async def spooled(self, octets: bytes) -> Content:
        async with self.spool.writer() as writer:
            await writer.write(octets)
            return await writer.commit()

    async def state(self, row: int) -> str:
        return (await self.db.read(get_message, row)).state

    def files(self) -> list[str]:
        """The files in the spool."""
        return sorted(path.name for path in self.parts.spool._root.rglob("*") if path.is_file())


def properties(api: Api, name: str = "stad", **changes: Any) -> dict[str, Any]:
    """What is to be said of a message that an authority sends to DSO-LV."""
    return {
        "cpaId": api.authority(name).cpa_id,
        "fromPartyId": api.party(name),
        "fromRole": "BevoegdGezag",
        "toPartyId": DSO,
        "service": f"{SERVICE.type}:{SERVICE.name}",
        "action": REPLY,
        **changes,
    }


def certificate(api: Api, name: str) -> str:
    tls = api.world.directory / "tls"
    pair = load_key_pair(tls / f"{name}.pem", tls / f"{name}.key")
    return base64.b64encode(pair.certificate.public_bytes(Encoding.DER)).decode()


def sample(route: Route) -> str:
    """The path of a route with something in the place of its variables."""
    path = route.path
    for name in ("cpaId", "messageId", "fromPartyId", "toPartyId", "source*"):
        path = path.replace(f"{{{name}}}", "x")
    return path
