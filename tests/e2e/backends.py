# SPDX-License-Identifier: EUPL-1.2

"""A back-end for each type of sink."""

import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from lxml import etree

from tests.e2e.arrivals import (
    Announced,
    Arrived,
    BackEnd,
    OfCases,
    OfMessages,
    berichten_in,
    digest,
    names_of,
    of_manifests,
    withdrawn_in,
)
from tests.sinks.buckets import Consumer, options_of
from tests.sinks.dai.back_end import BackEnd as DaiServer
from tests.sinks.receivers import HttpReceiver, ObjectsApi, OpenWave
from tests.sinks.stuf.deliveries import table as stuf_table
from tests.sinks.stuf.zaaksysteem import ZKN, Zaak, Zaaksysteem
from tests.sinks.zgw.fake import FakeZgw
from tests.sinks.zgw.house import contents, furnish
from tests.sinks.zgw.house import table as zgw_table


class DirectoryBackEnd(BackEnd):
    """A directory, with what was delivered there in the order of its manifests."""

    is_http = False

    @property
    def path(self) -> Path:
        """Where it is delivered."""
        return self.world.directory / "verzoeken" / "voorbeeldstad"

    def table(self) -> dict[str, Any]:
        return {"type": "directory", "path": str(self.path)}

    async def arrived(self) -> Arrived:
        complete = [path for path in self.path.iterdir() if not path.name.startswith(".")]
        complete.sort(key=lambda path: (path / "manifest.json").stat().st_mtime_ns)
        manifests = [(path.name, json.loads((path / "manifest.json").read_bytes())) for path in complete]
        found = Counter(
            (path.name, digest(file.read_bytes()))
            for path in complete
            for file in path.rglob("*")
            if file.is_file() and file.name != "manifest.json"
        )
        arrived = of_manifests(manifests)
        assert arrived.contents == found
        return arrived


class BucketBackEnd(BackEnd):
    """A bucket of a real server."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        assert self.bucket is not None
        yield self.bucket.server.url

    def table(self) -> dict[str, Any]:
        assert self.bucket is not None
        return {
            "type": "s3",
            "url": self.bucket.payloads,
            **self.bucket.settings(self.world.directory, endpoint=self.url),
        }

    async def arrived(self) -> Arrived:
        assert self.bucket is not None
        found = await Consumer(options_of(self.bucket, self.world.directory)).deliveries()
        moments = {
            path.parent.name: path.stat().st_mtime_ns
            for path in self.bucket.objects()
            if path.name == "manifest.json"
        }
        complete = sorted(found.items(), key=lambda one: moments[one[0]])
        arrived = of_manifests([(name, json.loads(files["manifest.json"])) for name, files in complete])
        assert arrived.contents == Counter(
            (name, digest(content))
            for name, files in complete
            for path, content in files.items()
            if path != "manifest.json"
        )
        return arrived


class ZgwBackEnd(OfCases):
    """A server with the ZGW APIs."""

    fake: FakeZgw

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        place = self.world.directory / "zgw"
        place.mkdir()
        async with FakeZgw(place, origin=self.url, part_size=64 * 1024).serving() as self.fake:
            furnish(self.fake)
            yield self.fake.address

    def table(self) -> dict[str, Any]:
        wanted = zgw_table(self.fake, self.world.directory)
        apis = {api: f"{self.url}/{api}/api/v1" for api in ("zaken", "documenten", "catalogi")}
        return {**wanted, **apis, "inline": "64 KiB", "wait": "1s"}

    async def arrived(self) -> Arrived:
        zaken = {one["url"]: _verzoeknummer(one) for one in self.fake.made("zaken")}
        documents = {one["url"]: one for one in self.fake.made("enkelvoudiginformatieobjecten")}
        related = self.fake.made("zaakinformatieobjecten")
        assert {one["informatieobject"] for one in related} == documents.keys()
        assert not any(one["locked"] for one in documents.values())
        withdrawn = {
            self.fake.types.url_of("statustypen", one)
            for one in self.fake.types.objects["statustypen"].values()
            if one["omschrijving"] == "Ingetrokken"
        }
        return Arrived(
            messages=names_of(berichten_in(contents(self.fake))),
            contents=Counter(
                (zaken[one["zaak"]], digest(self.fake.documents.content(documents[one["informatieobject"]])))
                for one in related
            ),
            cases=Counter(zaken.values()),
            withdrawn=frozenset(
                zaken[one["zaak"]] for one in self.fake.made("statussen") if one["statustype"] in withdrawn
            ),
        )


def _verzoeknummer(zaak: dict[str, Any]) -> str:
    """The verzoeknummer among the kenmerken of a zaak."""
    (kenmerk,) = (one for one in zaak["kenmerken"] if one["bron"] == "DSO-LV verzoeknummer")
    return str(kenmerk["kenmerk"])


class HttpBackEnd(BackEnd):
    """A receiver that knows deliveries by their key."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        self.fake = HttpReceiver()
        async with self.fake.running():
            yield self.fake.url

    def table(self) -> dict[str, Any]:
        hmac = {"secret_file": self.secret("een gedeeld geheim")}
        return {"type": "http", "url": f"{self.url}/verzoeken", "hmac": hmac, "wait": "1s"}

    async def arrived(self) -> Arrived:
        named = {
            key.strip('"').rpartition("/")[2]: (json.loads(one.manifest), one.files)
            for key, one in self.fake.deliveries.items()
        }
        arrived = of_manifests([(name, manifest) for name, (manifest, _) in named.items()])
        assert arrived.contents == Counter(
            (name, file.sha256) for name, (_, files) in named.items() for file in files
        )
        return arrived


class CountingOpenWave(OpenWave):
    """Remembers every upload, also of what it had."""

    def __init__(self) -> None:
        super().__init__()
        self.uploads: list[tuple[str, bytes]] = []

    async def do(self, request: web.Request) -> web.Response:
        before = len(self.parameters)
        response = await super().do(request)
        for _, name, number in self.parameters[before:]:
            self.uploads.append((number, self.documents[f"{number}_{name}"]))
        return response


class OpenWaveBackEnd(BackEnd):
    """A receiver that recognises nothing: every XML and every upload counts."""

    recognises = False

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        self.fake = CountingOpenWave()
        async with self.fake.running():
            yield self.fake.url

    def table(self) -> dict[str, Any]:
        return {
            "type": "openwave",
            "url": f"{self.url}/DSO/Verzoek/",
            "upload_url": f"{self.url}/upload.php",
            "basic": {"username": "stam", "password_file": self.secret("geheim")},
            "wait": "1s",
        }

    def expected(self, announced: Sequence[Announced]) -> Arrived:
        """All files of each delivery; the receiver has them by verzoeknummer."""
        wanted = super().expected(announced)
        counted = Counter[tuple[str, str]]()
        for (name, one), times in wanted.contents.items():
            counted[name.partition("-")[0], one] += times
        return replace(wanted, contents=counted)

    async def arrived(self) -> Arrived:
        berichten = berichten_in(self.fake.xml)
        posted = [(one.verzoeknummer, xml) for one, xml in zip(berichten, self.fake.xml, strict=True)]
        return Arrived(
            messages=names_of(berichten),
            contents=Counter((number, digest(content)) for number, content in posted + self.fake.uploads),
            withdrawn=withdrawn_in(berichten),
        )


class ObjectsBackEnd(BackEnd):
    """An Objecten API; the files stay behind, and their digests are told."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        self.fake = ObjectsApi()
        async with self.fake.running():
            yield self.fake.url

    def table(self) -> dict[str, Any]:
        return {
            "type": "objecten",
            "url": f"{self.url}/api/v2",
            "token_file": self.secret("0123456789"),
            "objecttype": "https://objecttypes.example/1",
            "version": 1,
            "wait": "1s",
        }

    async def arrived(self) -> Arrived:
        assert all(len(records) == 1 for records in self.fake.records.values())
        found = [one["record"]["data"] for one in self.fake.objects.values()]
        return of_manifests([(one["key"].rpartition("/")[2], one) for one in found])


class StufBackEnd(OfCases):
    """A zaaksysteem with StUF-ZDS, that knows messages by their referentienummer."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        self.fake = Zaaksysteem()
        async with self.fake.running():
            yield self.fake.url
        assert self.fake.problems == []

    def table(self) -> dict[str, Any]:
        services = {
            "vrije_berichten": f"{self.url}/vrij",
            "ontvang_asynchroon": f"{self.url}/asynchroon",
        }
        return {**stuf_table(self.fake, **services), "wait": "1s"}

    async def arrived(self) -> Arrived:
        numbers = {name: _kenmerk(zaak) for name, zaak in self.fake.zaken.items()}
        documents = self.fake.documents.values()
        return Arrived(
            messages=names_of(berichten_in(_inhoud(one.element) for one in documents)),
            contents=Counter((numbers[one.zaak], one.sha256) for one in documents),
            cases=Counter(numbers.values()),
            withdrawn=frozenset(
                numbers[name]
                for name, zaak in self.fake.zaken.items()
                if any(b">9<" in etree.tostring(one) for one in zaak.changes)
            ),
        )


def _kenmerk(zaak: Zaak) -> str:
    """The verzoeknummer of a zaak."""
    return zaak.made_by.findtext(f"{{{ZKN}}}kenmerk/{{{ZKN}}}kenmerk") or ""


def _inhoud(document: etree._Element) -> bytes:
    return base64.b64decode(document.findtext(f"{{{ZKN}}}inhoud") or "")


class DaiBackEnd(OfMessages):
    """A back-end with Digikoppeling Adapter Intern, that takes what comes as often as it comes."""

    recognises = False

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        self.fake = DaiServer()
        async with self.fake.running():
            yield self.fake.url
        assert self.fake.problems == []

    def table(self) -> dict[str, Any]:
        names = {"to": "urn:dkintern:0363:zaken:", "from": "urn:dkintern:dso"}
        return {"type": "dai", "url": f"{self.url}/dai", **names, "wait": "1s"}

    def form(self, payload: bytes) -> str:
        return digest(etree.tostring(etree.fromstring(payload), method="c14n", exclusive=True))

    async def arrived(self) -> Arrived:
        found = [
            (one.headers["MessageID"].removeprefix("urn:dkintern:"), etree.tostring(one.payload))
            for one in self.fake.messages
        ]
        return Arrived(
            messages=tuple(message for message, _ in found),
            contents=Counter((message, self.form(payload)) for message, payload in found),
        )


class MailboxBackEnd(OfMessages):
    """An application that fetches its messages from the adapter."""

    is_http = False
    more = """
[[admin.users]]
name = "zaaksysteem"
token_file = "sink.secret"
role = "repair"
authorities = ["voorbeeldstad"]
"""
    token = "een-lang-geheim-van-deze-test-0123456789"

    def table(self) -> dict[str, Any]:
        self.secret(self.token)
        return {"type": "mailbox"}

    async def arrived(self) -> Arrived:
        """Fetch all there is, which must be there until that is said."""
        api = f"http://127.0.0.1:{self.world.ports.admin}/service/rest/v19/ebms/messages"
        headers = {"Authorization": f"Bearer {self.token}"}
        found: list[tuple[str, bytes]] = []
        async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as session:
            async with session.get(f"{api}/unprocessed") as answer:
                waiting = await answer.json()
            for message in waiting:
                async with session.get(f"{api}/{message}") as answer:
                    (payload,) = (await answer.json())["dataSources"]
                found.append((message, base64.b64decode(payload["content"])))
                async with session.patch(f"{api}/{message}"):
                    pass
            async with session.get(f"{api}/unprocessed") as answer:
                assert await answer.json() == []
        return Arrived(
            messages=tuple(message for message, _ in found),
            contents=Counter((message, self.form(payload)) for message, payload in found),
        )


BACK_ENDS: dict[str, type[BackEnd]] = {
    "directory": DirectoryBackEnd,
    "s3": BucketBackEnd,
    "zgw": ZgwBackEnd,
    "http": HttpBackEnd,
    "openwave": OpenWaveBackEnd,
    "objecten": ObjectsBackEnd,
    "stuf-zds": StufBackEnd,
    "dai": DaiBackEnd,
    "mailbox": MailboxBackEnd,
}
